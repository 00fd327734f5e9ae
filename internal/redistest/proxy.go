package redistest

import (
	"bytes"
	"io"
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

	target   string
	listener net.Listener
	swallow  atomic.Bool

	mu    sync.Mutex
	sent  bytes.Buffer // all that clients have sent
	conns []net.Conn
	done  sync.WaitGroup
}

// StartProxy starts a proxy in front of the server, for this test only.
func StartProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: listener.Addr().String(), target: s.Addr, listener: listener}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.Cut()
		p.done.Wait()
	})
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
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.done.Go(func() { p.pass(server, client, p.record) })
		p.done.Go(func() { p.pass(client, server, p.mayReply) })
	}
}

// pass copies from one side to the other, as long as the filter lets it, and
// then closes both.
func (p *Proxy) pass(to io.WriteCloser, from io.ReadCloser, filter func([]byte) bool) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !filter(buf[:n]) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) record(data []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent.Write(data)
	return true
}

func (p *Proxy) mayReply(data []byte) bool {
	// A new connection's handshake goes through: it is the command's reply that is lost.
	handshake := bytes.Contains(data, []byte("proto")) || bytes.Contains(data, []byte("+PONG"))
	return handshake || !p.swallow.Load()
}
