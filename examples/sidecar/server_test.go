package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/bindingtest"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// impatient is a server with a binding, which says what becomes of its connections.
type impatient struct {
	address string
	conns   sync.WaitGroup
	mu      sync.Mutex
	closed  map[string]chan struct{} // by the client's address
}

func (s *impatient) ended(client net.Addr) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed[client.String()] == nil {
		s.closed[client.String()] = make(chan struct{})
	}
	return s.closed[client.String()]
}

func startImpatient(t *testing.T) *impatient {
	t.Helper()
	binding := bindingtest.New(t)
	_, err := binding.Invoke(t.Context(), &redisbinding.InvokeRequest{Operation: redisbinding.CreateOperation,
		Metadata: map[string]string{"key": "large"}, Data: make([]byte, 16<<20)})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &impatient{address: listener.Addr().String(), closed: map[string]chan struct{}{}}
	handler := redisbinding.Handler(map[string]redisbinding.OutputBinding{"store": binding})
	server := newServer(guard(handler, listener.Addr(), ""), time.Second)
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.conns.Add(1)
		case http.StateClosed:
			close(s.ended(conn.RemoteAddr()))
			s.conns.Done()
		default:
		}
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		s.conns.Wait()
	})
	return s
}

// dial opens a connection and says something on it.
func (s *impatient) dial(t *testing.T, text string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	return conn.(*net.TCPConn)
}

// dribble goes on with a byte now and then until nobody takes it any more.
func dribble(conn net.Conn, text string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		if _, err := io.WriteString(conn, text[i%len(text):][:1]); err != nil {
			return
		}
		<-tick.C
	}
}

const post = "POST /v1.0/bindings/store HTTP/1.1\r\nHost: localhost\r\n"

// However a client is slow, its connection ends, and others are served meanwhile.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ begin, goOn, answer string }{
		"says nothing":                 {"", "", ""},
		"dribbles headers":             {post, "X-Y: z\r\n", ""},
		"dribbles a body":              {post + "Content-Length: 1000000\r\n\r\n", "[", "408 Request Timeout"},
		"dribbles chunks":              {post + "Transfer-Encoding: chunked\r\n\r\n", "1\r\n[\r\n", "408 Request Timeout"},
		"dribbles a body nobody wants": {"POST /elsewhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", "[", "404 Not Found"},
		"asks for nothing more":        {"GET /v1.0/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "", "204 No Content"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startImpatient(t)
			conn := s.dial(t, test.begin)
			var dribbling sync.WaitGroup
			if test.goOn != "" {
				dribbling.Go(func() { dribble(conn, test.goOn) })
			}
			other := s.dial(t, "GET /v1.0/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			answer, err := io.ReadAll(other)
			require.NoError(t, err)
			assert.Contains(t, string(answer), "204 No Content")

			<-s.ended(conn.LocalAddr())
			answer, _ = io.ReadAll(conn) // that it was reset is as good
			if test.answer != "" {
				assert.Contains(t, string(answer), test.answer)
			}
			require.NoError(t, conn.Close())
			dribbling.Wait()
		})
	}
}

// A client that does not read its answer, which is more than the system keeps for it, is left.
func TestUnreadAnswer(t *testing.T) {
	t.Parallel()
	s := startImpatient(t)
	const get = `{"operation":"get","metadata":{"key":"large"}}`
	conn := s.dial(t, "")
	require.NoError(t, conn.SetReadBuffer(4<<10))
	_, err := io.WriteString(conn, post+"Content-Length: 46\r\n\r\n"+get)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // that would read the rest
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.EqualValues(t, 16<<20, resp.ContentLength)
	<-s.ended(conn.LocalAddr())
}

func TestLongHeader(t *testing.T) {
	s := startImpatient(t)
	conn := s.dial(t, post)
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = io.WriteString(conn, "X: "+strings.Repeat("x", 1<<20)+"\r\n\r\n") })
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
	writing.Wait()
}

// A page whose name has been made to lead here is of the same origin; its host tells.
func TestGuard(t *testing.T) {
	var warnings bytes.Buffer
	former := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&warnings, nil)))
	defer slog.SetDefault(former)
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	local, everywhere := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3500}, &net.TCPAddr{IP: net.IPv6zero, Port: 3500}
	for _, test := range []struct {
		address     net.Addr
		token, host string
		origin      string
		status      int
	}{
		{local, "", "localhost:3500", "", 200},
		{local, "", "LOCALHOST", "", 200},
		{local, "", "localhost.:3500", "", 200},
		{local, "", "evil.example.", "", 403},
		{local, "", "127.0.0.1:3500", "", 200},
		{local, "", "[::1]:3500", "", 200},
		{local, "", "[::1]", "", 200},
		{local, "", "evil.example:3500", "http://evil.example:3500", 403},
		{local, "", "evil.example:3500", "", 403},
		{local, "", "localhost.evil.example:3500", "", 403},
		{local, "", "127.0.0.1.evil.example", "", 403},
		{local, "", "", "", 403},
		{local, "", "localhost:3500", "http://evil.example", 403},
		{local, "token", "redis.internal", "", 200}, // a page does not know the token
		{everywhere, "token", "redis.internal", "", 200},
		{everywhere, "token", "redis.internal", "http://evil.example", 403},
		{everywhere, "", "redis.internal", "", 200}, // and a warning
	} {
		warnings.Reset()
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1.0/bindings/store", nil)
		r.Host = test.host
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		recorder := httptest.NewRecorder()
		guard(ok, test.address, test.token).ServeHTTP(recorder, r)
		assert.Equal(t, test.status, recorder.Code, test)
		assert.Equal(t, test.address == everywhere && test.token == "", strings.Contains(warnings.String(), "set DAPR_API_TOKEN"), test)
	}
}
