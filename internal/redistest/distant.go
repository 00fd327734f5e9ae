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
	return StartLossy(t, s, roundTrip, 0)
}

// StartLossy is [StartDistant] over a network that loses packets, with the chance
// given, from 0 to 1. As TCP would, it sends a lost one again when a round trip and
// 200 ms have passed, after twice as much when that is lost too, and holds back what
// comes after it until then.
func StartLossy(t testing.TB, s *Server, roundTrip time.Duration, loss float64) (addr string) {
	t.Helper()
	path := path{roundTrip / 2, loss}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
		if err != nil {
			return nil, err
		}
		return newDistantConn(conn, path)
	}
	relay := startRelay(distantListener{listener, path}, dial, func(net.Conn) watcher { return unwatched{} })
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
	path path
}

// path is the way from one side to the other.
type path struct {
	delay time.Duration
	loss  float64
}

// packet is how much data is lost at once.
const packet = 1448

// takes returns how long so much data is on its way.
func (p path) takes(bytes int) time.Duration {
	took := p.delay
	for ; bytes > 0 && p.loss > 0; bytes -= packet {
		for again := 2*p.delay + 200*time.Millisecond; happens(p.loss); again *= 2 {
			took += again
		}
	}
	return took
}

func (l distantListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newDistantConn(conn, l.path)
}

// distantConn is a connection on which everything written, and the end, arrives
// with a delay. A goroutine writes it, which Close ends.
type distantConn struct {
	net.Conn
	path    path
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

func newDistantConn(conn net.Conn, path path) (*distantConn, error) {
	sleeper, err := newSleeper()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	c := &distantConn{Conn: conn, path: path, sleeper: sleeper}
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
	p.due = time.Now().Add(c.path.takes(len(p.data)))
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
