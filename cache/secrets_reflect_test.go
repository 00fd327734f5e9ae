package cache

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	fakeredis "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/secrettest"
)

// No exported type shows a secret that it holds, however it is printed. Keys and values
// are data: they are in no error, log line or span.
func TestTypesShowNoSecret(t *testing.T) {
	t.Parallel()
	const secret = secrettest.Nasty
	environ := []string{"ConnectionStrings__cache=127.0.0.1:1,connectRetry=1,password=" + secret}
	connection := mustParse(t, "h,serviceName=m,password="+secret+",sentinelPassword="+secret)
	settings := Settings{ConnectionString: "h,password=" + secret, ConfigurationOptions: map[string]string{"Password": secret, "Passwort": secret}}
	torn := Settings{ConnectionString: secret + ",=" + secret}
	_, mistake := ParseConnectionString("h,password=x,sentinelPasswort=" + secret)
	require.Error(t, mistake)
	keyed := NewKeyed(WithEnvironment(environ))
	t.Cleanup(func() { require.NoError(t, keyed.Close()) })
	opened, err := keyed.Cache(t.Context(), "cache")
	require.NoError(t, err)
	_, _, refused := opened.Get(t.Context(), "key")
	require.Error(t, refused)
	client := redis.NewClient(connection.UniversalOptions().Simple())
	t.Cleanup(func() { _ = client.Close() })

	secrettest.CheckTypes(t, ".", secret, map[string][]any{
		"Cache":              {open(t, "cache", environ), newTestCache(t, client), opened, refused},
		"Keyed":              {keyed},
		"ConnectionString":   {connection, *connection},
		"Settings":           {settings, &settings, torn, &torn},
		"ConfigurationError": {mistake},
		"Option":             {WithEnvironment(environ), WithSettings(func(s *Settings) { s.ConnectionString = secret })},
		"HealthChecks":       {opened.HealthChecks()},
		"HealthOption":       {WithHealthDetails()},
		"EntryOptions":       {EntryOptions{}},
		"Flags":              {DisableLocalCacheRead},
		"Codec":              {Codec(jsonCodec{})},
		"PanicError":         nil, // what a factory has panicked with
	})
}

// What servers repeat of a login is in no error and no log line.
func TestSecretsOfFailures(t *testing.T) {
	t.Parallel()
	const secret = secrettest.Nasty
	for name, reply := range map[string]func(args string) string{
		"in an error":  func(args string) string { return "-ERR refused: " + args },
		"in WRONGPASS": func(args string) string { return "-WRONGPASS " + args },
		"as no RESP":   func(args string) string { return args },
	} {
		t.Run(name, func(t *testing.T) {
			fake, err := fakeredis.NewServer("127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(fake.Close)
			for _, command := range []string{"HELLO", "AUTH", "PING", "INFO", "SENTINEL", "CLUSTER", "EVALSHA"} {
				require.NoError(t, fake.Register(command, func(c *fakeredis.Peer, _ string, args []string) {
					c.WriteRaw(reply(strings.Join(args, " ")) + "\r\n")
				}))
			}
			at := fake.Addr().String() + ",connectRetry=1,setlib=false,connectTimeout=300,syncTimeout=300,password=" + secret
			given := redis.NewClient(mustParse(t, at).UniversalOptions().Simple())
			t.Cleanup(func() { _ = given.Close() })
			log := &lockedBuffer{}
			logger := WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
			_, err = Open(t.Context(), "cache", WithEnvironment([]string{"ConnectionStrings__cache=" + at + ",abortConnect=true"}), logger)
			require.Error(t, err)
			secrettest.Check(t, secret, err)
			for _, c := range []*Cache{
				open(t, "cache", []string{"ConnectionStrings__cache=" + at}, logger),
				open(t, "cache", []string{"ConnectionStrings__cache=" + at + ",serviceName=m,sentinelPassword=" + secret}, logger),
				open(t, "cache", []string{"ConnectionStrings__cache=" + at}, logger, WithRedisOptions(func(o *redis.UniversalOptions) { o.IsClusterMode = true })),
				newTestCache(t, given, logger),
			} {
				_, _, err := c.Get(t.Context(), "key")
				require.Error(t, err)
				_, many := c.GetMany(t.Context(), "key", "other")
				_, made := c.GetOrCreate(t.Context(), "key", constant("made"), EntryOptions{})
				secrettest.Check(t, secret, err, many, made, c.HealthCheck(context.Background()), c.Set(t.Context(), "key", nil, EntryOptions{}))
			}
			secrettest.Shown(t, secret, log.String(), "the log")
		})
	}
}
