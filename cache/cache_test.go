package cache

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// The bytes in Redis are those that RedisCache of .NET writes.
func TestLayout(t *testing.T) {
	t.Parallel()
	client := plain(t)
	c := newTestCache(t, client, at(now), WithInstanceName("app:"))
	for name, test := range map[string]struct {
		options           EntryOptions
		absolute, sliding string
		ttl               time.Duration
	}{
		"none":     {EntryOptions{}, "-1", "-1", -1},
		"sliding":  {EntryOptions{SlidingExpiration: 20 * time.Minute}, "-1", "12000000000", 1200 * time.Second},
		"relative": {EntryOptions{AbsoluteExpirationRelativeToNow: time.Hour}, "638713874456789012", "-1", time.Hour},
		"both": {
			EntryOptions{SlidingExpiration: 10 * time.Minute, AbsoluteExpirationRelativeToNow: 5 * time.Minute},
			"638713841456789012", "6000000000", 300 * time.Second,
		},
		"fraction": {
			EntryOptions{SlidingExpiration: 1500 * time.Millisecond, AbsoluteExpirationRelativeToNow: time.Hour},
			"638713874456789012", "15000000", time.Second,
		},
		"absolute": {EntryOptions{AbsoluteExpiration: now.Add(time.Hour)}, "638713874456789012", "-1", time.Hour},
		"absolute, elsewhere": { // .NET would store the hours of the place
			EntryOptions{AbsoluteExpiration: now.Add(time.Hour).In(time.FixedZone("", 2*60*60))},
			"638713874456789012", "-1", time.Hour,
		},
		"relative wins": {
			EntryOptions{AbsoluteExpiration: now.Add(time.Minute), AbsoluteExpirationRelativeToNow: time.Hour},
			"638713874456789012", "-1", time.Hour,
		},
		"sliding is less": {
			EntryOptions{SlidingExpiration: time.Minute, AbsoluteExpirationRelativeToNow: time.Hour},
			"638713874456789012", "600000000", time.Minute,
		},
		"end of time": {
			EntryOptions{AbsoluteExpiration: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)},
			"3155378975999999999", "-1", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, c.Set(t.Context(), name, []byte("value\x00\xff"), test.options))
			assert.Equal(t, map[string]string{"absexp": test.absolute, "sldexp": test.sliding, "data": "value\x00\xff"},
				client.HGetAll(t.Context(), "app:"+name).Val())
			left := client.Do(t.Context(), "pttl", "app:"+name).Val().(int64)
			switch {
			case test.ttl < 0:
				assert.EqualValues(t, -1, left)
			case test.ttl == 0:
				assert.InDelta(t, 251666513754*1000, left, 60_000) // in ms: some 7975 years
			default:
				assert.LessOrEqual(t, left, test.ttl.Milliseconds())
				assert.Greater(t, left, test.ttl.Milliseconds()-60_000)
			}
		})
	}
}

