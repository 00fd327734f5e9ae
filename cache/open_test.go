package cache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// open is Open with nothing around it but these environment variables.
func open(t *testing.T, name string, environ []string, opts ...Option) *Cache {
	t.Helper()
	c, err := Open(t.Context(), name, append([]Option{WithEnvironment(environ)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func requireWorks(t *testing.T, c *Cache) {
	t.Helper()
	require.NoError(t, c.Set(t.Context(), "open", []byte("value"), EntryOptions{}))
	value, found, err := c.Get(t.Context(), "open")
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "value", string(value))
}

// The kind of client follows from what servers say, never from the number of addresses.
func TestOpenFindsTheKindOfServer(t *testing.T) {
	t.Parallel()
	plain, sentinel, cluster := redistest.Plain(t), redistest.Sentinel(t), redistest.Cluster(t)
	host := func(setup *redistest.Setup) string { return setup.Metadata["redisHost"] }
	password := ",password=" + sentinel.Metadata["redisPassword"]
	for name, test := range map[string]struct {
		connection string
		client     redis.UniversalClient
		address    string
	}{
		"one":                {host(plain), &redis.Client{}, host(plain)},
		"one, two names":     {strings.Replace(host(plain), "127.0.0.1", "localhost", 1) + "," + host(plain), &redis.Client{}, ""},
		"in memory":          {miniredis.RunT(t).Addr(), &redis.Client{}, ""},
		"sentinel":           {host(sentinel) + ",serviceName=" + sentinel.Metadata["sentinelMasterName"] + password + ",sentinelPassword=" + sentinel.Metadata["sentinelPassword"], &redis.Client{}, "FailoverClient"},
		"cluster":            {host(cluster), &redis.ClusterClient{}, ""},
		"cluster, one node":  {cluster.Servers[0].Addr, &redis.ClusterClient{}, ""},
		"replica, primary":   {sentinel.Servers[1].Addr + "," + sentinel.Servers[0].Addr + password, &redis.Client{}, ""},
		"dead one, live one": {"127.0.0.1:1," + host(plain), &redis.Client{}, host(plain)},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, "cache", []string{"ConnectionStrings__cache=" + test.connection})
			requireWorks(t, c)
			client, err := c.connection.client(t.Context())
			require.NoError(t, err)
			assert.IsType(t, test.client, client)
			if single, ok := client.(*redis.Client); ok && test.address != "" {
				assert.Equal(t, test.address, single.Options().Addr)
			}
		})
	}
	other := redistest.Start(t)
	for name, test := range map[string]struct{ connection, err string }{
		"two in memory": {miniredis.RunT(t).Addr() + "," + miniredis.RunT(t).Addr(), "do not tell what they are (INFO): name the one that is the cache, or set IsClusterMode"},
		"two primaries": {host(plain) + "," + other.Addr, host(plain) + " and " + other.Addr + " are neither a cluster nor replicas of each other: name the one that is the cache"},
		"a sentinel":    {sentinel.Sentinels[0].Addr + ",password=" + sentinel.Metadata["sentinelPassword"], "it is a sentinel: set serviceName"},
		"a replica":     {sentinel.Servers[1].Addr + password, "it is a replica, which takes no writes"},
		"TLS":           {host(redistest.TLS(t)), "EOF (if the server speaks TLS, set ssl=true)"},
		"nobody":        {"127.0.0.1:1,127.0.0.1:2,connectRetry=0", "connect to 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused\nconnect to 127.0.0.1:2: "},
		"who may not":   {sentinel.Servers[0].Addr, "NOAUTH"},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, "cache", []string{"ConnectionStrings__cache=" + test.connection})
			_, _, err := c.Get(t.Context(), "key")
			require.ErrorContains(t, err, test.err)
			assert.ErrorContains(t, err, "cache: get: ")
			value, err := c.GetOrCreate(t.Context(), "key", constant("made"), EntryOptions{})
			require.NoError(t, err)
			assert.Equal(t, "made", string(value))
		})
	}
}

