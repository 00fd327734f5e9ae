package redisbinding

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// target is a Redis to run the operation tests against.
type target struct {
	name     string
	metadata map[string]string
	admin    redis.UniversalClient // sees everything
}

// targets are the in-memory Redis and every kind of real one.
func targets(t *testing.T) []target {
	fake := miniredis.RunT(t)
	fakeClient := redis.NewClient(&redis.Options{Addr: fake.Addr()})
	t.Cleanup(func() { _ = fakeClient.Close() })
	all := []target{{"miniredis", map[string]string{"redisHost": fake.Addr()}, fakeClient}}
	for _, setup := range redistest.Setups(t) {
		all = append(all, target{setup.Name, setup.Fields(), admin(t, setup)})
		if setup.Name == "plain" || setup.Name == "cluster" {
			all = append(all, target{setup.Name + ", without pipelining", setup.Fields("pipelining", "off"), admin(t, setup)})
		}
		if setup.Name == "sentinel" {
			all = append(all, target{"sentinel, type cluster", setup.Fields("redisType", "cluster"), admin(t, setup)})
		}
	}
	return all
}

// admin returns a client that may run everything on all keys of the set-up.
func admin(t *testing.T, setup *redistest.Setup) redis.UniversalClient {
	if setup.Name != "cluster" {
		return setup.Servers[0].Client()
	}
	var addrs []string
	for _, s := range setup.Servers {
		addrs = append(addrs, s.Addr)
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestOperations(t *testing.T) {
	t.Parallel()
	for _, target := range targets(t) {
		t.Run(target.name, func(t *testing.T) {
			t.Parallel()
			binding := newBinding(t, target.metadata)
			require.NoError(t, binding.Ping(t.Context()))
			runOperationTests(t, binding, target.admin)
		})
	}
}

func runOperationTests(t *testing.T, binding *RedisBinding, admin redis.UniversalClient) {
	for _, test := range operationTests {
		t.Run(test.name, func(t *testing.T) {
			test.run(t, binding, admin, fmt.Sprintf("%s/%d/", t.Name(), time.Now().UnixNano()))
		})
	}
}

// operationTests hold for every kind of Redis. Keys begin with the prefix given.
var operationTests = []struct {
	name string
	run  func(t *testing.T, b *RedisBinding, admin redis.UniversalClient, prefix string)
}{
	{"create and get", func(t *testing.T, b *RedisBinding, admin redis.UniversalClient, prefix string) {
		// Many keys: on a cluster they are on every node.
		for i := range 32 {
			key, value := fmt.Sprint(prefix, i), fmt.Sprint("value ", i)
			resp := invoke(t, b, create(key, value))
			assert.Nil(t, resp.Data)
			assert.Nil(t, resp.Metadata)
			assert.Nil(t, resp.ContentType)
			assert.Equal(t, value, string(invoke(t, b, request(GetOperation, key)).Data))
			assert.EqualValues(t, -1, admin.PTTL(t.Context(), key).Val(), "no TTL")
		}
	}},
	{"create replaces value and TTL", func(t *testing.T, b *RedisBinding, admin redis.UniversalClient, prefix string) {
		require.NoError(t, admin.RPush(t.Context(), prefix, "a list").Err())
		invoke(t, b, create(prefix, "one", "ttlInSeconds", "60"))
		invoke(t, b, create(prefix, "two"))
		assert.Equal(t, "two", string(invoke(t, b, request(GetOperation, prefix)).Data))
		assert.EqualValues(t, -1, admin.PTTL(t.Context(), prefix).Val())
	}},
	{"values of all kinds", func(t *testing.T, b *RedisBinding, _ redis.UniversalClient, prefix string) {
		for _, value := range []string{"", " ", "1", "x", "\x00", "\r\n", "*1\r\n$4\r\nPING\r\n", "\xff\xfe", "OK", "nil",
			`{"Hello":"World"}`, "日本語", strings.Repeat("v", 1<<20)} {
			invoke(t, b, create(prefix, value))
			data := invoke(t, b, request(GetOperation, prefix)).Data
			require.NotNil(t, data, "a stored value is not missing, not even %q", value)
			require.Equal(t, value, string(data))
			// The slice is the caller's own, to change and to append to.
			for i := range data {
				data[i]++
			}
			_ = append(data, "more"...)
			require.Equal(t, value, string(invoke(t, b, request(GetOperation, prefix, "delete", "true")).Data))
		}
		invoke(t, b, request(CreateOperation, prefix)) // Data nil
		assert.Equal(t, []byte{}, invoke(t, b, request(GetOperation, prefix)).Data)
	}},
	{"keys of all kinds", func(t *testing.T, b *RedisBinding, _ redis.UniversalClient, prefix string) {
		for _, key := range []string{" ", "{tag}a", "{}", "}{", "\r\n", "\x00", "\xff", "ключ", strings.Repeat("k", 4096)} {
			invoke(t, b, create(prefix+key, "v"))
			assert.Equal(t, "v", string(invoke(t, b, request(GetOperation, prefix+key)).Data), "%q", key)
		}
	}},
	{"missing key", func(t *testing.T, b *RedisBinding, _ redis.UniversalClient, prefix string) {
		assert.Nil(t, invoke(t, b, request(GetOperation, prefix)).Data)
		assert.Nil(t, invoke(t, b, request(GetOperation, prefix, "delete", "true")).Data)
		assert.Nil(t, invoke(t, b, request(DeleteOperation, prefix)).Data)
	}},
	{"get with delete", func(t *testing.T, b *RedisBinding, admin redis.UniversalClient, prefix string) {
		for flag, gone := range map[string]bool{"true": true, "YES": true, "1": true, "false": false, "0": false, "": false} {
			invoke(t, b, create(prefix, "v"))
			assert.Equal(t, "v", string(invoke(t, b, request(GetOperation, prefix, "delete", flag)).Data))
			assert.Equal(t, gone, admin.Exists(t.Context(), prefix).Val() == 0, "delete=%q", flag)
		}
		// Without regard to case, where the exact name is absent.
		invoke(t, b, &InvokeRequest{Operation: GetOperation, Metadata: map[string]string{"Key": prefix, "Delete": "true"}})
		assert.Zero(t, admin.Exists(t.Context(), prefix).Val())
	}},
	{"delete", func(t *testing.T, b *RedisBinding, admin redis.UniversalClient, prefix string) {
		require.NoError(t, admin.RPush(t.Context(), prefix, "a list").Err())
		assert.Nil(t, invoke(t, b, request(DeleteOperation, prefix)).Data)
		assert.Zero(t, admin.Exists(t.Context(), prefix).Val())
		invoke(t, b, request(DeleteOperation, prefix))
	}},
	{"create with TTL", func(t *testing.T, b *RedisBinding, admin redis.UniversalClient, prefix string) {
		for text, want := range map[string]time.Duration{"100": 100 * time.Second, "90s": 90 * time.Second, "1500ms": 1500 * time.Millisecond,
			"2h0.25s": 2*time.Hour + 250*time.Millisecond, "9223372036": 9223372036 * time.Second} {
			invoke(t, b, create(prefix, "v", "ttlInSeconds", text))
			assertTTL(t, admin, prefix, want)
		}
		invoke(t, b, create(prefix, "v", "ttlinseconds", "50"))
		assertTTL(t, admin, prefix, 50*time.Second)
	}},
	{"bad TTL writes nothing", func(t *testing.T, b *RedisBinding, admin redis.UniversalClient, prefix string) {
		invoke(t, b, create(prefix, "5"))
		for _, text := range badTTLs {
			for _, operation := range []OperationKind{CreateOperation, IncrementOperation} {
				req := request(operation, prefix, "ttlInSeconds", text)
				req.Data = []byte("overwritten")
				_, err := b.Invoke(t.Context(), req)
				var bad *RequestError
				require.ErrorAs(t, err, &bad, "%s with %q", operation, text)
				assert.Equal(t, "ttlInSeconds", bad.Field)
			}
		}
		assert.Equal(t, "5", admin.Get(t.Context(), prefix).Val())
	}},
	{"increment", func(t *testing.T, b *RedisBinding, admin redis.UniversalClient, prefix string) {
		for i := 1; i <= 3; i++ {
			assert.Equal(t, strconv.Itoa(i), string(invoke(t, b, request(IncrementOperation, prefix)).Data))
		}
		assert.EqualValues(t, -1, admin.PTTL(t.Context(), prefix).Val())
		invoke(t, b, create(prefix, "-11"))
		assert.Equal(t, "-10", string(invoke(t, b, request(IncrementOperation, prefix)).Data))
	}},
	{"increment with TTL", func(t *testing.T, b *RedisBinding, admin redis.UniversalClient, prefix string) {
		for i, text := range []string{"100", "1h", "1500ms"} { // on every call that carries one
			assert.Equal(t, strconv.Itoa(i+1), string(invoke(t, b, request(IncrementOperation, prefix, "ttlInSeconds", text)).Data))
			want, err := parseTTL(text)
			require.NoError(t, err)
			assertTTL(t, admin, prefix, want)
		}
		// Numbers that a double cannot hold.
		invoke(t, b, create(prefix, "9007199254740992"))
		assert.Equal(t, "9007199254740993", string(invoke(t, b, request(IncrementOperation, prefix, "ttlInSeconds", "100")).Data))
		// A call without one leaves it.
		invoke(t, b, request(IncrementOperation, prefix, "ttlInSeconds", "100"))
		invoke(t, b, request(IncrementOperation, prefix))
		assertTTL(t, admin, prefix, 100*time.Second)
	}},
	{"concurrency", func(t *testing.T, b *RedisBinding, _ redis.UniversalClient, prefix string) {
		const callers, calls = 64, 20
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				key := fmt.Sprint(prefix, "own/", c)
				for range calls {
					ctx, cancel := context.WithCancel(t.Context())
					_, err := b.Invoke(ctx, request(IncrementOperation, prefix))
					assert.NoError(t, err)
					_, err = b.Invoke(ctx, create(key, key))
					assert.NoError(t, err)
					resp, err := b.Invoke(ctx, request(GetOperation, key))
					if assert.NoError(t, err) {
						assert.Equal(t, key, string(resp.Data))
					}
					cancel()
				}
			})
		}
		wg.Wait()
		assert.Equal(t, strconv.Itoa(callers*calls), string(invoke(t, b, request(GetOperation, prefix)).Data))
	}},
	{"one value goes to one caller", func(t *testing.T, b *RedisBinding, _ redis.UniversalClient, prefix string) {
		invoke(t, b, create(prefix, "v"))
		var wg sync.WaitGroup
		got := make(chan []byte, 32)
		for range cap(got) {
			wg.Go(func() {
				resp, err := b.Invoke(t.Context(), request(GetOperation, prefix, "delete", "true"))
				assert.NoError(t, err)
				got <- resp.Data
			})
		}
		wg.Wait()
		close(got)
		var values [][]byte
		for data := range got {
			if data != nil {
				values = append(values, data)
			}
		}
		assert.Equal(t, [][]byte{[]byte("v")}, values)
	}},
	{"ended contexts", func(t *testing.T, b *RedisBinding, admin redis.UniversalClient, prefix string) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.Invoke(ctx, create(prefix, "v"))
		assert.ErrorIs(t, err, context.Canceled)
		ctx, cancel = context.WithTimeout(t.Context(), 0)
		defer cancel()
		_, err = b.Invoke(ctx, create(prefix, "v"))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, b.Ping(ctx), context.DeadlineExceeded)
		assert.Zero(t, admin.Exists(t.Context(), prefix).Val())
	}},
	{"without cancellation", func(t *testing.T, b *RedisBinding, _ redis.UniversalClient, prefix string) {
		// context.Background cannot end: another path through the client.
		data := []byte("v")
		_, err := b.Invoke(context.Background(), &InvokeRequest{Operation: CreateOperation, Data: data, Metadata: map[string]string{"key": prefix}})
		require.NoError(t, err)
		resp, err := b.Invoke(context.Background(), request(GetOperation, prefix, "delete", "on"))
		require.NoError(t, err)
		assert.Equal(t, data, resp.Data)
	}},
}