// What cannot be is refused, and nothing is sent.
func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	c := newTestCache(t, client, at(now))
	for name, test := range map[string]struct {
		options EntryOptions
		err     error
		text    string
	}{
		"absolute is past":          {EntryOptions{AbsoluteExpiration: now.Add(-1)}, ErrAbsoluteExpiration, "The absolute expiration value must be in the future."},
		"absolute is the same tick": {EntryOptions{AbsoluteExpiration: now.Add(50)}, ErrAbsoluteExpiration, ""},
		"absolute is now":           {EntryOptions{AbsoluteExpiration: now}, ErrAbsoluteExpiration, "The absolute expiration value must be in the future."},
		"absolute is past, relative is not": {
			EntryOptions{AbsoluteExpiration: now.Add(-time.Hour), AbsoluteExpirationRelativeToNow: time.Hour},
			ErrAbsoluteExpiration, "The absolute expiration value must be in the future.",
		},
		"relative": {EntryOptions{AbsoluteExpirationRelativeToNow: -1}, ErrRelativeExpiration, "The relative expiration value must be positive."},
		"sliding":  {EntryOptions{SlidingExpiration: -1}, ErrSlidingExpiration, "The sliding expiration value must be positive."},
		"local":    {EntryOptions{LocalExpiration: -1}, ErrLocalExpiration, "the local expiration must not be negative"},
		"too far": {
			EntryOptions{AbsoluteExpiration: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
			ErrExpirationRange, "the absolute expiration must be before the year 10000",
		},
		"blank tag":    {EntryOptions{Tags: []string{"a", " "}}, ErrTag, `a tag must be valid UTF-8, not blank, and of an entry not "*"`},
		"tag of all":   {EntryOptions{Tags: []string{"*"}}, ErrTag, ""},
		"tag no UTF-8": {EntryOptions{Tags: []string{"\xff"}}, ErrTag, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for call, err := range map[string]error{
				"Set":     c.Set(t.Context(), "key", nil, test.options),
				"SetMany": c.SetMany(t.Context(), map[string][]byte{"key": nil}, test.options),
				"GetOrCreate": func() error {
					_, err := c.GetOrCreate(t.Context(), "key", constant("value"), test.options)
					return err
				}(),
			} {
				require.ErrorIs(t, err, test.err, call)
				assert.ErrorContains(t, err, test.text, call)
			}
		})
	}
	far := newTestCache(t, client, at(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)))
	assert.ErrorIs(t, far.Set(t.Context(), "key", nil, EntryOptions{AbsoluteExpirationRelativeToNow: math.MaxInt64}), ErrExpirationRange)
}

