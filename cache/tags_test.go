package cache

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestRemoveByTag(t *testing.T) {
	t.Parallel()
	for _, target := range targets(t) {
		for name, opts := range map[string][]Option{"plain": nil, "hybrid": {WithHybridFormat()}} {
			t.Run(target.name+"/"+name, func(t *testing.T) {
				ctx := t.Context()
				clock := &testClock{at: now}
				opts = append(opts, WithInstanceName(name+":"), WithClock(clock.now))
				c, other := newTestCache(t, target.client, opts...), newTestCache(t, target.client, opts...)
				there := func(keys ...string) {
					t.Helper()
					got, err := c.GetMany(ctx, "red", "blue", "both", "none")
					require.NoError(t, err)
					want := map[string][]byte{}
					for _, key := range keys {
						want[key] = []byte(key)
					}
					assert.Equal(t, want, got)
					for _, key := range []string{"red", "blue", "both", "none"} {
						value, found, err := c.Get(ctx, key)
						require.NoError(t, err)
						assert.Equal(t, want[key] != nil, found, key)
						assert.Equal(t, want[key], value)
						value, err = c.GetOrCreate(ctx, key, nil, EntryOptions{Flags: DisableUnderlyingData, Tags: []string{"red"}})
						require.NoError(t, err)
						assert.Equal(t, want[key], value)
					}
				}
				for key, tags := range map[string][]string{"red": {"red"}, "blue": {"blue"}, "both": {"blue", "red"}, "none": nil} {
					require.NoError(t, c.Set(ctx, key, []byte(key), EntryOptions{Tags: tags, AbsoluteExpirationRelativeToNow: time.Hour}))
				}
				there("red", "blue", "both", "none")

				require.NoError(t, other.RemoveByTag(ctx, "green"))
				require.NoError(t, other.RemoveByTag(ctx))
				there("red", "blue", "both", "none")

				require.NoError(t, other.RemoveByTag(ctx, "red")) // at the very moment they were written
				there("blue", "none")

				clock.advance(tick)
				require.NoError(t, c.Set(ctx, "red", []byte("red"), EntryOptions{Tags: []string{"red"}}))
				there("red", "blue", "none")

				value, err := c.GetOrCreate(ctx, "both", constant("both"), EntryOptions{Tags: []string{"red", "blue"}})
				require.NoError(t, err)
				assert.Equal(t, "both", string(value))
				there("red", "blue", "both", "none")

				require.NoError(t, other.RemoveByTag(ctx, "*"))
				if name == "hybrid" {
					there()
				} else {
					there("none") // it has no tags, and Redis has what .NET would have written
				}
				assert.ErrorIs(t, c.RemoveByTag(ctx, " "), ErrTag)
			})
		}
	}
}

// When a tag was removed is written as HybridCache of .NET does.
func TestTagLayout(t *testing.T) {
	t.Parallel()
	client := plain(t)
	logger, log := testLogger()
	c := newTestCache(t, client, at(now), WithInstanceName("app:"), WithLogger(logger))
	ctx := t.Context()
	require.NoError(t, c.RemoveByTag(ctx, "news", "*"))
	for _, key := range []string{"app:__MSFT_HCT__news", "app:__MSFT_HCT__*"} {
		assert.Equal(t, map[string]string{
			"absexp": "639577838456789012", "sldexp": "-1",
			"data": string(binary.LittleEndian.AppendUint64(nil, 638713838456789012)),
		}, client.HGetAll(ctx, key).Val())
		assertTTL(t, client, key, (1000 * 24 * time.Hour).Milliseconds())
	}

	require.NoError(t, client.HSet(ctx, "app:__MSFT_HCT__bad", "data", "seven..").Err())
	later := newTestCache(t, client, at(now.Add(time.Second)), WithInstanceName("app:"), WithLogger(logger))
	require.NoError(t, later.Set(ctx, "key", nil, EntryOptions{Tags: []string{"bad"}}))
	_, found, err := later.Get(ctx, "key")
	require.NoError(t, err)
	assert.True(t, found)
	assert.Contains(t, log.String(), "the time has 7 bytes in place of 8")

	// A node whose clock is behind takes nothing back.
	behind := newTestCache(t, client, at(now.Add(-time.Minute)), WithInstanceName("app:"))
	require.NoError(t, behind.RemoveByTag(ctx, "news"))
	assert.Equal(t, "639577838456789012", client.HGet(ctx, "app:__MSFT_HCT__news", "absexp").Val())
	ahead := newTestCache(t, client, at(now.Add(time.Minute)), WithInstanceName("app:"))
	require.NoError(t, ahead.RemoveByTag(ctx, "news"))
	assert.Equal(t, "639577839056789012", client.HGet(ctx, "app:__MSFT_HCT__news", "absexp").Val())
	require.NoError(t, client.Set(ctx, "app:__MSFT_HCT__text", "", 0).Err())
	requireWrongType(t, behind.RemoveByTag(ctx, "text"), "cache: remove by tag: ")
}

