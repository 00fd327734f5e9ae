// Package resp checks what a server sends before go-redis reads it. go-redis trusts
// it: it makes a slice as long as a header says, reads a line until it ends, and calls
// itself for each level of a reply, so that a few bytes of a broken or hostile server
// end the process, and nothing can recover from that.
//
// Replies within the bounds still cost what they say: go-redis makes room for
// [MaxBulk] bytes as soon as a header announces them, and for [MaxElements] elements
// (up to some 100 MB), on each connection.
package resp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// What a reply may be at most. No reply to what this library sends comes near.
const (
	// MaxBulk is the longest bulk string, in bytes: the longest that Redis takes
	// unless its proto-max-bulk-len says otherwise.
	MaxBulk = 512 << 20
	// MaxReply is how many bytes all bulk strings of one reply may have.
	MaxReply = 1 << 30
	// MaxLine is the longest status or error, in bytes. Redis cuts what it repeats of a
	// command short in them.
	MaxLine = 64 << 10
	// MaxNumber is the longest line of any other kind. A double has 330 digits at most.
	MaxNumber = 1 << 10
	// MaxElements is how many elements one reply may have, on all its levels. The
	// largest reply is CLUSTER SLOTS: some 400,000 for 16384 ranges with two replicas
	// each. The changes that a server tells of are as many keys as one of its
	// turns has changed; should they ever be more, the connection ends, and its user
	// drops what it keeps, as it has to when it has missed changes.
	MaxElements = 1 << 20
	// MaxDepth is how many levels a reply may have. HELLO and CLUSTER SLOTS have 4.
	MaxDepth = 16
)

// Error says how a server has broken the protocol. It holds nothing of a value.
type Error struct{ reason string }

func (e *Error) Error() string {
	return "the server broke Redis's protocol with " + e.reason + ": is this Redis?"
}

// Guard follows the replies on one connection. The zero value is ready. It is used by
// one goroutine at a time.
type Guard struct {
	state   state
	kind    byte // of the reply, or element, that is under way
	last    byte // what came last of a line
	push    bool // the reply is a push message
	minus   bool // what follows is of a length
	cr      bool
	digits  int
	length  int
	line    int // how long it is so far
	body    int // how many bytes of a bulk string are to come, with its end
	size    int // of all bulk strings of the reply
	total   int // elements of the reply
	depth   int
	left    [MaxDepth]int // elements to come, by level
	maps    uint          // bits: which levels are maps
	replies int
	err     error

	requests *requests // whose replies these are; nil: Sent was never called
	outer    byte      // the type of the reply, when what is under way is an element of it
	null     bool      // the reply is nil
	text     []byte    // the beginning of a status, an error or an echo that is a reply
	readOnly bool
}

// maxText is how much of a status or an error is looked at.
const maxText = 512

type state uint8

const (
	atStart  state = iota // of a reply or an element
	inLine                // whose text is go-redis's affair
	inLength              // of a bulk string, or of an aggregate
	inBody                // of a bulk string
)

// Replies returns how many replies are complete, push messages not counted.
func (g *Guard) Replies() int { return g.replies }

// Between says whether nothing of a reply is under way.
func (g *Guard) Between() bool { return g.state == atStart && g.depth == 0 }

// Sent follows the bytes of commands, before they are written. Once it was called,
// every reply must be one to a command, and have the form that the command's reply
// has: OK for SET, an integer for DEL and INCR, a string or nil for GET, GETDEL and
// EVAL, a number for EVAL with an argument behind its key, and the argument for ECHO.
// Any command may be answered with an error.
func (g *Guard) Sent(b []byte) {
	if g.requests == nil {
		g.requests = new(requests)
	}
	g.requests.write(b)
}

// ReadOnly says whether the server has refused a write because it is a replica.
func (g *Guard) ReadOnly() bool { return g.readOnly }

// Check follows the bytes that have come. After an error, an [*Error], it returns
// that for ever: nothing of the bytes is to be read any more.
func (g *Guard) Check(b []byte) error {
	for len(b) > 0 && g.err == nil {
		switch g.state {
		case atStart:
			g.start(b[0])
			b = b[1:]
		case inLine:
			b = g.readLine(b)
		case inLength:
			b = g.readLength(b)
		case inBody:
			b = g.readBody(b)
		}
	}
	return g.err
}