// assertTTL allows for the time that has passed since the key was written.
func assertTTL(t *testing.T, admin redis.UniversalClient, key string, want time.Duration) {
	t.Helper()
	got := admin.PTTL(t.Context(), key).Val()
	assert.True(t, got <= want && got > want-time.Minute && got > 0, "TTL of %s is %s, want %s", key, got, want)
}

// A TTL ends a key for real.
func TestTTLEndsKeys(t *testing.T) {
	t.Parallel()
	binding := newBinding(t, redistest.Plain(t).Fields())
	invoke(t, binding, create("ends", "v", "ttlInSeconds", "20ms"))
	invoke(t, binding, request(IncrementOperation, "ends too", "ttlInSeconds", "20ms"))
	for _, key := range []string{"ends", "ends too"} {
		assert.Eventually(t, func() bool {
			resp, err := binding.Invoke(context.Background(), request(GetOperation, key))
			return err == nil && resp.Data == nil
		}, 10*time.Second, time.Millisecond)
	}
}

// One command an operation: counted on the way to the server.
func TestOneCommandPerOperation(t *testing.T) {
	t.Parallel()
	redistest.Requires(t, "6.2", "GETDEL")
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv)
	binding := newBinding(t, map[string]string{"redisHost": proxy.Addr})
	invoke(t, binding, create("k", "v", "ttlInSeconds", "60"))
	invoke(t, binding, create("k", "v", "ttlInSeconds", "1500ms"))
	invoke(t, binding, request(GetOperation, "k"))
	invoke(t, binding, request(GetOperation, "k", "delete", "true"))
	invoke(t, binding, request(DeleteOperation, "k"))
	invoke(t, binding, request(IncrementOperation, "n"))
	invoke(t, binding, request(IncrementOperation, "n", "ttlInSeconds", "60"))
	for command, want := range map[string]int{"set": 2, "ex": 1, "px": 1, "get": 1, "getdel": 1, "del": 1, "incr": 1, "eval": 1,
		"hello": 1, "ping": 1, "expire": 0, "pexpire": 0, "client": 0, "info": 0, "config": 0, "command": 0, "auth": 0, "select": 0} {
		assert.Equal(t, want, proxy.Sent(command), command)
	}
}

