package cache

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// now is the moment that the vectors of entries are reckoned from.
var now = time.Date(2025, 1, 2, 3, 4, 5, 678901200, time.UTC)

// plain returns a client of the shared server, which is emptied.
func plain(t testing.TB) *redis.Client {
	t.Helper()
	setup := redistest.Plain(t)
	setup.FlushAll(t)
	return clientOf(t, setup.Servers[0].Addr)
}

func clientOf(t testing.TB, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// newTestCache is New, closed at the end of the test, when nothing may have been logged that
// a test did not ask for.
func newTestCache(t testing.TB, client redis.UniversalClient, opts ...Option) *Cache {
	t.Helper()
	c := New(client, opts...)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// newLocalCache is newTestCache with values kept in process, ready.
func newLocalCache(t testing.TB, client redis.UniversalClient, opts ...Option) *Cache {
	t.Helper()
	c := newTestCache(t, client, append([]Option{WithLocal(1 << 20)}, opts...)...)
	requireTracking(t, c)
	return c
}

func requireTracking(t testing.TB, c *Cache) {
	t.Helper()
	redistest.Requires(t, "6.0", "CLIENT TRACKING")
	require.Eventually(t, c.local.on.Load, 10*time.Second, time.Millisecond, "changes are not followed")
}

// target is a kind of Redis.
type target struct {
	name   string
	client redis.UniversalClient
}

// targets are all kinds of Redis that a cache works on, emptied.
func targets(t *testing.T) []target {
	t.Helper()
	all := []target{{"miniredis", clientOf(t, miniredis.RunT(t).Addr())}, {"plain", plain(t)}}
	for _, setup := range []*redistest.Setup{redistest.TLS(t), redistest.Sentinel(t), redistest.Cluster(t)} {
		setup.FlushAll(t)
		all = append(all, target{setup.Name, universal(t, setup)})
	}
	return all
}

// universal returns a client of a set-up.
func universal(t testing.TB, setup *redistest.Setup) redis.UniversalClient {
	t.Helper()
	fields := setup.Metadata
	o := &redis.UniversalOptions{
		Addrs:                 strings.Split(fields["redisHost"], ","),
		Username:              fields["redisUsername"],
		Password:              fields["redisPassword"],
		SentinelPassword:      fields["sentinelPassword"],
		MasterName:            fields["sentinelMasterName"],
		IsClusterMode:         fields["redisType"] == "cluster",
		ContextTimeoutEnabled: true,
	}
	if fields["enableTLS"] == "true" {
		roots := x509.NewCertPool()
		require.True(t, roots.AppendCertsFromPEM([]byte(fields["caCert"])))
		own, err := tls.X509KeyPair([]byte(fields["clientCert"]), []byte(fields["clientKey"]))
		require.NoError(t, err)
		o.TLSConfig = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}}
	}
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// testClock is a clock that tests set.
type testClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func at(moment time.Time) Option { return WithClock(func() time.Time { return moment }) }

// lockedBuffer is a log that goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func testLogger() (*slog.Logger, *lockedBuffer) {
	log := &lockedBuffer{}
	return slog.New(slog.NewTextHandler(log, nil)), log
}

// constant is a factory.
func constant(value string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return []byte(value), nil }
}

func atoi(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}
