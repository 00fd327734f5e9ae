package redistest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// StartDistant puts the server, for this test only and for those who connect to
// addr, as far away as the round trip says: what either side sends arrives half
// of it later, in order, and any amount of it may be on the way.
func StartDistant(t testing.TB, s *Server, roundTrip time.Duration) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
		if err != nil {
			return nil, err
		}
		return newDistantConn(conn, roundTrip/2)
	}
	relay := startRelay(distantListener{listener, roundTrip / 2}, dial, func(net.Conn) watcher { return unwatched{} })
	t.Cleanup(relay.close)
	return listener.Addr().String()
}

// unwatched lets everything pass.
type unwatched struct{}

func (unwatched) request(data []byte) int { return len(data) }
func (unwatched) reply(data []byte) int   { return len(data) }
func (unwatched) closed()                 {}

// distantListener accepts connections from far away.
type distantListener struct {
	net.Listener
	delay time.Duration // one way
}

func (l distantListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newDistantConn(conn, l.delay)
}

// distantConn is a connection on which everything written, and the end, arrives
// with a delay. A goroutine writes it, which Close ends.
type distantConn struct {
	net.Conn
	delay   time.Duration
	sleeper sleeper

	mu     sync.Mutex
	filled sync.Cond
	pieces []piece // on the way, the oldest first
}

// piece is some data, or the end of it.
type piece struct {
	data []byte
	last bool
	due  time.Time
}

func newDistantConn(conn net.Conn, delay time.Duration) (*distantConn, error) {
	sleeper, err := newSleeper()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	c := &distantConn{Conn: conn, delay: delay, sleeper: sleeper}
	c.filled.L = &c.mu
	go c.send()
	return c, nil
}

func (c *distantConn) Write(data []byte) (int, error) {
	c.put(piece{data: bytes.Clone(data)})
	return len(data), nil
}

// Close closes the connection when what was written before has arrived.
func (c *distantConn) Close() error {
	c.put(piece{last: true})
	return nil
}

func (c *distantConn) put(p piece) {
	p.due = time.Now().Add(c.delay)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pieces = append(c.pieces, p)
	c.filled.Signal()
}

// send writes the pieces as they are due.
func (c *distantConn) send() {
	defer c.sleeper.close()
	defer func() { _ = c.Conn.Close() }()
	for {
		p := c.take()
		c.sleeper.sleepUntil(p.due)
		if p.last {
			return
		}
		_, _ = c.Conn.Write(p.data) // Where it fails, so does reading.
	}
}

// take waits for the oldest piece.
func (c *distantConn) take() piece {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.pieces) == 0 {
		c.filled.Wait()
	}
	p := c.pieces[0]
	c.pieces = c.pieces[1:]
	return p
}
