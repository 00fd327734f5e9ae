package redisbinding

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// idleConns knows the open connections of one client and closes those that
// have been idle for longer than timeout. go-redis closes such connections only
// when it comes across them looking for one, so that a quiet application keeps
// them all.
type idleConns struct {
	timeout time.Duration // 0: connections may be idle for ever
	keep    int           // how many to leave open to each address

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// run closes idle connections every so often until ctx ends.
func (i *idleConns) run(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			i.closeIdle(now)
		}
	}
}

// closeIdle closes, of the connections to each address, all idle ones but the
// keep most recently used. What is closed here the pool would refuse to hand
// out: it goes by the same timeout, from a use that is never later than ours.
func (i *idleConns) closeIdle(now time.Time) {
	i.mu.Lock()
	byAddr := map[string][]*conn{}
	for c := range i.conns {
		byAddr[c.addr] = append(byAddr[c.addr], c)
	}
	i.mu.Unlock()

	for _, conns := range byAddr {
		if len(conns) <= i.keep {
			continue
		}
		slices.SortFunc(conns, func(a, b *conn) int { return cmp.Compare(b.used.Load(), a.used.Load()) })
		for _, c := range conns[i.keep:] {
			if c.idleSince(now) >= i.timeout {
				_ = c.Close()
			}
		}
	}
}

// track returns the connection that commands are written to (raw, or TLS over
// it) as one that remembers when it was used.
func (i *idleConns) track(addr string, over, raw net.Conn) *conn {
	c := &conn{Conn: over, raw: raw, addr: addr, owner: i}
	c.touch()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.conns == nil {
		i.conns = map[*conn]struct{}{}
	}
	i.conns[c] = struct{}{}
	return c
}

func (i *idleConns) forget(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.conns, c)
}

// conn is a connection that remembers when it was last used.
type conn struct {
	net.Conn
	raw   net.Conn
	addr  string
	owner *idleConns

	used  atomic.Int64 // Unix time of the last use, in nanoseconds
	busy  atomic.Int32 // reads and writes under way
	read  atomic.Bool  // something was read
	close sync.Once
}

func (c *conn) touch() { c.used.Store(time.Now().UnixNano()) }

// idleSince returns for how long nothing has been done with the connection; a
// subscription is never idle, somebody always reads from it.
func (c *conn) idleSince(now time.Time) time.Duration {
	if c.busy.Load() > 0 {
		return 0
	}
	return time.Duration(now.UnixNano() - c.used.Load())
}

func (c *conn) Read(b []byte) (int, error) {
	c.busy.Add(1)
	defer c.done()
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.read.Store(true)
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	c.busy.Add(1)
	defer c.done()
	return c.Conn.Write(b)
}

func (c *conn) done() {
	c.touch()
	c.busy.Add(-1)
}

// SetDeadline is what the pool calls when it takes a connection out: a use.
func (c *conn) SetDeadline(t time.Time) error {
	c.touch()
	return c.Conn.SetDeadline(t)
}

// Close closes the connection. The pool closes what was closed here already, and
// must not take that for an error.
func (c *conn) Close() (err error) {
	c.close.Do(func() {
		c.owner.forget(c)
		err = c.Conn.Close()
	})
	return err
}

// SyscallConn lets the pool look for a connection that the server has closed.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
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