// A cache can be opened while Redis is down, and works once it is up.
func TestOpenWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	environ := []string{"ConnectionStrings__cache=" + server.Addr + ",connectRetry=0"}
	c := open(t, "cache", environ)
	_, _, err := c.Get(t.Context(), "key")
	require.ErrorContains(t, err, "connection refused")
	require.ErrorContains(t, c.HealthCheck(t.Context()), "cache: health: connect to "+server.Addr)

	_, err = Open(t.Context(), "cache", WithEnvironment([]string{environ[0] + ",abortConnect=true"}))
	require.ErrorContains(t, err, `cache: open "cache": connect to `+server.Addr)

	logger, log := testLogger()
	open(t, "cache", append(environ, "Aspire__StackExchange__Redis__DisableAutoActivation=false"), WithLogger(logger))
	assert.Contains(t, log.String(), "Redis does not answer yet")

	server.Restart(t)
	requireWorks(t, c)
	requireWorks(t, open(t, "cache", []string{environ[0] + ",abortConnect=true"}))
	activated := open(t, "cache", append(environ, "Aspire__StackExchange__Redis__DisableAutoActivation=false"))
	assert.NotNil(t, activated.connection.opened.Load(), "it is connected")
	assert.Nil(t, open(t, "cache", environ).connection.opened.Load(), "the first call connects")
}

// A context ends the wait for a server that is silent, and Close ends the attempt.
func TestOpenOnASilentServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Pause()
	defer server.Resume()
	c, err := Open(t.Context(), "cache", WithEnvironment([]string{"ConnectionStrings__cache=" + server.Addr}))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, _, err = c.Get(ctx, "key")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, c.Close())
	_, _, err = c.Get(t.Context(), "key")
	require.ErrorIs(t, err, ErrClosed)
}

// Later sources win, and inline functions over all.
func TestOpenPrecedence(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "appsettings.json")
	require.NoError(t, os.WriteFile(file, []byte(`{
		// as .NET allows
		"ConnectionStrings": {"cache": "file:1,name=fromString,syncTimeout=1000,connectTimeout=2000"},
		"Aspire": {"StackExchange": {"Redis": {
			"ConfigurationOptions": {"SyncTimeout": 1100, "ConnectTimeout": 2100, "ClientName": "fromSection"},
			"InstanceName": "section:",
			"DisableTracing": true,
			"cache": {"ConfigurationOptions": {"ConnectTimeout": 2200}, "DisableHealthChecks": true},
		}}},
	}`), 0o600))
	var got *redis.UniversalOptions
	peek := WithRedisOptions(func(o *redis.UniversalOptions) { got = o })
	c := open(t, "CACHE", nil, WithAppSettings(file), peek)
	assert.Equal(t, []string{"file:1"}, got.Addrs)
	assert.Equal(t, 1100*time.Millisecond, got.ReadTimeout)
	assert.Equal(t, 2200*time.Millisecond, got.DialTimeout)
	assert.Equal(t, "fromSection", got.ClientName)
	assert.Equal(t, "section:", c.instance)
	assert.Empty(t, c.HealthChecks())
	assert.Nil(t, c.tracerProvider)

	c = open(t, "other", []string{"ConnectionStrings__other=env:2", "Aspire__StackExchange__Redis__Other__InstanceName=env:"}, WithAppSettings(file), peek)
	assert.Equal(t, []string{"env:2"}, got.Addrs)
	assert.Equal(t, 2100*time.Millisecond, got.DialTimeout)
	assert.Equal(t, "env:", c.instance)
	assert.Contains(t, c.HealthChecks(), HealthCheckName)

	c = open(t, "cache", []string{"CONNECTIONSTRINGS__CACHE=env:3", "Aspire__StackExchange__Redis__Cache__ConfigurationOptions__ClientName=fromEnv"},
		WithAppSettings(file), WithInstanceName("option:"),
		WithSettings(func(s *Settings) { s.DisableHealthChecks = false; s.ConfigurationOptions["SyncTimeout"] = "1300" }),
		WithRedisOptions(func(o *redis.UniversalOptions) { o.DialTimeout = 2400 * time.Millisecond }), peek)
	assert.Equal(t, []string{"env:3"}, got.Addrs)
	assert.Equal(t, 1300*time.Millisecond, got.ReadTimeout)
	assert.Equal(t, 2400*time.Millisecond, got.DialTimeout)
	assert.Equal(t, "fromEnv", got.ClientName)
	assert.Equal(t, "option:", c.instance)
	assert.Contains(t, c.HealthChecks(), HealthCheckName)
}

