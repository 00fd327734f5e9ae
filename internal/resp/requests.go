package resp

import "bytes"

// shape is the form that the reply to a command has.
type shape uint8

const (
	anyShape    shape = iota
	okShape           // the status OK
	intShape          // an integer
	bulkShape         // a bulk string, or nil
	numberShape       // a bulk string of digits
	echoShape         // the argument of the last ECHO
)

// shapes are the forms of replies by command. Any reply may also be an error.
var shapes = map[string]shape{
	"set": okShape,
	"del": intShape, "incr": intShape,
	"get": bulkShape, "getdel": bulkShape, "eval": bulkShape,
	"echo": echoShape,
}

// String says what a command expects, for errors.
func (s shape) String() string {
	return [...]string{"a reply", "OK", "an integer", "a string", "a number", "an echo"}[s]
}

// requests follows the commands that are written on a connection, so that every
// reply can be compared with the command that it is for.
type requests struct {
	state  requestState
	digits int
	args   int // of the command, still to come
	first  bool
	body   int // bytes of the argument, still to come, with CRLF
	name   [9]byte
	length int // of name, as far as it has come

	due  []shape // of the replies to come; the first is at index next
	next int
	free bool // replies come without a command: the connection subscribes

	echo    []byte
	echoing bool // the argument of an ECHO is under way
}

type requestState uint8

const (
	atCommand requestState = iota // a '*' comes
	inCount
	atArgument // a '$' comes
	inSize
	inArgument
)

// write follows the bytes of commands.
func (r *requests) write(b []byte) {
	for len(b) > 0 {
		switch r.state {
		case atCommand:
			r.state, r.digits, r.first = inCount, 0, true
			b = b[1:]
		case atArgument:
			r.state, r.digits = inSize, 0
			b = b[1:]
		case inCount, inSize:
			b = r.number(b)
		case inArgument:
			b = r.argument(b)
		}
	}
}

// number reads the rest of a count or a size, with its CRLF.
func (r *requests) number(b []byte) []byte {
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			r.digits = r.digits*10 + int(c-'0')
		case c != '\n':
		case r.state == inCount:
			r.args, r.state = r.digits, atArgument
			return b[i+1:]
		default:
			r.body, r.length, r.state = r.digits+len("\r\n"), 0, inArgument
			return b[i+1:]
		}
	}
	return nil
}

// argument reads the rest of an argument. The first one is the command's name.
func (r *requests) argument(b []byte) []byte {
	n := min(r.body, len(b))
	if r.first {
		r.length += copy(r.name[r.length:], b[:n])
	}
	if r.echoing {
		r.echo = append(r.echo, b[:n]...)
	}
	if r.body -= n; r.body > 0 {
		return nil
	}
	r.echoing = false
	if r.first {
		r.command()
	}
	r.first, r.state = false, atArgument
	if r.args--; r.args == 0 {
		r.state = atCommand
	}
	return b[n:]
}

// command notes the reply that is due.
func (r *requests) command() {
	name, _, whole := bytes.Cut(r.name[:r.length], []byte("\r\n"))
	if !whole && bytes.HasPrefix(name, []byte("subscribe")) {
		r.free = true
	}
	if r.next == len(r.due) {
		r.due, r.next = r.due[:0], 0
	}
	s := shapes[string(name)]
	if string(name) == "eval" && r.args > 4 { // with a TTL behind script, count and key
		s = numberShape
	}
	r.due = append(r.due, s)
	if r.echoing = s == echoShape; r.echoing {
		r.echo = r.echo[:0]
	}
}

// compares says whether the text of the next reply, a bulk string, is looked at.
func (r *requests) compares() bool { return r.next < len(r.due) && r.due[r.next] >= numberShape }

// answered takes the shape of the reply that comes next. It returns false when no
// reply is due.
func (r *requests) answered() (s shape, ok bool) {
	if r.free {
		return anyShape, true
	}
	if r.next == len(r.due) {
		return anyShape, false
	}
	s = r.due[r.next]
	r.next++
	return s, true
}
