package entratest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// headerTimeout bounds how long a connection may take to send the header of a
// request.
const headerTimeout = 10 * time.Second

// server is an HTTP server on a free port of 127.0.0.1 whose goroutines can be
// waited for.
type server struct {
	addr string

	listener  net.Listener
	http      *http.Server
	accepting sync.WaitGroup
	conns     sync.WaitGroup
}

// listen returns a server that listens but does not serve yet, with TLS when
// there is a certificate. Requests have contexts that end with ctx.
func listen(ctx context.Context, handler http.Handler, cert *tls.Certificate) (*server, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	s := &server{addr: listener.Addr().String(), listener: listener}
	// Handlers of HTTP/2 run in goroutines of their own, of whose end a server
	// does not tell; those of HTTP/1 run in their connection's.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState:         s.track,
		// Clients that do not trust the certificate are nothing to report.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	if cert != nil {
		s.listener = tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{*cert},
			MinVersion:   tls.VersionTLS12,
		})
	}
	return s, nil
}

func (s *server) serve() {
	s.accepting.Go(func() { _ = s.http.Serve(s.listener) }) // It ends when the server is closed.
}

func (s *server) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed:
		s.conns.Done()
	default:
	}
}

// close closes the listener and all connections.
func (s *server) close() {
	_ = s.listener.Close() // It may not serve yet.
	_ = s.http.Close()
	s.accepting.Wait()
	// A connection that was just being accepted has escaped the first call.
	_ = s.http.Close()
}

// wait returns when all connections' goroutines have ended. The server must be
// closed.
func (s *server) wait() { s.conns.Wait() }
