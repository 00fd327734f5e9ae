package cache

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	fakeredis "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/secrettest"
)

// A Dialer of the caller's may return whatever is a connection, and a server that was
// away is found again.
func TestDialersOfCallers(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	config := &tls.Config{Certificates: web.TLS.Certificates}
	mini, err := miniredis.RunTLS(config)
	require.NoError(t, err)
	defer mini.Close()
	type wrapped struct{ *tls.Conn }
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"TLS":         func(conn net.Conn) net.Conn { return conn },
		"wrapped TLS": func(conn net.Conn) net.Conn { return wrapped{conn.(*tls.Conn)} },
		"a pipe":      pipeTo,
	} {
		t.Run(name, func(t *testing.T) {
			dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: "example.com"}}
			c := open(t, "cache", []string{"ConnectionStrings__cache=" + mini.Addr()}, WithRedisOptions(func(o *redis.UniversalOptions) {
				o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := dialer.DialContext(ctx, network, addr)
					if err != nil {
						return nil, err
					}
					return wrap(conn), nil
				}
			}))
			require.NoError(t, c.Set(t.Context(), "k", make([]byte, 1<<20), EntryOptions{}))
			if name != "a pipe" { // go-redis cannot see that one is dead
				mini.Close()
				// Another test may have the port for a moment.
				require.Eventually(t, func() bool { return mini.StartTLS(config) == nil }, 10*time.Second, 10*time.Millisecond)
			}
			value, found, err := c.Get(t.Context(), "k")
			require.NoError(t, err)
			assert.True(t, found)
			assert.Len(t, value, 1<<20)
			require.NoError(t, c.Close())
		})
	}
}

// pipeTo returns one end of a pipe that leads to a connection.
func pipeTo(conn net.Conn) net.Conn {
	near, far := net.Pipe()
	join := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
		_ = from.Close()
	}
	go join(far, conn)
	go join(conn, far)
	return near
}

// The warning that changes cannot be followed shows nothing of a login that a server repeats.
func TestFollowingShowsNoSecret(t *testing.T) {
	t.Parallel()
	const secret = secrettest.Nasty
	fake, err := fakeredis.NewServer("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(fake.Close)
	for _, command := range []string{"HELLO", "AUTH", "PING", "INFO"} {
		require.NoError(t, fake.Register(command, func(c *fakeredis.Peer, _ string, args []string) {
			c.WriteRaw("-ERR refused: " + strings.Join(append(args, secret), " ") + "\r\n")
		}))
	}
	log := &lockedBuffer{}
	at := fake.Addr().String() + ",connectRetry=1,setlib=false,connectTimeout=300,syncTimeout=300,password=" + secret
	c := open(t, "cache", []string{"ConnectionStrings__cache=" + at}, WithLocal(1<<20), WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "cannot be followed") }, time.Minute, time.Millisecond)
	require.NoError(t, c.Close())
	secrettest.Shown(t, secret, log.String(), "the log")
}