// Servers before 6.2 have no GETDEL, before 6.0 no HELLO.
func TestOlderServers(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--rename-command", "GETDEL", ""},
		{"--rename-command", "GETDEL", "", "--rename-command", "HELLO", ""},
		{"--rename-command", "GETDEL", "", "--rename-command", "HELLO", "", "--requirepass", "hunter2"},
	} {
		srv := redistest.Start(t, args...)
		metadata := map[string]string{"redisHost": srv.Addr}
		if strings.Contains(strings.Join(args, " "), "requirepass") {
			metadata["redisPassword"] = "hunter2"
		}
		var log bytes.Buffer
		binding := newBinding(t, metadata, WithLogger(testLogger(&log)))
		runOperationTests(t, binding, srv.Client())
		assert.Equal(t, 1, strings.Count(log.String(), "the server has no GETDEL"), "said once")
	}
}

// A user who may run the operations' commands and no more leaves no trace in ACL LOG.
func TestPlainUser(t *testing.T) {
	t.Parallel()
	redistest.Requires(t, "6.2", "an ACL rule for channels")
	rules := []string{"~*", "resetchannels"}
	var onCluster, onSentinels []string
	for _, row := range permissions(t) {
		switch row.For {
		case "redisType cluster":
			onCluster = row.Commands
		case "failover, on sentinels":
			onSentinels = row.Commands
		case "redisDB > 0":
		default:
			rules = append(rules, row.Commands...)
		}
	}
	for _, kind := range []string{"plain", "sentinel", "cluster"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var setup *redistest.Setup
			commands := slices.Clone(rules)
			switch kind {
			case "plain":
				setup = redistest.Plain(t)
			case "sentinel":
				setup = redistest.Sentinel(t)
			case "cluster":
				setup = redistest.Cluster(t)
				commands = append(commands, onCluster...)
			}
			for _, s := range append(setup.Servers, setup.Sentinels...) {
				t.Cleanup(func() { s.Do(t, "acl", "deluser", "plain-user") })
			}
			for _, s := range setup.Servers {
				s.SetUser(t, "plain-user", "hunter2", commands...)
			}
			fields := setup.Fields("redisUsername", "plain-user", "redisPassword", "hunter2")
			for _, s := range setup.Sentinels {
				s.SetUser(t, "plain-user", "hunter3", append([]string{"resetchannels"}, onSentinels...)...)
				fields["sentinelUsername"], fields["sentinelPassword"] = "plain-user", "hunter3"
			}
			binding := newBinding(t, fields)
			runOperationTests(t, binding, admin(t, setup))
			for _, s := range append(setup.Servers, setup.Sentinels...) {
				assert.Empty(t, s.Do(t, "acl", "log"), s.Addr)
			}
		})
	}
}