// The environment and the working directory are those of the process.
func TestOpenReadsTheProcess(t *testing.T) {
	server := redistest.Plain(t).Servers[0]
	t.Chdir(t.TempDir())
	t.Setenv("ConnectionStrings__shop", server.Addr)
	require.NoError(t, os.WriteFile("appsettings.json", []byte(`{"ConnectionStrings": {"files": "`+server.Addr+`"}}`), 0o600))
	for _, name := range []string{"shop", "files"} {
		c, err := Open(t.Context(), name)
		require.NoError(t, err)
		requireWorks(t, c)
		require.NoError(t, c.Close())
	}
}

func TestOpenMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ []string
		opts    []Option
		errs    []string
	}{
		"two places": {[]string{"ConnectionStrings__cache=localhost,flibble=1", "Aspire__StackExchange__Redis__DisableTracing=maybe"}, nil, []string{
			"cache: ConnectionStrings:cache: Keyword 'flibble' is not supported.", "Aspire:StackExchange:Redis:DisableTracing: takes true or false"}},
		"no address": {[]string{"ConnectionStrings__cache=localhost"}, []Option{WithRedisOptions(func(o *redis.UniversalOptions) { o.Addrs = nil })}, []string{"ConnectionStrings__cache"}},
		"nothing":    {nil, nil, []string{"ConnectionStrings:cache", "ConnectionStrings__cache", "Aspire:StackExchange:Redis:cache:ConnectionString", "Aspire__StackExchange__Redis__cache__ConnectionString"}},
		"keyword": {[]string{"ConnectionStrings__cache=localhost,flibble=1,syncTimeout=ten"}, nil, []string{
			"Keyword 'flibble' is not supported.", "Keyword 'SyncTimeout' requires an integer value; the value 'ten' is not recognised."}},
		"option": {[]string{"ConnectionStrings__cache=localhost", "Aspire__StackExchange__Redis__ConfigurationOptions__ConectTimeout=1"}, nil, []string{
			"Aspire:StackExchange:Redis:ConfigurationOptions:ConectTimeout", "did you mean ConnectTimeout?"}},
		"file": {nil, []Option{WithAppSettings("/nowhere/appsettings.json")}, []string{"/nowhere/appsettings.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), "cache", append(test.opts, WithEnvironment(test.environ))...)
			require.Error(t, err)
			assert.True(t, strings.HasPrefix(err.Error(), "cache: "), err)
			for _, text := range test.errs {
				assert.ErrorContains(t, err, text)
			}
		})
	}
}

// Inline functions may say all by themselves, go-redis's own defaults included.
func TestOpenWithRedisOptionsAlone(t *testing.T) {
	t.Parallel()
	cluster := redistest.Cluster(t)
	for name, options := range map[string]redis.UniversalOptions{
		"one":     {Addrs: []string{redistest.Plain(t).Servers[0].Addr}},
		"cluster": {Addrs: []string{cluster.Servers[0].Addr}, IsClusterMode: true},
	} {
		c := open(t, "cache", nil, WithSettings(nil), WithRedisOptions(nil), WithRedisOptions(func(o *redis.UniversalOptions) { *o = options }))
		requireWorks(t, c)
		client, err := c.connection.client(t.Context())
		require.NoError(t, err)
		_, isCluster := client.(*redis.ClusterClient)
		assert.Equal(t, options.IsClusterMode, isCluster, name)
	}
}

// Sentinels that do not know the primary are an error of every call.
func TestSentinelsWithoutThePrimary(t *testing.T) {
	t.Parallel()
	setup := redistest.Sentinel(t)
	c := open(t, "cache", []string{"ConnectionStrings__cache=" + setup.Metadata["redisHost"] + ",serviceName=nope,connectRetry=0,sentinelPassword=" +
		setup.Metadata["sentinelPassword"] + ",password=" + setup.Metadata["redisPassword"]})
	ctx := t.Context()
	for name, err := range map[string]error{
		"Get":         func() error { _, _, err := c.Get(ctx, "key"); return err }(),
		"GetMany":     func() error { _, err := c.GetMany(ctx, "key", "other"); return err }(),
		"Set":         c.Set(ctx, "key", nil, EntryOptions{}),
		"SetMany":     c.SetMany(ctx, map[string][]byte{"key": nil, "other": nil}, EntryOptions{}),
		"Refresh":     c.Refresh(ctx, "key"),
		"Remove":      c.Remove(ctx, "key"),
		"RemoveByTag": c.RemoveByTag(ctx, "tag"),
		"HealthCheck": c.HealthCheck(ctx),
	} {
		assert.ErrorContains(t, err, "sentinels", name)
	}
}

