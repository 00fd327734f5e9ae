package redisbinding

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redisbinding/redisbinding/internal/redact"
	"github.com/redisbinding/redisbinding/internal/resp"
)

// conn is a connection that remembers when it was last used.
type conn struct {
	net.Conn
	raw   net.Conn
	addr  string
	owner *connSet

	used  atomic.Int64 // when it was last used, by clock, or given up
	busy  atomic.Int32 // reads and writes under way
	out   atomic.Bool  // taken out of the pool, and nothing read since
	read  atomic.Bool  // something was read
	close sync.Once

	ended  atomic.Pointer[error] // why nothing of it is read or written any more
	writes atomic.Int32          // 2 when there were more
	guard  resp.Guard            // of who reads

	// settle tells the dialer, once, that the server has answered, or what kept it
	// from doing so; with neither that nobody knows. It may be nil.
	settle  func(err error, answered bool)
	settled sync.Once

	// What follows is that of who has taken the connection out of the pool. The
	// times are when the server has not taken, or said, anything for too long; zero: never.
	mark                  int // says which context the command in hand obeys
	sent                  int // how many bytes of it
	writeUntil, readUntil time.Time
	hard                  bool // readUntil is go-redis's, and not to be moved
}

// context returns the context that the command in hand obeys, or nil.
func (c *conn) context() context.Context { return c.owner.direct.context(c.mark) }

// givenUp marks a connection as closed for being idle.
const givenUp = -1

// touch notes a use. It comes too late for a connection that was given up.
func (c *conn) touch() {
	for {
		used := c.used.Load()
		if used == givenUp || c.used.CompareAndSwap(used, clock()) {
			return
		}
	}
}

// closeIdleSince closes the connection if nothing has been done with it since.
// The pool takes a connection out by SetDeadline, which is a use, and SyscallConn,
// which refuses one that was given up: either it is used, or it is closed.
func (c *conn) closeIdleSince(since time.Time) {
	used := c.used.Load()
	if c.busy.Load() == 0 && !c.out.Load() && used <= clockAt(since) && c.used.CompareAndSwap(used, givenUp) {
		_ = c.Close()
	}
}

func (c *conn) Read(b []byte) (int, error) {
	c.busy.Add(1)
	defer c.done()
	if ended := c.ended.Load(); ended != nil {
		return 0, *ended
	}
	n, err := c.readMinding(b)
	if n > 0 {
		c.out.Store(false)
		first := c.read.CompareAndSwap(false, true)
		if first {
			n, err = c.readRefusal(b, n, err)
		}
		if err := c.check(b[:n], first); err != nil {
			c.end(err)
			return 0, err
		}
		if first {
			c.settleWith(nil, true)
		}
	}
	return n, c.orConnecting(err)
}

// orConnecting returns the error of a read or a write: as long as nothing but HELLO was
// written, one of connecting. No command was sent, whatever has gone wrong.
func (c *conn) orConnecting(err error) error {
	if err == nil || c.writes.Load() != 1 || c.context() != nil && c.context().Err() != nil {
		return err
	}
	c.settleWith(err, false)
	return &dialError{err}
}

func (c *conn) settleWith(err error, answered bool) {
	if c.settle != nil {
		c.settled.Do(func() { c.settle(err, answered) })
	}
}

// end notes why nothing of the connection is to be read or written any more.
func (c *conn) end(err error) {
	c.ended.Store(&err)
	c.settleWith(err, false)
}

// check looks at what the server says, before go-redis does, which trusts it. What it
// says first is the reply to HELLO, and as long as nothing else was written an
// error of it is one of connecting.
func (c *conn) check(b []byte, first bool) error {
	if first {
		if refused := refusal(b); refused != nil {
			return refused
		}
	}
	err := c.guard.Check(b)
	if err != nil && c.writes.Load() <= 1 {
		return &dialError{err}
	}
	if c.guard.ReadOnly() {
		c.retire()
	}
	return err
}

// retire keeps the connection from being used again. Its server has become a replica:
// a new connection may lead to the new primary.
func (c *conn) retire() {
	c.used.Store(givenUp)
}

// readRefusal reads on when the first thing that the server says is an error, until
// it is complete.
func (c *conn) readRefusal(b []byte, n int, err error) (int, error) {
	for err == nil && b[0] == '-' && n < len(b) && bytes.IndexByte(b[:n], '\n') < 0 {
		var more int
		more, err = c.readMinding(b[n:])
		n += more
	}
	return n, err
}

// readMinding reads, until the context ends.
func (c *conn) readMinding(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		ctx := c.context()
		switch {
		case n == 0 && !isTimeout(err):
			return n, err
		case ctx != nil && ctx.Err() != nil:
			return 0, ctx.Err()
		case n > 0:
			return n, c.stillReading()
		case ctx == nil || !c.readUntil.IsZero() && !time.Now().Before(c.readUntil):
			return n, err
		}
		if err := c.setReadDeadline(); err != nil {
			return n, err
		}
	}
}

// stillReading gives a server that is not silent more time: what readTimeout is for
// a reply is little for the replies to a whole pipeline, or a very long one.
func (c *conn) stillReading() error {
	if c.hard || !lateIn(c.readUntil, c.owner.readTimeout) {
		return nil
	}
	c.readUntil = time.Now().Add(c.owner.readTimeout)
	return c.setReadDeadline()
}

// stillWriting does that for a server that takes a long command, or pipeline.
func (c *conn) stillWriting() error {
	if !lateIn(c.writeUntil, c.owner.writeTimeout) {
		return nil
	}
	c.writeUntil = time.Now().Add(c.owner.writeTimeout)
	return c.Conn.SetWriteDeadline(c.writeUntil)
}