// A user who may not SET gets an error for an increment with a TTL, and nothing is counted.
func TestIncrementWithTTLIsAllOrNothing(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--user", "counter", "on", ">pw", "~*", "+incr", "+get", "+eval", "+ping")
	binding := newBinding(t, map[string]string{"redisHost": srv.Addr, "redisUsername": "counter", "redisPassword": "pw"})
	srv.Do(t, "set", "n", "5")
	for _, key := range []string{"n", "new"} {
		_, err := binding.Invoke(t.Context(), request(IncrementOperation, key, "ttlInSeconds", "60"))
		assert.Error(t, err)
	}
	assert.Equal(t, "5", srv.Do(t, "get", "n"))
	assert.Nil(t, srv.Do(t, "get", "new"))
}

func TestRESP3(t *testing.T) {
	t.Parallel()
	redistest.Requires(t, "7.0", "resp in CLIENT LIST")
	srv := redistest.Start(t)
	newBinding(t, map[string]string{"redisHost": srv.Addr})
	assert.Contains(t, clientsOf(t, srv)[0], "resp=3")
}

// Replies of up to one byte may be strings that Go keeps in read-only memory.
func TestReplyDataMayBeChanged(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x"} {
		data := replyData(GetOperation, text, true)
		assert.NotNil(t, data)
		for i := range data {
			data[i] = 'z'
		}
		assert.Len(t, data, len(text))
	}
}
