package hosting

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/cache"
)

// works checks that a connection opens with everything that it is handed out for.
func works(t *testing.T, c *Connection) {
	t.Helper()
	binding, err := redisbinding.NewRedisBinding(c.Metadata())
	require.NoError(t, err)
	defer binding.Close()
	_, err = binding.Invoke(t.Context(), &redisbinding.InvokeRequest{
		Operation: redisbinding.CreateOperation, Metadata: map[string]string{"key": "works"}, Data: []byte("yes")})
	require.NoError(t, err)

	client := connect(t, c)
	assert.Equal(t, "yes", client.Get(t.Context(), "works").Val())

	made := cache.New(client)
	require.NoError(t, made.Set(t.Context(), "cached", []byte("yes"), cache.EntryOptions{}))

	opened, err := cache.Open(t.Context(), "cache",
		cache.WithEnvironment([]string{"ConnectionStrings__cache=" + c.ConnectionString()}),
		cache.WithRedisOptions(func(o *redis.UniversalOptions) {
			if o.TLSConfig != nil { // the CA is not in the connection string
				o.TLSConfig.RootCAs = c.UniversalOptions().TLSConfig.RootCAs
			}
		}))
	require.NoError(t, err)
	defer func() { require.NoError(t, opened.Close()) }()
	value, found, err := opened.Get(t.Context(), "cached")
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "yes", string(value))
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	b := builder(t)
	plain := b.AddRedis("plain").WithPassword("")
	guarded := b.AddRedis("guarded").WithImage("docker.io/valkey/valkey")
	safe := b.AddRedis("safe").WithTLS()
	cluster := b.AddCluster("cluster").WithTLS()
	a := runningApp(t, b)

	for _, c := range []*Connection{&plain.Connection, &guarded.Connection, &safe.Connection, &cluster.Connection} {
		works(t, c)
	}
	o := guarded.UniversalOptions()
	o.Password = ""
	stranger := redis.NewUniversalClient(o)
	defer stranger.Close()
	require.ErrorContains(t, stranger.Ping(t.Context()).Err(), "NOAUTH")

	assert.Len(t, a.HealthChecks(), 4)
	for name, check := range a.HealthChecks() {
		assert.NoError(t, check(t.Context()), name)
		assert.Contains(t, name, "_check")
	}
}

// miniredis leaves time to its user; who runs it for development expects it to pass.
func TestEmbeddedTimePasses(t *testing.T) {
	t.Parallel()
	b := builder(t)
	r := b.AddRedis("cache")
	runningApp(t, b)
	c := connect(t, &r.Connection)
	require.NoError(t, c.Set(t.Context(), "short", "x", 100*time.Millisecond).Err())
	require.NoError(t, c.Set(t.Context(), "long", "x", time.Hour).Err())
	require.Eventually(t, func() bool { return c.Exists(t.Context(), "short").Val() == 0 }, time.Minute, 5*time.Millisecond)
	ttl := c.TTL(t.Context(), "long").Val()
	assert.Less(t, ttl, time.Hour)
	assert.Greater(t, ttl, 50*time.Minute)
}

func TestEmbeddedCannot(t *testing.T) {
	t.Parallel()
	tests := map[string]func(b *Builder){
		"a data volume or bind mount":      func(b *Builder) { b.AddRedis("cache").WithDataVolume() },
		"WithPersistence":                  func(b *Builder) { b.AddRedis("cache").WithPersistence(0, 0) },
		"WithLifetime(PersistentLifetime)": func(b *Builder) { b.AddRedis("cache").WithLifetime(PersistentLifetime) },
		"a sentinel":                       func(b *Builder) { b.AddSentinel("cache") },
		"WithReplicas":                     func(b *Builder) { b.AddCluster("cache").WithReplicas(1) },
	}
	for what, declare := range tests {
		t.Run(what, func(t *testing.T) {
			b := builder(t)
			declare(b)
			_, err := b.Start(t.Context())
			require.EqualError(t, err, "hosting: cache: "+what+`: not supported by the runtime "embedded": install redis-server, or start Docker or Podman`)
			require.ErrorIs(t, err, ErrUnsupported)
			var of *ResourceError
			require.ErrorAs(t, err, &of)
			assert.Equal(t, "cache", of.Resource)
		})
	}
}

func TestEmbeddedPortTaken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port

	b := builder(t)
	b.AddRedis("cache").WithHostPort(port)
	_, err = b.Start(t.Context())
	require.ErrorIs(t, err, ErrPortTaken)
	require.EqualError(t, err, "hosting: cache: the port is taken: something else listens on 127.0.0.1:"+strconv.Itoa(port)+
		"; choose another host port, or 0 for any that is free")
}