// TestOperations runs on every kind of Redis.
func TestOperations(t *testing.T) {
	t.Parallel()
	for _, target := range targets(t) {
		t.Run(target.name, func(t *testing.T) {
			client, ctx := target.client, t.Context()
			c := newTestCache(t, client, WithInstanceName("ops:"))

			t.Run("missing", func(t *testing.T) {
				value, found, err := c.Get(ctx, "missing")
				require.NoError(t, err)
				assert.False(t, found)
				assert.Nil(t, value)
				assert.NoError(t, c.Refresh(ctx, "missing"))
				assert.NoError(t, c.Remove(ctx, "missing"))
			})
			t.Run("round trip", func(t *testing.T) {
				for _, key := range []string{"", " ", "abc", "Abc", "key with spaces", "\x00\xff", strings.Repeat("k", 5000)} {
					for _, value := range []string{"", "v", "\x00\xff\r\n", strings.Repeat("x", 1<<20)} {
						require.NoError(t, c.Set(ctx, key, []byte(value), EntryOptions{}))
						got, found, err := c.Get(ctx, key)
						require.NoError(t, err)
						assert.True(t, found)
						assert.NotNil(t, got)
						assert.True(t, string(got) == value, "of %d bytes came %d", len(value), len(got))
					}
				}
				got, _, _ := c.Get(ctx, "ABC")
				assert.Nil(t, got)
			})
			t.Run("a nil value is an empty one", func(t *testing.T) {
				require.NoError(t, c.Set(ctx, "nil", nil, EntryOptions{}))
				got, found, err := c.Get(ctx, "nil")
				require.NoError(t, err)
				assert.True(t, found)
				assert.Equal(t, []byte{}, got)
			})
			t.Run("remove", func(t *testing.T) {
				require.NoError(t, c.Set(ctx, "remove", []byte("v"), EntryOptions{}))
				require.NoError(t, c.Remove(ctx, "remove"))
				_, found, err := c.Get(ctx, "remove")
				require.NoError(t, err)
				assert.False(t, found)
			})
			t.Run("overwriting leaves nothing", func(t *testing.T) {
				require.NoError(t, c.Set(ctx, "over", []byte("1"), EntryOptions{AbsoluteExpirationRelativeToNow: time.Hour, Tags: []string{"t"}}))
				require.NoError(t, c.Set(ctx, "over", []byte("2"), EntryOptions{}))
				assert.Equal(t, map[string]string{"absexp": "-1", "sldexp": "-1", "data": "2"}, client.HGetAll(ctx, "ops:over").Val())
				assert.EqualValues(t, -1, client.Do(ctx, "pttl", "ops:over").Val())

				require.NoError(t, client.Del(ctx, "ops:over").Err()) // of what is no entry yet neither
				require.NoError(t, client.HSet(ctx, "ops:over", "tags", "1 []").Err())
				require.NoError(t, client.Expire(ctx, "ops:over", time.Hour).Err())
				require.NoError(t, c.Set(ctx, "over", []byte("3"), EntryOptions{}))
				assert.Equal(t, map[string]string{"absexp": "-1", "sldexp": "-1", "data": "3"}, client.HGetAll(ctx, "ops:over").Val())
				assert.EqualValues(t, -1, client.Do(ctx, "pttl", "ops:over").Val())
			})
			t.Run("less than a second is no time", func(t *testing.T) {
				for _, options := range []EntryOptions{
					{AbsoluteExpirationRelativeToNow: 999 * time.Millisecond}, {SlidingExpiration: time.Millisecond},
					{AbsoluteExpiration: time.Now().Add(900 * time.Millisecond)}, {SlidingExpiration: time.Hour, AbsoluteExpirationRelativeToNow: 1},
				} {
					require.NoError(t, c.Set(ctx, "short", []byte("old"), EntryOptions{}))
					require.NoError(t, c.Set(ctx, "short", []byte("v"), options))
					assert.Zero(t, client.Exists(ctx, "ops:short").Val())
				}
			})
			t.Run("another type is an error, and stays as it is", func(t *testing.T) {
				require.NoError(t, client.Set(ctx, "ops:text", "mine", 0).Err())
				_, _, err := c.Get(ctx, "text")
				requireWrongType(t, err, "cache: get: ")
				requireWrongType(t, c.Set(ctx, "text", []byte("v"), EntryOptions{SlidingExpiration: time.Hour}), "cache: set: ")
				requireWrongType(t, c.Refresh(ctx, "text"), "cache: refresh: ")
				assert.Equal(t, "mine", client.Get(ctx, "ops:text").Val())
				assert.EqualValues(t, -1, client.Do(ctx, "pttl", "ops:text").Val())
				require.NoError(t, c.Remove(ctx, "text"))
			})
			t.Run("many", func(t *testing.T) {
				values := map[string][]byte{}
				keys := []string{"none"}
				for _, n := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
					values["many:"+n], keys = []byte(n), append(keys, "many:"+n)
				}
				values["many:empty"], keys = []byte{}, append(keys, "many:empty")
				require.NoError(t, c.SetMany(ctx, values, EntryOptions{SlidingExpiration: time.Hour}))
				got, err := c.GetMany(ctx, keys...)
				require.NoError(t, err)
				assert.Equal(t, values, got)
				assert.Equal(t, "36000000000", client.HGet(ctx, "ops:many:a", "sldexp").Val())

				require.NoError(t, client.Set(ctx, "ops:many:b", "text", 0).Err())
				got, err = c.GetMany(ctx, keys...)
				requireWrongType(t, err, "cache: get many: ")
				assert.Len(t, got, len(values)-1, "the others are there")
				requireWrongType(t, c.SetMany(ctx, values, EntryOptions{}), "cache: set many: 1 of 27 were not written: ")
				require.NoError(t, client.Del(ctx, "ops:many:b").Err())

				got, err = c.GetMany(ctx)
				require.NoError(t, err)
				assert.Empty(t, got)
				assert.NoError(t, c.SetMany(ctx, nil, EntryOptions{}))
			})
		})
	}
}

func requireWrongType(t *testing.T, err error, prefix string) {
	t.Helper()
	require.Error(t, err)
	assert.True(t, redis.HasErrorPrefix(err, "WRONGTYPE"), "%v", err)
	assert.True(t, strings.HasPrefix(err.Error(), prefix+"WRONGTYPE"), "%v", err)
}

