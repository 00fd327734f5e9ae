package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// soon is how long what another node does may take to be seen.
const soon = 10 * time.Second

// keep reads a key until it is kept in process, and stores it first when it is missing. It
// waits until Redis has told the cache of all that was written before, or the value would
// be dropped later.
func keep(t *testing.T, c *Cache, key string, opts EntryOptions) {
	t.Helper()
	get := func() {
		_, err := c.GetOrCreate(t.Context(), key, constant("made"), opts)
		require.NoError(t, err)
	}
	get()
	// Redis tells of changes in their order, so it has told of the key when it has
	// told of another key in the same slot that was written later.
	later := "{" + c.instance + key + "}later"
	before := c.local.seen(later)
	require.NoError(t, (*c.connection.opened.Load()).Set(t.Context(), c.instance+later, "", time.Minute).Err())
	require.Eventually(t, func() bool { return c.local.seen(later) != before }, soon, time.Millisecond)
	require.Eventually(t, func() bool {
		get()
		return c.local.get(key) != nil
	}, soon, time.Millisecond)
}

func requireDropped(t *testing.T, c *Cache, key string) {
	t.Helper()
	require.Eventually(t, func() bool { return c.local.get(key) == nil }, soon, time.Millisecond)
}

// What others write is seen, on every kind of Redis and whoever writes it.
func TestOtherNodesWritesAreSeen(t *testing.T) {
	t.Parallel()
	for _, setup := range []*redistest.Setup{redistest.Plain(t), redistest.TLS(t), redistest.Sentinel(t), redistest.Cluster(t)} {
		t.Run(setup.Name, func(t *testing.T) {
			setup.FlushAll(t)
			client := universal(t, setup)
			a := newLocalCache(t, client, WithInstanceName("app:"))
			b := newLocalCache(t, client, WithInstanceName("app:"))
			ctx := t.Context()
			tagged := EntryOptions{AbsoluteExpirationRelativeToNow: time.Hour, Tags: []string{"news", "sport"}}
			for name, change := range map[string]func(key string) error{
				"Set":         func(key string) error { return b.Set(ctx, key, []byte("new"), EntryOptions{}) },
				"SetMany":     func(key string) error { return b.SetMany(ctx, map[string][]byte{key: nil}, EntryOptions{}) },
				"Remove":      func(key string) error { return b.Remove(ctx, key) },
				"RemoveByTag": func(string) error { return b.RemoveByTag(ctx, "sport") },
				"all tags":    func(string) error { return b.RemoveByTag(ctx, "*") },
				".NET":        func(key string) error { return client.HMSet(ctx, "app:"+key, "data", "new").Err() },
			} {
				for _, key := range []string{"a", "b", "c", "d"} { // on the nodes of a cluster
					keep(t, a, key, tagged)
					keep(t, b, key, tagged)
					require.NoError(t, change(key), name)
					requireDropped(t, a, key)
					requireDropped(t, b, key)
					require.NoError(t, client.Del(ctx, "app:"+key).Err())
				}
			}
		})
	}
}

// A removal of a tag drops what has it and nothing else.
func TestTagRemovalSparesOthers(t *testing.T) {
	t.Parallel()
	client := plain(t)
	a, b := newLocalCache(t, client), newLocalCache(t, client)
	keep(t, a, "plain", EntryOptions{})
	keep(t, a, "red", EntryOptions{Tags: []string{"red", "both"}})
	keep(t, a, "blue", EntryOptions{Tags: []string{"blue", "both"}})
	require.NoError(t, b.RemoveByTag(t.Context(), "red", "green"))
	requireDropped(t, a, "red")
	assert.NotNil(t, a.local.get("blue"))
	assert.NotNil(t, a.local.get("plain"))
}

// Values are kept for no longer than Redis keeps the entry, and the options say.
func TestKeptNoLongerThanInRedis(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		e       entry
		most    time.Duration
		reading time.Duration
		want    time.Duration
	}{
		"for ever":                  {entry{ttl: ttlForEver}, time.Minute, time.Second, time.Minute},
		"sliding":                   {entry{ttl: ttlSliding}, time.Minute, 0, 0},
		"Redis keeps it longer":     {entry{ttl: 3600_000}, time.Minute, time.Second, time.Minute},
		"Redis keeps it as long":    {entry{ttl: 60_000}, time.Minute, 0, time.Minute},
		"reading counts":            {entry{ttl: 60_000}, time.Minute, time.Second, 59 * time.Second},
		"reading took all its life": {entry{ttl: 10}, time.Minute, time.Second, 0},
		"years":                     {entry{ttl: 1 << 62}, time.Minute, time.Second, time.Minute},
	} {
		assert.Equal(t, test.want, test.e.keepFor(test.most, test.reading), name)
	}

	client := plain(t)
	clock := &testClock{at: time.Now()}
	c := newLocalCache(t, client, WithClock(clock.now))
	for key, options := range map[string]EntryOptions{
		"default": {AbsoluteExpirationRelativeToNow: time.Hour},
		"local":   {AbsoluteExpirationRelativeToNow: time.Hour, LocalExpiration: time.Minute},
		"redis":   {AbsoluteExpirationRelativeToNow: 30 * time.Second, LocalExpiration: time.Hour},
	} {
		keep(t, c, key, options)
	}
	kept := func(key string) bool { return c.local.get(key) != nil }
	clock.advance(29 * time.Second)
	require.True(t, kept("default") && kept("local") && kept("redis"))
	clock.advance(time.Second)
	require.True(t, kept("default") && kept("local") && !kept("redis"))
	clock.advance(30 * time.Second)
	require.True(t, kept("default") && !kept("local"))
	clock.advance(4 * time.Minute)
	require.False(t, kept("default"))

	_, err := c.GetOrCreate(t.Context(), "sliding", constant("v"), EntryOptions{SlidingExpiration: time.Hour})
	require.NoError(t, err)
	_, err = c.GetOrCreate(t.Context(), "sliding", constant("v"), EntryOptions{SlidingExpiration: time.Hour})
	require.NoError(t, err)
	assert.False(t, kept("sliding"), "every read has to reach Redis")
}

