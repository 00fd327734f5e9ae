package redisbinding

import (
	"cmp"
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// connSet is the open connections of one dialer. It closes those that have been
// idle for longer than timeout. go-redis closes such connections only when it
// comes across them looking for one, so that a quiet application keeps them all,
// and then those too that minIdleConns says to keep.
type connSet struct {
	timeout time.Duration // 0: connections may be idle for ever
	keep    int           // how many to leave open to each address

	readTimeout, writeTimeout time.Duration // 0: none but those that go-redis sets
	direct                    directCalls   // whose contexts the connections mind

	mu     sync.Mutex
	open   map[*conn]struct{}
	closed bool
}

// run closes idle connections every so often until ctx ends.
func (s *connSet) run(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			s.closeIdle(now)
		}
	}
}

// closeIdle closes, of the connections to each address, all idle ones but the
// keep most recently used.
func (s *connSet) closeIdle(now time.Time) {
	byAddr := map[string][]*conn{}
	for _, c := range s.all() {
		byAddr[c.addr] = append(byAddr[c.addr], c)
	}
	for _, conns := range byAddr {
		if len(conns) <= s.keep {
			continue
		}
		slices.SortFunc(conns, func(a, b *conn) int { return cmp.Compare(b.used.Load(), a.used.Load()) })
		for _, c := range conns[s.keep:] {
			c.closeIdleSince(now.Add(-s.timeout))
		}
	}
}

// closeUnused closes every connection that has not been used since.
func (s *connSet) closeUnused(since time.Time) {
	for _, c := range s.all() {
		c.closeIdleSince(since)
	}
}

// all returns the open connections.
func (s *connSet) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}

// spares says whether there are more connections to the address than to keep.
func (s *connSet) spares(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.open {
		if c.addr == addr {
			n++
		}
	}
	return n > s.keep
}

// track returns the connection that commands are written to (raw, or TLS over
// it) as one that remembers when it was used, and tells settle what comes of it.
func (s *connSet) track(addr string, over, raw net.Conn, settle func(err error, answered bool)) *conn {
	c := &conn{Conn: over, raw: raw, addr: addr, owner: s, settle: settle, mark: noMark}
	c.touch()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = raw.Close() // what is tried with it fails
		return c
	}
	if s.open == nil {
		s.open = map[*conn]struct{}{}
	}
	s.open[c] = struct{}{}
	return c
}

// closeAll closes every connection, those that come later too.
func (s *connSet) closeAll() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.closeOthers("")
}

// closeOthers closes every connection to another address.
func (s *connSet) closeOthers(addr string) {
	for _, c := range s.all() {
		if c.addr != addr {
			_ = c.Close()
		}
	}
}

func (s *connSet) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}