// What .NET has written is read, and its sliding expirations go on.
func TestEntriesOfDotNet(t *testing.T) {
	t.Parallel()
	for _, target := range targets(t) {
		t.Run(target.name, func(t *testing.T) {
			ctx, client := t.Context(), target.client
			c := newTestCache(t, client, at(now))
			write := func(absolute, sliding string) {
				require.NoError(t, client.HMSet(ctx, "entry", "absexp", absolute, "sldexp", sliding, "data", "of .NET").Err())
				require.NoError(t, client.Expire(ctx, "entry", 100*time.Second).Err())
			}
			for name, test := range map[string]struct {
				absolute, sliding string
				ttl               int64 // in ms, after a Get or a Refresh; 0: it is gone
			}{
				"none":                            {"-1", "-1", 100_000},
				"absolute":                        {"638713874456789012", "-1", 100_000},
				"sliding":                         {"-1", "12000000000", 1_200_000},
				"both, sliding is less":           {"638713874456789012", "6000000000", 600_000},
				"both, absolute is less":          {"638713841456789012", "36000000000", 300_000},
				"a fraction":                      {"638713874456789012", "15000000", 1500},
				"a fraction below a millisecond":  {"-1", "600009999", 60_000},
				"by a tick less than a minute":    {"638713839056789011", "36000000000", 59_999},
				"by a tick more than a minute":    {"638713839056789013", "36000000000", 60_000},
				"nothing is left":                 {"638713838456789012", "12000000000", 0},
				"less than nothing is left":       {"638713838456789011", "12000000000", 0},
				"long past":                       {"0", "12000000000", 0},
				"below a millisecond is left":     {"638713838456799011", "12000000000", 0},
				"a millisecond short of a second": {"638713838466779012", "12000000000", 999},
				"sliding is longest":              {"638713839056789012", "9223372036854775807", 60_000},
			} {
				t.Run(name, func(t *testing.T) {
					write(test.absolute, test.sliding)
					value, found, err := c.Get(ctx, "entry")
					require.NoError(t, err)
					assert.True(t, found)
					assert.Equal(t, "of .NET", string(value))
					assertTTL(t, client, "entry", test.ttl)

					write(test.absolute, test.sliding)
					require.NoError(t, c.Refresh(ctx, "entry"))
					assertTTL(t, client, "entry", test.ttl)
				})
			}
			t.Run("fields are missing", func(t *testing.T) {
				require.NoError(t, client.Del(ctx, "entry").Err())
				require.NoError(t, client.HSet(ctx, "entry", "data", "alone").Err())
				value, found, err := c.Get(ctx, "entry")
				require.NoError(t, err)
				assert.True(t, found)
				assert.Equal(t, "alone", string(value))
				require.NoError(t, client.HDel(ctx, "entry", "data").Err())
				require.NoError(t, client.HSet(ctx, "entry", "sldexp", "600000000").Err())
				_, found, err = c.Get(ctx, "entry")
				require.NoError(t, err)
				assert.False(t, found)
				assertTTL(t, client, "entry", 60_000)
			})
			t.Run("fields are no numbers", func(t *testing.T) {
				for _, fields := range [][]string{
					{"never", "10000000"}, {"-1", "never"}, {"-1", "nan"}, {"-1", "inf"}, {"-1", "1e300"}, {"-inf", "1"}, {"nan", "1"}, {"", "1"}, {"-1", ""},
				} {
					write(fields[0], fields[1])
					_, _, err := c.Get(ctx, "entry")
					require.ErrorContains(t, err, "cache: get: ERR absexp and sldexp of a cache entry must be numbers")
					require.ErrorContains(t, c.Refresh(ctx, "entry"), "cache: refresh: ERR absexp and sldexp of a cache entry must be numbers")
				}
				require.NoError(t, c.Remove(ctx, "entry"))
				assert.Zero(t, client.Exists(ctx, "entry").Val())
			})
			t.Run("overwritten with HMSET, the TTL of the old one stays; Set leaves none", func(t *testing.T) {
				write("638713874456789012", "-1")
				require.NoError(t, c.Set(ctx, "entry", []byte("ours"), EntryOptions{}))
				assert.EqualValues(t, -1, client.Do(ctx, "pttl", "entry").Val())
			})
		})
	}
}