// lateIn says whether the better part of a time-out is over that ends then.
func lateIn(timeout time.Time, length time.Duration) bool {
	return length > 0 && time.Until(timeout) < length/2
}

// refusal returns the error with which a server rejects a new connection, or nil. Any
// error in answer to HELLO rejects it, except that the server does not know HELLO or
// its version: go-redis then uses RESP2 and AUTH.
func refusal(first []byte) *dialError {
	text, found := bytes.CutPrefix(first, []byte("-"))
	if !found {
		return nil
	}
	line, _, _ := bytes.Cut(text, []byte("\r\n"))
	reply := redact.ReplyError(line)
	switch redact.ReplyCode(reply) {
	case "NOPROTO":
		return nil
	case "ERR":
		if !bytes.HasPrefix(line, []byte("ERR max number of clients")) {
			return nil
		}
	}
	return &dialError{reply}
}

func (c *conn) Write(b []byte) (int, error) {
	c.busy.Add(1)
	defer c.done()
	if ended := c.ended.Load(); ended != nil {
		return 0, *ended
	}
	if c.writes.Load() < 2 {
		c.writes.Add(1)
	}
	c.guard.Sent(b)
	n, err := c.writeMinding(b)
	return n, c.orConnecting(err)
}

// writeMinding writes, until the context ends.
func (c *conn) writeMinding(b []byte) (int, error) {
	c.sent += len(b)
	ctx := c.context()
	if ctx == nil || c.sent <= fitsSendBuffer {
		n, err := c.Conn.Write(b)
		if err == nil {
			err = c.stillWriting()
		}
		return n, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Conn.SetWriteDeadline(time.Unix(1, 0)) })
	n, err := c.Conn.Write(b)
	if !stop() {
		return n, ctx.Err() // the connection is not to be used any more
	}
	if err == nil {
		err = c.stillWriting()
	}
	return n, err
}

// fitsSendBuffer is how much of a command the system takes without waiting for
// the server, when nothing else is on its way on the connection.
const fitsSendBuffer = 4 << 10

func (c *conn) done() {
	c.touch()
	c.busy.Add(-1)
}

// SetDeadline is what the pool calls when it takes a connection out: a use,
// unless it has been idle for too long already.
func (c *conn) SetDeadline(t time.Time) error {
	if timeout := c.owner.timeout; timeout > 0 {
		since := time.Now().Add(-timeout)
		if c.used.Load() <= clockAt(since) && c.owner.spares(c.addr) {
			c.closeIdleSince(since)
		}
	}
	c.out.Store(true)
	c.touch()
	c.mark = noMark
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline comes before a command. The deadline says which context the
// command obeys. Where the pool does not look at the connections that it takes
// out, this is the first that is heard of a use.
func (c *conn) SetWriteDeadline(t time.Time) error {
	if !poolLooks {
		c.touch()
	}
	c.mark, c.sent = markIn(t), 0
	c.writeUntil = after(c.owner.writeTimeout, t)
	return c.Conn.SetWriteDeadline(c.writeUntil)
}

// SetReadDeadline comes before a reply, with what came before the command.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mark = markIn(t)
	c.readUntil = after(c.owner.readTimeout, t)
	c.hard = c.readUntil.Equal(t)
	return c.setReadDeadline()
}

// mindEvery is how often a read that takes long looks whether its context has ended.
const mindEvery = 20 * time.Millisecond

func (c *conn) setReadDeadline() error {
	if c.mark == noMark {
		return c.Conn.SetReadDeadline(c.readUntil)
	}
	next := time.Now().Add(mindEvery)
	if !c.readUntil.IsZero() && c.readUntil.Before(next) {
		next = c.readUntil
	}
	return c.Conn.SetReadDeadline(next)
}

// after returns the end of a time-out that begins now, 0 being none, or what
// go-redis has said when that is earlier and not a mark.
func after(timeout time.Duration, said time.Time) time.Time {
	if markIn(said) != noMark {
		said = time.Time{}
	}
	if timeout == 0 {
		return said
	}
	end := time.Now().Add(timeout)
	if !said.IsZero() && said.Before(end) {
		return said
	}
	return end
}

// Close closes the connection. The pool closes what was closed here already, and
// must not take that for an error.
func (c *conn) Close() (err error) {
	c.close.Do(func() {
		c.owner.forget(c)
		c.settleWith(nil, false)
		err = c.Conn.Close()
	})
	return err
}

// SyscallConn lets the pool look for a connection that the server has closed,
// and refuses one that is closed here for being idle.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if c.used.Load() == givenUp {
		return nil, net.ErrClosed
	}
	raw, ok := c.raw.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	control, err := raw.SyscallConn()
	if _, secure := c.Conn.(*tls.Conn); err != nil || !secure {
		return control, err
	}
	return tlsControl{control, c}, nil
}

// tlsControl is the RawConn of a TLS connection. To the pool, bytes waiting on a
// connection nobody uses are a push message, which on a TLS connection it would
// wait for: here they are handshake leftovers as long as nothing has been read,
// and after that the server taking its leave.
type tlsControl struct {
	syscall.RawConn
	conn *conn
}

var errUnexpectedData = errors.New("unexpected data on an idle TLS connection")

func (t tlsControl) Read(look func(fd uintptr) bool) error {
	waiting, err := hasData(t.RawConn)
	switch {
	case err != nil || !waiting:
		return t.RawConn.Read(look)
	case t.conn.read.Load():
		return errUnexpectedData
	}
	return nil
}
