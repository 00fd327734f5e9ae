package redistest

import (
	"context"
	"io"
	"net"
	"sync"
)

// watcher sees what passes on one connection before it is passed on, and says how
// many of the bytes are. When that is not all of them it ends the connection, and
// with halfClose only this direction of it.
type watcher interface {
	request(data []byte) int // from the client
	reply(data []byte) int   // from the server
	closed()                 // nothing passes any more
}

const halfClose = -1

// relay stands between clients and a server and passes everything on.
type relay struct {
	listener net.Listener
	dial     func(context.Context) (net.Conn, error) // connects to the server
	watch    func(server net.Conn) watcher           // of a new connection

	ctx    context.Context // ends with the relay
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// startRelay starts a relay that is where the listener listens, until close.
func startRelay(listener net.Listener, dial func(context.Context) (net.Conn, error), watch func(net.Conn) watcher) *relay {
	r := &relay{listener: listener, dial: dial, watch: watch, conns: map[net.Conn]struct{}{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.done.Go(r.accept)
	return r
}

// close ends the relay and all connections, and waits until they are gone.
func (r *relay) close() {
	r.cancel()
	_ = r.listener.Close()
	r.cut()
	r.done.Wait()
}

// cut closes all connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close()
	}
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.done.Go(func() { r.serve(client) })
	}
}

// serve connects the client to the server until one of them closes.
func (r *relay) serve(client net.Conn) {
	if tcp, ok := client.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(256 << 10) // or a server that reads nothing would keep nobody from writing for long
	}
	// The client first: a cut during the dial ends it and so what follows.
	r.add(client)
	defer r.remove(client)
	server, err := r.dial(r.ctx)
	if err != nil {
		return
	}
	r.add(server)
	defer r.remove(server)

	w := r.watch(server)
	defer w.closed()
	var both sync.WaitGroup
	both.Go(func() { pass(server, client, w.request) })
	both.Go(func() { pass(client, server, w.reply) })
	both.Wait()
}

func (r *relay) add(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = struct{}{}
}

func (r *relay) remove(c net.Conn) {
	_ = c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// pass copies from one side to the other, as long as the filter lets it, and
// then closes both.
func pass(to io.WriteCloser, from io.ReadCloser, filter func([]byte) int) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			passed := filter(buf[:n])
			if half, ok := to.(interface{ CloseWrite() error }); ok && passed == halfClose {
				_ = half.CloseWrite()
				_, _ = io.Copy(io.Discard, from)
				return
			}
			passed = max(passed, 0)
			if _, err := to.Write(buf[:passed]); err != nil || passed < n {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