// CheckHello is [Guard.Check] as long as nothing but HELLO was written: what comes after the
// reply to it go-redis would take for that to the next command.
func (g *Guard) CheckHello(b []byte) error {
	if err := g.Check(b); err != nil || g.replies <= 1 {
		return err
	}
	return errUnasked
}

var errUnasked = errors.New("the server sends more than the reply to HELLO: is this Redis?")

func (g *Guard) refuse(reason string) { g.err = &Error{reason} }

// start begins a reply, or an element of one.
func (g *Guard) start(kind byte) {
	g.kind = kind
	if g.depth == 0 {
		g.outer, g.null, g.text = kind, kind == '_', g.text[:0]
	}
	switch kind {
	case '$', '*', '%', '~', '=':
		g.startLength()
	case '+', ':', '#', ',', '(':
		g.startLine()
	case '_':
		g.nilInside()
		g.startLine()
	case '-', '!':
		switch {
		case g.depth > 0:
			// Nobody answers so, and go-redis may take one for the end of the whole reply,
			// and what follows for the next.
			g.refuse("an error inside of a reply")
		case kind == '-':
			g.startLine()
		default:
			g.startLength()
		}
	case '>':
		if g.depth > 0 {
			g.refuse("a push message inside of a reply")
		}
		g.push = true
		g.startLength()
	case '|': // go-redis would call itself for each
		g.refuse("attributes, which nobody has asked for")
	default:
		g.refuse("a reply of the type " + strconv.QuoteToASCII(string([]byte{kind})))
	}
}

func (g *Guard) startLine() { g.state, g.line, g.last = inLine, 1, 0 }

func (g *Guard) startLength() {
	g.state, g.length, g.digits, g.minus, g.cr = inLength, 0, 0, false, false
}

// nilInside looks at a nil inside of a reply.
func (g *Guard) nilInside() {
	if g.depth == 0 {
		return
	}
	// go-redis would take this for the end of the whole reply.
	if level := g.depth - 1; g.maps&(1<<level) != 0 && g.left[level]%2 == 0 {
		g.refuse("a map that has nil for a key")
	}
}

// readLine goes on to the end of a line and returns what comes after it.
func (g *Guard) readLine(b []byte) []byte {
	end := bytes.IndexByte(b, '\n')
	size := end + 1
	if end < 0 {
		size = len(b)
	}
	most := MaxLine
	if g.kind != '+' && g.kind != '-' {
		most = MaxNumber
	}
	if g.line += size; g.line > most {
		g.refuse(fmt.Sprintf("a line of more than %d bytes", most))
		return nil
	}
	if g.depth == 0 && (g.kind == '+' || g.kind == '-') {
		g.text = append(g.text, b[:min(size, maxText-len(g.text))]...)
	}
	if end > 0 {
		g.last = b[end-1]
	}
	switch {
	case end < 0:
		g.last = b[size-1]
	case g.last != '\r':
		g.refuse("a line that does not end as it must")
	default:
		g.done()
	}
	return b[size:]
}

// readLength goes on to the end of a length and returns what comes after it.
func (g *Guard) readLength(b []byte) []byte {
	const mostDigits = 9 // which an int of 32 bits holds, and twice that
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9' && !g.cr && g.digits < mostDigits:
			g.digits++
			g.length = g.length*10 + int(c-'0')
		case c == '\r' && g.digits > 0 && !g.cr:
			g.cr = true
		case c == '\n' && g.cr:
			g.header()
			return b[i+1:]
		case c == '-' && g.digits == 0 && !g.minus:
			g.minus = true
		case c >= '0' && c <= '9' && !g.cr:
			g.refuse(fmt.Sprintf("a length of more than %d digits", mostDigits))
			return nil
		default:
			g.refuse("a length that is no number")
			return nil
		}
	}
	return nil
}