// What prints a cache prints no password.
func TestCachesPrintNoSecret(t *testing.T) {
	t.Parallel()
	c := open(t, "cache", []string{"ConnectionStrings__cache=localhost,password=hunter2"})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.NotContains(t, fmt.Sprintf(verb, c), "hunter2")
	}
}

// What has no effect is said, once.
func TestOptionsWithoutEffect(t *testing.T) {
	t.Parallel()
	logger, log := testLogger()
	open(t, "cache", []string{"ConnectionStrings__cache=localhost,allowAdmin=true,$CONFIG="}, WithLogger(logger))
	assert.Contains(t, log.String(), `msg="cache: options without effect here" cache=cache options="[allowAdmin $CMD]"`)
	assert.Equal(t, 1, strings.Count(log.String(), "without effect"))
}

func TestKeyed(t *testing.T) {
	t.Parallel()
	server := redistest.Plain(t).Servers[0]
	environ := []string{}
	for i, name := range []string{"chat", "product"} {
		environ = append(environ, fmt.Sprintf("ConnectionStrings__%s=%s,defaultDatabase=%d", name, server.Addr, i+1),
			"Aspire__StackExchange__Redis__"+name+"__InstanceName="+name+":")
	}
	k := NewKeyed(WithEnvironment(environ))
	ctx := t.Context()
	chat, err := k.Cache(ctx, "chat")
	require.NoError(t, err)
	again, err := k.Cache(ctx, "CHAT")
	require.NoError(t, err)
	assert.Same(t, chat, again)
	_, err = k.Cache(ctx, "unknown")
	require.ErrorContains(t, err, "ConnectionStrings:unknown")
	assert.Len(t, k.HealthChecks(), 1)

	opened := make(chan *Cache)
	for range 8 {
		go func() {
			c, err := k.Cache(context.Background(), "product")
			assert.NoError(t, err)
			opened <- c
		}()
	}
	product := <-opened
	for range 7 {
		assert.Same(t, product, <-opened)
	}
	require.NoError(t, chat.Set(ctx, "key", []byte("chat"), EntryOptions{}))
	require.NoError(t, product.Set(ctx, "key", []byte("product"), EntryOptions{}))
	value, _, err := chat.Get(ctx, "key")
	require.NoError(t, err)
	assert.Equal(t, "chat", string(value))

	checks := k.HealthChecks()
	require.Len(t, checks, 2)
	require.NoError(t, checks["StackExchange.Redis_chat"](ctx))
	require.NoError(t, checks["StackExchange.Redis_product"](ctx))

	require.NoError(t, k.Close())
	require.NoError(t, k.Close())
	assert.Empty(t, k.HealthChecks())
	for _, c := range []*Cache{chat, product} {
		_, _, err = c.Get(ctx, "key")
		assert.ErrorIs(t, err, ErrClosed)
	}
	_, err = k.Cache(ctx, "chat")
	assert.ErrorIs(t, err, ErrClosed)
}

// Waiting for somebody else who opens the cache ends with the context, and with Close.
func TestKeyedWhileOneIsOpened(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Pause()
	defer server.Resume()
	k := NewKeyed(WithEnvironment([]string{"ConnectionStrings__cache=" + server.Addr + ",abortConnect=true"}))
	opened := make(chan error)
	go func() {
		_, err := k.Cache(context.Background(), "cache")
		opened <- err
	}()
	require.Eventually(t, func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.caches["cache"] != nil && len(k.caches["cache"].opening) == 1
	}, soon, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := k.Cache(ctx, "cache")
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, k.Close())
	require.ErrorIs(t, <-opened, ErrClosed)
}