// Nobody's key is one of a removed tag, and no entry has tags without end.
func TestHostileKeysAndTags(t *testing.T) {
	t.Parallel()
	client := plain(t)
	c := newTestCache(t, client)
	ctx := t.Context()
	require.ErrorIs(t, c.Set(ctx, "__MSFT_HCT__*", []byte("8 bytes."), EntryOptions{}), ErrReservedKey)
	require.ErrorIs(t, c.SetMany(ctx, map[string][]byte{"__MSFT_HCT__*": nil}, EntryOptions{}), ErrReservedKey)
	value, err := c.GetOrCreate(ctx, "__MSFT_HCT__*", constant("8 bytes."), EntryOptions{})
	require.NoError(t, err)
	assert.Equal(t, "8 bytes.", string(value))
	assert.Zero(t, client.DBSize(ctx).Val())

	many := make([]string, MaximumTags+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	require.ErrorIs(t, c.Set(ctx, "key", nil, EntryOptions{Tags: many}), ErrTooManyTags)
	require.NoError(t, c.Set(ctx, "key", nil, EntryOptions{Tags: many[1:]}))
	_, found, err := c.Get(ctx, "key")
	require.NoError(t, err)
	assert.True(t, found)
	require.NoError(t, client.HSet(ctx, "key", "tags", encodeTags(1, many)).Err())
	_, found, err = c.Get(ctx, "key")
	require.NoError(t, err)
	assert.False(t, found)
}

// Who asks after a removal does not get what others asked for before it.
func TestTagIsRemovedWhileOthersWait(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{"tag", "*"} {
		c := newTestCache(t, plain(t))
		ctx := t.Context()
		started, release := make(chan struct{}), make(chan struct{})
		old := make(chan string)
		go func() {
			value, err := c.GetOrCreate(ctx, "key", func(context.Context) ([]byte, error) {
				close(started)
				<-release
				return []byte("old"), nil
			}, EntryOptions{Tags: []string{"tag"}})
			assert.NoError(t, err)
			old <- string(value)
		}()
		<-started
		require.NoError(t, c.RemoveByTag(ctx, "another"))
		assert.Equal(t, 1, c.flights.waiting("key"))
		require.NoError(t, c.RemoveByTag(ctx, tag))
		value, err := c.GetOrCreate(ctx, "key", constant("new"), EntryOptions{Tags: []string{"tag"}})
		require.NoError(t, err)
		assert.Equal(t, "new", string(value))
		close(release)
		assert.Equal(t, "old", <-old)
	}
}

// Tags stand beside the value, where .NET does not look.
func TestTagsOfPlainEntries(t *testing.T) {
	t.Parallel()
	client := plain(t)
	logger, log := testLogger()
	c := newTestCache(t, client, at(now), WithLogger(logger))
	ctx := t.Context()
	require.NoError(t, c.Set(ctx, "key", []byte("v"), EntryOptions{Tags: []string{"a", `"b"`}}))
	assert.Equal(t, map[string]string{
		"absexp": "-1", "sldexp": "-1", "data": "v", "tags": `638713838456789012 ["a","\"b\""]`,
	}, client.HGetAll(ctx, "key").Val())

	for _, field := range []string{"yesterday []", "0 []", "9223372036854775807 []", "1", "1 a", `1 {"a":1}`} {
		require.NoError(t, client.HSet(ctx, "key", "tags", field).Err())
		_, found, err := c.Get(ctx, "key")
		require.NoError(t, err)
		assert.False(t, found)
	}
	assert.Contains(t, log.String(), "its field tags does not begin with a number of ticks")
	assert.Contains(t, log.String(), "its field tags has no list of tags")
}

// What a factory makes is as old as its beginning: a removal while it runs counts.
func TestTagIsRemovedWhileTheFactoryRuns(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]Option{"plain": nil, "hybrid": {WithHybridFormat()}} {
		t.Run(name, func(t *testing.T) {
			client := plain(t)
			c := newTestCache(t, client, opts...)
			ctx := t.Context()
			options := EntryOptions{Tags: []string{"tag"}}
			value, err := c.GetOrCreate(ctx, "key", func(ctx context.Context) ([]byte, error) {
				return []byte("old"), New(client, opts...).RemoveByTag(ctx, "tag")
			}, options)
			require.NoError(t, err)
			assert.Equal(t, "old", string(value))
			value, err = c.GetOrCreate(ctx, "key", constant("new"), options)
			require.NoError(t, err)
			assert.Equal(t, "new", string(value))
		})
	}
}

// Naming the tags saves a round trip.
func TestRoundTripsOfTags(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := newTestCache(t, redis.NewClient(&redis.Options{Addr: server.Addr}))
	t.Cleanup(func() {
		client, _ := c.connection.client(context.Background())
		_ = client.Close()
	})
	options := EntryOptions{Tags: []string{"a", "b"}}
	require.NoError(t, c.Set(t.Context(), "key", []byte("v"), options))
	get := func(tags ...string) int {
		before := processed(t, server.Do(t, "INFO", "stats"))
		value, err := c.GetOrCreate(t.Context(), "key", nil, EntryOptions{Tags: tags})
		require.NoError(t, err)
		require.Equal(t, "v", string(value))
		return processed(t, server.Do(t, "INFO", "stats")) - before - 1
	}
	get()
	assert.Equal(t, 2, get())
	assert.Equal(t, 2, get("a"))
	assert.Equal(t, 1, get("a", "b"))
	assert.Equal(t, 1, get("b", "c", "a"))
}