// header is what a length is for.
func (g *Guard) header() {
	switch {
	case g.minus && (g.length != 1 || g.kind != '$' && g.kind != '*'):
		g.refuse("a length below 0")
	case g.minus:
		g.nilInside()
		g.null = g.null || g.depth == 0
		g.done()
	case g.kind == '$' || g.kind == '=' || g.kind == '!':
		g.bulk()
	default:
		g.aggregate()
	}
}

func (g *Guard) bulk() {
	if g.length > MaxBulk {
		g.refuse(fmt.Sprintf("a string of %d bytes, where %d are the most", g.length, MaxBulk))
		return
	}
	if g.size += g.length; g.size > MaxReply {
		g.refuse(fmt.Sprintf("a reply of more than %d bytes", MaxReply))
		return
	}
	g.state, g.body = inBody, g.length+len("\r\n")
}

func (g *Guard) aggregate() {
	n := g.length
	if g.kind == '%' {
		n *= 2
	}
	switch g.total += n; {
	case g.total > MaxElements:
		g.refuse(fmt.Sprintf("a reply of more than %d elements", MaxElements))
	case n == 0 && g.kind == '>':
		g.refuse("an empty push message")
	case n == 0:
		g.done()
	case g.depth == MaxDepth:
		g.refuse(fmt.Sprintf("a reply of more than %d levels", MaxDepth))
	default:
		g.left[g.depth] = n
		g.maps &^= 1 << g.depth
		// The first reply is that to HELLO, a map even where it comes as an array.
		if g.kind == '%' || g.depth == 0 && g.replies == 0 && !g.push {
			g.maps |= 1 << g.depth
		}
		g.depth++
		g.state = atStart
	}
}

// readBody goes on in a bulk string and returns what comes after it.
func (g *Guard) readBody(b []byte) []byte {
	const end = "\r\n"
	if skip := min(g.body-len(end), len(b)); skip > 0 {
		if g.depth == 0 && g.requests != nil && g.requests.compares() {
			g.text = append(g.text, b[:min(skip, maxText-len(g.text))]...)
		}
		g.body -= skip
		b = b[skip:]
	}
	if len(b) == 0 {
		return nil
	}
	if b[0] != end[len(end)-g.body] {
		g.refuse("a string that does not end where it must")
		return nil
	}
	if g.body--; g.body == 0 {
		g.done()
	}
	return b[1:]
}

// done ends an element, or a reply.
func (g *Guard) done() {
	if g.err != nil {
		return
	}
	g.state = atStart
	for g.depth > 0 {
		level := g.depth - 1
		if g.left[level]--; g.left[level] > 0 {
			return
		}
		g.depth = level
	}
	if !g.push {
		g.replies++
		g.compare()
	}
	g.push, g.size, g.total = false, 0, 0
}

// compare looks whether the reply that is complete is one to the command that is next.
func (g *Guard) compare() {
	if g.outer == '-' && isReadOnly(g.text) {
		g.readOnly = true
	}
	if g.requests == nil {
		return
	}
	want, asked := g.requests.answered()
	switch {
	case !asked:
		g.refuse("a reply that no command asked for")
	case g.outer == '-' || g.outer == '!' || want == anyShape:
	case want == okShape && g.outer == '+' && string(g.text) == "OK\r\n":
	case want == intShape && g.outer == ':':
	case want == bulkShape && (g.outer == '$' || g.null):
	case want == numberShape && g.outer == '$' && isNumber(g.text):
	case want == echoShape && g.outer == '$' && bytes.Equal(g.requests.echo, append(g.text, "\r\n"...)):
	default:
		g.refuse("another reply where " + want.String() + " has to come")
	}
}

// isNumber says whether a text is an integer in decimal digits.
func isNumber(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	return len(digits) > 0 && len(bytes.Trim(digits, "0123456789")) == 0
}

// isReadOnly says whether an error is READONLY, also where a server before Redis 7
// has put the error of a script around it.
func isReadOnly(text []byte) bool {
	return bytes.HasPrefix(text, []byte("READONLY ")) || bytes.HasPrefix(text, []byte("ERR Error running script")) && bytes.Contains(text, []byte("-READONLY "))
}
