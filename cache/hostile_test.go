package cache

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// hostileReplies are replies, parted by zero bytes, that go-redis or the cache could
// stumble over.
var hostileReplies = []string{
	"$9999999999999\r\n", "*999999999\r\n", "%999999999\r\n", "|0\r\n|0\r\n", "*1\r\n*1\r\n*1\r\n", "+OK\r\n+OK\r\n", "",
	"%1\r\n$-1\r\n+x\r\n+PONG\r\n", "-ERR\r\n+PONG\r\n", "*2\r\n-LOADING x\r\n+a\r\n", "*2\r\n$-1\r\n+x\r\n", "%1\r\n*0\r\n+x\r\n",
	"*3\r\n:1\r\n:1\r\n:1\r\n", "*3\r\n$1\r\na\r\n:9223372036854775807\r\n$1\r\na\r\n", "*3\r\n$1\r\na\r\n$1\r\na\r\n*0\r\n", "*0\r\n", "%0\r\n", "#t\r\n",
	"*3\r\n$1\r\na\r\n:1\r\n$25\r\n638000000000000000 [\"a\",1]\r\n", "*3\r\n$1\r\na\r\n:-2\r\n$24\r\n638000000000000000 [\"a\"]\r\n\x00$8\r\n12345678\r\n",
	"-NOSCRIPT x\r\n\x00-NOSCRIPT x\r\n", "-MOVED 1 :1\r\n", "-ASK 1 127.0.0.1:1\r\n", "-WRONGTYPE x\r\n",
	"$0\r\n\r\n", "$7\r\nrun_id:\r\n", "$18\r\nredis_mode:cluster\r\n", "$19\r\nredis_mode:sentinel\r\n", "*2\r\n+a\r\n+b\r\n",
	"*1\r\n$1\r\na\r\n", "*2\r\n$0\r\n\r\n$0\r\n\r\n", "*0\r\n\x00*0\r\n", "*3\r\n$9\r\nsubscribe\r\n+c\r\n+x\r\n", "*1\r\n:1\r\n",
	"*2\r\n$1\r\na\r\n$1\r\n1\r\n\x00*0\r\n\x00*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nm\r\n",
	"*1\r\n*3\r\n:-1\r\n:99999\r\n*2\r\n$0\r\n\r\n:0\r\n", "*1\r\n*2\r\n:5\r\n:1\r\n", ":1\r\n\x00+OK\r\n\x00*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n*1\r\n:1\r\n",
	"HTTP/1.1 400 Bad Request\r\n\r\n", ">2\r\n+invalidate\r\n*1\r\n+a\r\n+OK\r\n",
}

var hostileKinds = []string{"plain", "sentinel", "cluster"}

// openHostile opens a cache on a hostile server.
func openHostile(t *testing.T, kind, addr string, opts ...Option) *Cache {
	t.Helper()
	s := addr + ",connectRetry=1,syncTimeout=5000,setlib=false"
	if kind == "sentinel" {
		s += ",serviceName=m"
	}
	opts = append(opts, WithEnvironment([]string{"ConnectionStrings__cache=" + s}), WithRedisOptions(func(o *redis.UniversalOptions) {
		o.IsClusterMode = kind == "cluster"
		// After as many failed dials go-redis leaves a goroutine behind for a second.
		o.PoolSize, o.MaxRetries = 100, -1
	}))
	c, err := Open(t.Context(), "cache", opts...)
	require.NoError(t, err)
	return c
}

// FuzzReplies: whatever a server answers, every call comes back, with no more memory than
// the replies are worth, and a reply to one command never is one to another.
func FuzzReplies(f *testing.F) {
	for _, replies := range hostileReplies {
		for kind := range uint8(4 * len(hostileKinds)) {
			f.Add(kind, []byte(replies))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, replies []byte) {
		if len(replies) > 4<<10 || redistest.HostileTooLarge(replies) {
			t.Skip()
		}
		var opts []Option
		if kind/6%2 == 1 {
			opts = append(opts, WithLocal(1<<20))
		}
		surviveReplies(t, hostileKinds[int(kind)%3], kind/3%2 == 0, replies, opts...)
	})
}

func surviveReplies(t *testing.T, kind string, politely bool, replies []byte, opts ...Option) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	server := redistest.StartHostile(t, kind, politely, replies)
	c := openHostile(t, kind, server.Addr, opts...)
	defer func() { assert.NoError(t, c.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	_ = c.Set(ctx, "k", []byte("data"), EntryOptions{Tags: []string{"a"}})
	_, _, _ = c.Get(ctx, "k")
	_, _, _ = c.Get(ctx, "k")
	_, _ = c.GetMany(ctx, "k", "l")
	_, err := c.GetOrCreate(ctx, "made", func(context.Context) ([]byte, error) { return []byte("made"), nil }, EntryOptions{Tags: []string{"a"}})
	assert.NoError(t, err)
	_ = c.RemoveByTag(ctx, "a")
	_ = c.Refresh(ctx, "k")
	_ = c.Remove(ctx, "k")
	_ = c.HealthCheck(ctx)
	server.Honest()
	for _, key := range []string{"one", "two", "three"} {
		for {
			value, _, err := c.Get(ctx, key)
			if ctx.Err() != nil {
				t.Fatal("a call hangs, or there is no way back: ", err)
			}
			if err == nil {
				require.Equal(t, redistest.HostileValue(key), string(value), "the reply to another command")
				break
			}
			if kind == "cluster" { // it knows of nodes that are none, until it asks again
				break
			}
		}
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), "memory")
}
