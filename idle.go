package redisbinding

import (
	"cmp"
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

// idleConns knows the open connections of one client and closes those that
// have been idle for longer than timeout. go-redis closes such connections only
// when it comes across them looking for one, so that a quiet application keeps
// them all, and then those too that minIdleConns says to keep.
type idleConns struct {
	timeout time.Duration // 0: connections may be idle for ever
	keep    int           // how many to leave open to each address

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
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
// keep most recently used.
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
			c.closeIdleSince(now.Add(-i.timeout))
		}
	}
}

// spares says whether there are more connections to the address than to keep.
func (i *idleConns) spares(addr string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := 0
	for c := range i.conns {
		if c.addr == addr {
			n++
		}
	}
	return n > i.keep
}

// track returns the connection that commands are written to (raw, or TLS over
// it) as one that remembers when it was used.
func (i *idleConns) track(addr string, over, raw net.Conn) *conn {
	c := &conn{Conn: over, raw: raw, addr: addr, owner: i}
	c.touch()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		_ = raw.Close() // what is tried with it fails
		return c
	}
	if i.conns == nil {
		i.conns = map[*conn]struct{}{}
	}
	i.conns[c] = struct{}{}
	return c
}

// closeAll closes every connection, those that come later too.
func (i *idleConns) closeAll() {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	i.closeOthers("")
}

// closeOthers closes every connection to another address.
func (i *idleConns) closeOthers(addr string) {
	i.mu.Lock()
	var others []*conn
	for c := range i.conns {
		if c.addr != addr {
			others = append(others, c)
		}
	}
	i.mu.Unlock()
	for _, c := range others {
		_ = c.Close()
	}
}

func (i *idleConns) forget(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.conns, c)
}
