package bindingtest

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	miniserver "github.com/alicebob/miniredis/v2/server"
)

// server is the Redis in memory and the way to it. miniredis itself never stops
// before the end, as a script that it runs while it does would crash: what goes
// away are the listener and the connections.
type server struct {
	redis *miniredis.Miniredis
	addr  string                 // where it listens, or did and will again
	reply atomic.Pointer[string] // the error every command is answered with; nil for none

	coming   sync.Mutex   // held while it comes or goes
	listener net.Listener // nil while it is away
	done     sync.WaitGroup
	ended    bool // it will not come back

	mu    sync.Mutex
	conns map[*conn]struct{} // nil while it is away
}

// conn is a connection to the server. Close is for miniredis, which calls it when
// it is done with the commands that came.
type conn struct {
	net.Conn
	done func()
}

func (c *conn) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// startServer starts a server on a free port.
func startServer() (*server, error) {
	s := &server{redis: miniredis.NewMiniRedis(), addr: "127.0.0.1:0"}
	unused, err := s.redis.Dial() // starts it without a listener of its own
	if err != nil {
		return nil, err
	}
	_ = unused.Close()
	s.redis.Server().SetPreHook(s.answer)
	if err := s.start(); err != nil {
		s.redis.Close()
		return nil, err
	}
	s.addr = s.listener.Addr().String()
	return s, nil
}

// start lets clients connect. It does nothing when they can already.
func (s *server) start() error {
	s.coming.Lock()
	defer s.coming.Unlock()
	if s.listener != nil || s.ended {
		return nil
	}
	listener, err := net.Listen("tcp", s.addr)
	for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); {
		// Somebody's connection may have the port for its own, for a moment.
		time.Sleep(10 * time.Millisecond)
		listener, err = net.Listen("tcp", s.addr)
	}
	if err != nil {
		return err
	}
	s.listener = listener
	s.mu.Lock()
	s.conns = map[*conn]struct{}{}
	s.mu.Unlock()
	s.done.Go(func() { s.accept(listener) })
	return nil
}

// stop ends all connections and lets no one connect. No command is carried out
// any more when it returns.
func (s *server) stop() {
	s.coming.Lock()
	defer s.coming.Unlock()
	if s.listener == nil {
		return
	}
	_ = s.listener.Close()
	s.listener = nil
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Conn.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.done.Wait()
}

// end stops the server for good.
func (s *server) end() {
	s.coming.Lock()
	s.ended = true
	s.coming.Unlock()
	s.stop()
	s.redis.Close()
}

func (s *server) accept(listener net.Listener) {
	for {
		accepted, err := listener.Accept()
		if err != nil {
			return
		}
		c := &conn{Conn: accepted}
		s.mu.Lock()
		if s.conns == nil {
			s.mu.Unlock()
			_ = accepted.Close()
			return
		}
		s.conns[c] = struct{}{}
		s.done.Add(1)
		s.mu.Unlock()
		c.done = sync.OnceFunc(func() {
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
			s.done.Done()
		})
		s.redis.Server().ServeConn(c)
	}
}

// fail has every command answered with the reply, or none when it is "".
func (s *server) fail(reply string) {
	s.redis.Lock() // which a script holds, whose commands must not fail half-way
	defer s.redis.Unlock()
	if reply == "" {
		s.reply.Store(nil)
		return
	}
	s.reply.Store(&reply)
}

// answer answers a command, unless Redis is to carry it out.
func (s *server) answer(peer *miniserver.Peer, command string, _ ...string) (done bool) {
	reply := s.reply.Load()
	if reply == nil || command == "HELLO" { // which a Redis that refuses all else answers
		return false
	}
	peer.WriteError(*reply)
	return true
}
