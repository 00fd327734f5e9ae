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
// keep the server's replies to itself.
type Proxy struct {
	Addr string // where clients connect

	relay   *relay
	swallow atomic.Bool

	mu   sync.Mutex
	sent bytes.Buffer // all that clients have sent
}

// StartProxy starts a proxy in front of the server, for this test only.
func StartProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: listener.Addr().String()}
	dial := func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	}
	p.relay = startRelay(listener, dial, func(net.Conn) watcher { return proxied{p} })
	t.Cleanup(p.relay.close)
	return p
}

// SwallowReplies makes the proxy cut a connection in place of passing on what
// the server replies, so that a command is carried out and nobody hears of it.
func (p *Proxy) SwallowReplies(on bool) { p.swallow.Store(on) }

// Sent counts how many times clients have sent the command.
func (p *Proxy) Sent(command string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Count(strings.ToLower(p.sent.String()), "\r\n"+strings.ToLower(command)+"\r\n")
}

// Cut closes all connections.
func (p *Proxy) Cut() { p.relay.cut() }

// proxied is a connection through a Proxy, which treats all of them alike.
type proxied struct{ *Proxy }

func (p proxied) request(data []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent.Write(data)
	return true
}

func (p proxied) reply(data []byte) bool {
	// A new connection's handshake goes through: it is the command's reply that is lost.
	handshake := bytes.Contains(data, []byte("proto")) || bytes.Contains(data, []byte("+PONG"))
	return handshake || !p.swallow.Load()
}

func (proxied) closed() {}
