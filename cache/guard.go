package cache

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/resp"
)

// guarding returns a Dialer like that of the options, or go-redis's own when they have
// none, whose connections check what the server says before go-redis does, which
// trusts it.
func guarding(o *redis.UniversalOptions) func(context.Context, string, string) (net.Conn, error) {
	dial := o.Dialer
	if dial == nil {
		dial = newDialer(o, "", true)
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return guarded(conn), nil
	}
}

// guarded returns the connection with a guard. go-redis looks at the one below it
// through syscall.Conn, or through NetConn where that is TLS.
func guarded(conn net.Conn) net.Conn {
	g := &guardedConn{Conn: conn}
	switch conn := conn.(type) {
	case *tls.Conn:
		return guardedTLS{g, conn}
	case syscall.Conn:
		return guardedSocket{g, conn}
	}
	return g
}

type guardedSocket struct {
	*guardedConn
	syscall.Conn
}

type guardedTLS struct {
	*guardedConn
	secure *tls.Conn
}

// NetConn is that of the TLS connection.
func (c guardedTLS) NetConn() net.Conn { return c.secure.NetConn() }

// guardedConn hands on what the guard accepts.
type guardedConn struct {
	net.Conn
	guard resp.Guard // of who reads
	ended error      // of the guard, or of the sentinel's

	writes  atomic.Int32 // 2 when there were more
	asked   atomic.Int32 // what a sentinel was asked; what it says is looked at as a whole
	partial []byte       // replies of a sentinel that are not complete
	ready   []byte       // and that are
}

func (c *guardedConn) Read(b []byte) (int, error) {
	if len(c.ready) == 0 && c.ended == nil {
		if asked := sentinelQuestion(c.asked.Load()); asked != nothing {
			return c.readSentinel(b, asked)
		}
		n, err := c.Conn.Read(b)
		if c.check(b[:n]); c.ended == nil {
			return n, err
		}
	}
	if c.ended != nil {
		return 0, c.ended
	}
	return c.hand(b), nil
}

// check looks at what has come. The first reply is that to HELLO.
func (c *guardedConn) check(b []byte) {
	if c.writes.Load() < 2 {
		c.ended = c.guard.CheckHello(b)
	} else {
		c.ended = c.guard.Check(b)
	}
}

func (c *guardedConn) Write(b []byte) (int, error) {
	if c.writes.Load() < 2 {
		c.writes.Add(1)
	}
	if question := questionIn(b); question != nothing {
		c.asked.Store(int32(question))
	}
	return c.Conn.Write(b)
}

// hand hands on what was held back.
func (c *guardedConn) hand(b []byte) int {
	n := copy(b, c.ready)
	c.ready = c.ready[n:]
	return n
}

// sentinelQuestion is what go-redis asks a sentinel whose answer it takes apart on a
// goroutine of its own, without looking whether all is there.
type sentinelQuestion int32

const (
	nothing sentinelQuestion = iota
	whichPrimary
	whichSentinels
	tellSwitches
)

// questionIn returns the question that is being written, as go-redis writes it.
func questionIn(b []byte) sentinelQuestion {
	const at = len("*3\r\n$8\r\n")
	if len(b) <= at || b[at] != 's' { // as most are
		return nothing
	}
	switch {
	case bytes.HasPrefix(b, []byte("*3\r\n$8\r\nsentinel\r\n$23\r\nget-master-addr-by-name\r\n")):
		return whichPrimary
	case bytes.HasPrefix(b, []byte("*3\r\n$8\r\nsentinel\r\n$9\r\nsentinels\r\n")):
		return whichSentinels
	// With another channel, in any order.
	case bytes.HasPrefix(b, []byte("*3\r\n$9\r\nsubscribe\r\n")) && bytes.Contains(b, []byte("\r\n+switch-master\r\n")):
		return tellSwitches
	}
	return nothing
}

// readSentinel reads answers of a sentinel, and hands them on when they are whole and what
// was asked for.
func (c *guardedConn) readSentinel(b []byte, asked sentinelQuestion) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if c.ended = c.guard.Check(b[:n]); c.ended != nil {
			return 0, c.ended
		}
		c.partial = append(c.partial, b[:n]...)
		switch {
		case n > 0 && c.guard.Between():
			if c.ended = checkSentinel(asked, c.partial); c.ended != nil {
				return 0, c.ended
			}
			c.ready, c.partial = c.partial, nil
			return c.hand(b), err
		case len(c.partial) > mostOfSentinel:
			c.ended = errSentinel
			return 0, c.ended
		case err != nil:
			return 0, err
		}
	}
}
