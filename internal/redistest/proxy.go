package redistest

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between clients and a server, passing everything on, and can
// keep the server's replies to itself. Who says no HELLO, such as a sentinel, is
// none of the clients: that passes always, and is not counted.
type Proxy struct {
	Addr string // where clients connect

	relay *relay

	mu    sync.Mutex
	conns []*proxied // all that ever were
	lines int        // of replies that may yet pass; negative: any number
	hold  *held      // what is to become of the next reply; nil: nothing
}

// StartProxy starts a proxy in front of the server, for this test only.
func StartProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(listener, s)
	t.Cleanup(p.relay.close)
	return p
}

func newProxy(listener net.Listener, s *Server) *Proxy {
	p := &Proxy{Addr: listener.Addr().String(), lines: -1}
	dial := func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	}
	p.relay = startRelay(listener, dial, p.watch)
	return p
}

// SwallowReplies makes the proxy cut a connection in place of passing on what
// the server replies, so that a command is carried out and nobody hears of it.
func (p *Proxy) SwallowReplies(on bool) {
	if on {
		p.CutAfterLines(0)
	} else {
		p.CutAfterLines(-1)
	}
}

// CutAfterLines makes the proxy pass on so many more lines of replies, and then
// cut each connection as with [Proxy.SwallowReplies]. A number is one line and a
// value two. It returns how many lines of the last limit were left.
func (p *Proxy) CutAfterLines(n int) (left int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left, p.lines = p.lines, n
	return left
}

// held is a reply that is kept back.
type held struct{ begun, ended chan struct{} }

// HoldNextReply makes the proxy keep back the next reply, and all that come after
// it on the same connection, until release is called or the test ends. begun is
// closed when the reply is there.
func (p *Proxy) HoldNextReply(t testing.TB) (begun <-chan struct{}, release func()) {
	h := &held{make(chan struct{}), make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = h
	release = sync.OnceFunc(func() { close(h.ended) })
	t.Cleanup(release)
	return h.begun, release
}

// Sent counts how many times clients have sent the command.
func (p *Proxy) Sent(command string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		n += strings.Count(strings.ToLower(c.sent.String()), "\r\n"+strings.ToLower(command)+"\r\n")
	}
	return n
}

// Cut closes all connections.
func (p *Proxy) Cut() { p.relay.cut() }

// proxied is a connection through a Proxy.
type proxied struct {
	*Proxy
	client atomic.Bool
	sent   bytes.Buffer // all that a client has sent; of mu
}

func (p *Proxy) watch(net.Conn) watcher {
	c := &proxied{Proxy: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
	return c
}

func (c *proxied) request(data []byte) int {
	if !c.client.Load() {
		c.client.Store(bytes.Contains(bytes.ToLower(data), []byte("\r\nhello\r\n")))
	}
	if c.client.Load() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sent.Write(data)
	}
	return len(data)
}

func (c *proxied) reply(data []byte) int {
	// A new connection's handshake goes through: it is the command's reply that is lost.
	if !c.client.Load() || bytes.Contains(data, []byte("proto")) || bytes.Contains(data, []byte("+PONG")) || refusesHello(data) {
		return len(data)
	}
	c.mu.Lock()
	hold := c.hold
	c.hold = nil
	c.mu.Unlock()
	if hold != nil {
		close(hold.begun)
		<-hold.ended
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lines < 0 {
		return len(data)
	}
	passed := 0
	for c.lines > 0 && passed < len(data) {
		end := bytes.IndexByte(data[passed:], '\n')
		if end < 0 {
			return len(data)
		}
		passed += end + 1
		c.lines--
	}
	return passed
}

// refusesHello says whether the reply is that of a server before Redis 6.0 to HELLO.
func refusesHello(reply []byte) bool {
	return bytes.HasPrefix(bytes.ToLower(reply), []byte("-err unknown command `hello`"))
}

func (*proxied) closed() {}