// What changes between reading a value and keeping it is not kept.
func TestChangesWhileReading(t *testing.T) {
	t.Parallel()
	c := newLocalCache(t, plain(t))
	e := &entry{value: []byte("old"), ttl: ttlForEver, created: 1, tags: []string{"tag"}}
	for name, change := range map[string]func(){
		"the key":  func() { c.local.invalidate("key") },
		"a tag":    func() { c.local.invalidateTag("tag") },
		"all":      func() { s := c.local.switching(); s.on() },
		"not told": func() { c.local.on.Store(false) },
	} {
		before := c.local.seen("key")
		change()
		assert.False(t, c.local.put("key", e, time.Minute, before), name)
		c.local.on.Store(true)
		assert.Nil(t, c.local.get("key"), name)
	}
	assert.True(t, c.local.put("key", e, time.Minute, c.local.seen("key")))
	c.local.invalidate("another")
	require.NotNil(t, c.local.get("key"))

	ended := c.local.switching()
	ended.off()
	assert.Nil(t, c.local.get("key"))
	assert.False(t, ended.on(), "what has ended does not begin")
	assert.False(t, c.local.on.Load())
}

// What is stored anew is not hidden by what was kept.
func TestForcedRefresh(t *testing.T) {
	t.Parallel()
	c := newLocalCache(t, plain(t))
	keep(t, c, "key", EntryOptions{})
	for i := range 20 {
		made := fmt.Sprint(i)
		_, err := c.GetOrCreate(t.Context(), "key", constant(made), EntryOptions{Flags: DisableLocalCacheRead | DisableDistributedCacheRead})
		require.NoError(t, err)
		value, err := c.GetOrCreate(t.Context(), "key", constant("x"), EntryOptions{})
		require.NoError(t, err)
		require.Equal(t, made, string(value))
	}
}

// What tags and HybridCache's format take counts.
func TestSizeOfWhatIsKept(t *testing.T) {
	t.Parallel()
	k := kept{value: []byte("12345678")[:4:4], tags: []string{"abc"}}
	assert.Equal(t, 2*3+4+2*3+entryOverhead+tagOverhead, k.size("key"))
}

// A caller may change what it gets.
func TestKeptValuesAreNobodysToChange(t *testing.T) {
	t.Parallel()
	c := newLocalCache(t, plain(t))
	keep(t, c, "key", EntryOptions{})
	require.NoError(t, c.Set(t.Context(), "key", []byte("value"), EntryOptions{}))
	require.Eventually(t, func() bool {
		for range 3 { // from Redis, and from process
			value, err := c.GetOrCreate(t.Context(), "key", constant("made"), EntryOptions{})
			require.NoError(t, err)
			require.Equal(t, "value", string(value))
			value[0] = 'X'
		}
		return c.local.get("key") != nil
	}, soon, time.Millisecond)
}

// What is kept is bounded.
func TestLocalSize(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, plain(t), WithLocal(100_000))
	requireTracking(t, c)
	for i := range 500 {
		_, err := c.GetOrCreate(t.Context(), fmt.Sprint("key", i), constant(strings.Repeat("x", 900)), EntryOptions{})
		require.NoError(t, err)
	}
	for i := range 500 {
		_, err := c.GetOrCreate(t.Context(), fmt.Sprint("key", i), constant(""), EntryOptions{})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		c.local.entries.CleanUp()
		return c.local.entries.WeightedSize() <= 100_000
	}, soon, time.Millisecond)
	assert.NotZero(t, c.local.entries.EstimatedSize())
}

// Whatever is read at whatever moment, what is kept in the end is what is in Redis.
func TestNothingStaleStays(t *testing.T) {
	t.Parallel()
	client := plain(t)
	nodes := []*Cache{newLocalCache(t, client), newLocalCache(t, client), newLocalCache(t, client)}
	ctx := t.Context()
	keys := []string{"a", "b", "c"}
	var work sync.WaitGroup
	for _, node := range nodes {
		for range 2 {
			work.Go(func() {
				for i := range 500 {
					key := keys[rand.IntN(len(keys))]
					var err error
					switch rand.IntN(10) {
					case 0:
						err = node.Set(ctx, key, fmt.Append(nil, i), EntryOptions{Tags: []string{"tag"}})
					case 1:
						err = node.Remove(ctx, key)
					case 2:
						err = node.RemoveByTag(ctx, "tag")
					default:
						_, err = node.GetOrCreate(ctx, key, func(context.Context) ([]byte, error) { return fmt.Append(nil, i), nil },
							EntryOptions{AbsoluteExpirationRelativeToNow: time.Hour, Tags: []string{"tag"}})
					}
					assert.NoError(t, err)
				}
			})
		}
	}
	work.Wait()
	for _, key := range keys {
		stored, found, err := nodes[0].Get(ctx, key)
		require.NoError(t, err)
		for i, node := range nodes {
			require.Eventually(t, func() bool {
				kept := node.local.get(key)
				return kept == nil || found && string(kept.value) == string(stored)
			}, soon, time.Millisecond, "node %d keeps another value of %s", i, key)
		}
	}
}