func assertTTL(t *testing.T, client redis.UniversalClient, key string, want int64) {
	t.Helper()
	left := client.Do(context.Background(), "pttl", key).Val().(int64)
	if want == 0 {
		assert.EqualValues(t, -2, left, "it is gone")
		return
	}
	if want < 5000 && left == -2 {
		return // a slow machine
	}
	assert.LessOrEqual(t, left, want)
	assert.Greater(t, left, want-5000)
}

// Reading goes on until the absolute end, and not beyond.
func TestExpiryByWaiting(t *testing.T) {
	t.Parallel()
	client := plain(t)
	c := newTestCache(t, client)
	ctx := t.Context()
	started := time.Now()
	require.NoError(t, c.Set(ctx, "sliding", []byte("v"), EntryOptions{SlidingExpiration: 3 * time.Second}))
	require.NoError(t, c.Set(ctx, "unread", []byte("v"), EntryOptions{SlidingExpiration: 3 * time.Second}))
	require.NoError(t, c.Set(ctx, "both", []byte("v"), EntryOptions{SlidingExpiration: 3 * time.Second, AbsoluteExpirationRelativeToNow: 5 * time.Second}))
	require.NoError(t, c.Set(ctx, "absolute", []byte("v"), EntryOptions{AbsoluteExpirationRelativeToNow: time.Second}))
	get := func(key string) bool {
		_, found, err := c.Get(ctx, key)
		require.NoError(t, err)
		return found
	}
	bothEnded := time.Duration(0)
	require.Eventually(t, func() bool {
		if bothEnded == 0 && !get("both") {
			bothEnded = time.Since(started)
		}
		return get("sliding") && bothEnded != 0
	}, time.Minute, 20*time.Millisecond, "what is read lives on, what has an absolute end does not")
	assert.GreaterOrEqual(t, bothEnded, 4*time.Second, "reading kept it beyond its sliding expiration")
	assert.False(t, get("unread"))
	assert.False(t, get("absolute"))
}

// Nothing is lost that a server forgets: scripts are sent anew.
func TestScriptsAreSentAnew(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := clientOf(t, server.Addr)
	c := newTestCache(t, client)
	ctx := t.Context()
	for range 2 {
		server.Do(t, "SCRIPT", "FLUSH")
		require.NoError(t, c.SetMany(ctx, map[string][]byte{"a": []byte("1"), "b": []byte("2")}, EntryOptions{SlidingExpiration: time.Hour}))
		server.Do(t, "SCRIPT", "FLUSH")
		got, err := c.GetMany(ctx, "a", "b", "c")
		require.NoError(t, err)
		assert.Equal(t, map[string][]byte{"a": []byte("1"), "b": []byte("2")}, got)
		server.Do(t, "SCRIPT", "FLUSH")
		require.NoError(t, c.Refresh(ctx, "a"))
		require.NoError(t, c.Set(ctx, "a", []byte("3"), EntryOptions{}))
		value, _, err := c.Get(ctx, "a")
		require.NoError(t, err)
		assert.Equal(t, "3", string(value))
	}
}

// One call is one round trip.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := clientOf(t, server.Addr)
	c := newTestCache(t, client)
	ctx := t.Context()
	calls := map[string]func() error{
		"Set": func() error {
			return c.Set(ctx, "k", []byte("v"), EntryOptions{SlidingExpiration: time.Hour, Tags: nil})
		},
		"Get":     func() error { _, _, err := c.Get(ctx, "k"); return err },
		"Refresh": func() error { return c.Refresh(ctx, "k") },
		"Remove":  func() error { return c.Remove(ctx, "other") },
	}
	for _, call := range calls {
		require.NoError(t, call()) // connects, and sends the scripts
	}
	for name, call := range calls {
		before := server.Do(t, "INFO", "stats")
		require.NoError(t, call())
		after := server.Do(t, "INFO", "stats")
		assert.EqualValues(t, 1, processed(t, after)-processed(t, before)-1, name) // and INFO itself
	}
}

func processed(t *testing.T, info any) int {
	t.Helper()
	for line := range strings.Lines(info.(string)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "total_reads_processed:"); ok {
			return atoi(t, n)
		}
	}
	t.Fatal("INFO has no total_reads_processed")
	return 0
}
