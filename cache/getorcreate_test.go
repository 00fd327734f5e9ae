package cache

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestGetOrCreate(t *testing.T) {
	t.Parallel()
	for _, target := range targets(t) {
		t.Run(target.name, func(t *testing.T) {
			for name, opts := range map[string][]Option{"plain": nil, "hybrid": {WithHybridFormat()}} {
				t.Run(name, func(t *testing.T) {
					ctx := t.Context()
					c := newTestCache(t, target.client, append(opts, WithInstanceName(name+":"))...)
					other := newTestCache(t, target.client, append(opts, WithInstanceName(name+":"))...)

					calls := 0
					factory := func(context.Context) ([]byte, error) { calls++; return []byte("made"), nil }
					for range 3 {
						value, err := c.GetOrCreate(ctx, "key", factory, EntryOptions{})
						require.NoError(t, err)
						assert.Equal(t, "made", string(value))
					}
					value, err := other.GetOrCreate(ctx, "key", factory, EntryOptions{})
					require.NoError(t, err)
					assert.Equal(t, "made", string(value))
					assert.Equal(t, 1, calls)
					assertTTL(t, target.client, name+":key", DefaultExpiration.Milliseconds())

					value, found, err := other.Get(ctx, "key")
					require.NoError(t, err)
					assert.True(t, found)
					assert.Equal(t, "made", string(value))

					require.NoError(t, other.Set(ctx, "key", []byte("set"), EntryOptions{AbsoluteExpirationRelativeToNow: time.Hour}))
					value, err = c.GetOrCreate(ctx, "key", factory, EntryOptions{})
					require.NoError(t, err)
					assert.Equal(t, "set", string(value))

					require.NoError(t, other.Remove(ctx, "key"))
					_, err = c.GetOrCreate(ctx, "key", factory, EntryOptions{AbsoluteExpirationRelativeToNow: time.Hour})
					require.NoError(t, err)
					assert.Equal(t, 2, calls)
					assertTTL(t, target.client, name+":key", time.Hour.Milliseconds())
				})
			}
		})
	}
}

// However many ask for a key that is not there, the factory is called once.
func TestOneFactoryForManyCallers(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, plain(t))
	var calls atomic.Int64
	asked, release := make(chan struct{}, 64), make(chan struct{})
	factory := func(context.Context) ([]byte, error) { //nolint:unparam // the form of a factory
		calls.Add(1)
		<-release
		return []byte("made"), nil
	}
	values := make([][]byte, 64)
	var callers sync.WaitGroup
	for i := range values {
		callers.Go(func() {
			asked <- struct{}{}
			value, err := c.GetOrCreate(t.Context(), "cold", factory, EntryOptions{})
			assert.NoError(t, err)
			assert.Equal(t, "made", string(value))
			values[i] = value
		})
	}
	for range values {
		<-asked
	}
	require.Eventually(t, func() bool { return c.flights.waiting("cold") == 64 }, 10*time.Second, time.Millisecond)
	close(release)
	callers.Wait()
	assert.EqualValues(t, 1, calls.Load())
	assert.EqualValues(t, 63, c.stats.waiters.Load())
	for i := range values {
		values[i][0] = byte(i)
	}
	for i := range values {
		assert.Equal(t, byte(i), values[i][0], "each has a copy of its own")
	}
	value, err := c.GetOrCreate(t.Context(), "cold", factory, EntryOptions{})
	require.NoError(t, err)
	assert.Equal(t, "made", string(value))
}

// waiting returns how many wait for a key.
func (f *flights) waiting(key string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fl := range f.running[key] {
		if fl.joinable {
			n += fl.waiting
		}
	}
	return n
}

// A caller leaves with its own context; the work goes on until all have left.
func TestCallersLeaveOneByOne(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, plain(t))
	type contextKey struct{}
	started, ended := make(chan context.Context, 2), make(chan error, 2)
	factory := func(ctx context.Context) ([]byte, error) { //nolint:unparam // the form of a factory
		started <- ctx
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	results := make(chan error, 2)
	first, leaveFirst := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "of the first"))
	second, leaveSecond := context.WithTimeout(t.Context(), time.Hour)
	defer leaveSecond()
	ask := func(ctx context.Context) {
		_, err := c.GetOrCreate(ctx, "key", factory, EntryOptions{})
		results <- err
	}
	go ask(first)
	work := <-started
	assert.Equal(t, "of the first", work.Value(contextKey{}))
	go ask(second)
	require.Eventually(t, func() bool { return c.flights.waiting("key") == 2 }, 10*time.Second, time.Millisecond)

	leaveFirst()
	require.ErrorIs(t, <-results, context.Canceled)
	require.NoError(t, work.Err(), "somebody still waits")

	leaveSecond()
	require.ErrorIs(t, <-results, context.Canceled)
	require.ErrorIs(t, <-ended, context.Canceled)

	value, err := c.GetOrCreate(t.Context(), "key", constant("anew"), EntryOptions{})
	require.NoError(t, err, "the end of others' contexts is not ours")
	assert.Equal(t, "anew", string(value))
}

func TestFactoryThatFails(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, plain(t))
	_, err := c.GetOrCreate(t.Context(), "key", func(context.Context) ([]byte, error) { return []byte("half"), io.ErrUnexpectedEOF }, EntryOptions{})
	require.Equal(t, io.ErrUnexpectedEOF, err, "as it is")
	_, found, err := c.Get(t.Context(), "key")
	require.NoError(t, err)
	assert.False(t, found)

	call := func(factory func(context.Context) ([]byte, error)) (panicked any, err error) {
		defer func() { panicked = recover() }()
		_, err = c.GetOrCreate(t.Context(), "key", factory, EntryOptions{})
		return nil, err
	}
	panicked, _ := call(func(context.Context) ([]byte, error) { panic(io.ErrNoProgress) })
	var p *PanicError
	require.ErrorAs(t, panicked.(error), &p)
	assert.Equal(t, io.ErrNoProgress, p.Value)
	assert.ErrorIs(t, p, io.ErrNoProgress)
	assert.Contains(t, p.Error(), "TestFactoryThatFails", "the stack says where")

	_, err = call(func(context.Context) ([]byte, error) { runtime.Goexit(); return nil, nil })
	require.ErrorIs(t, err, errGoexit)

	value, err := c.GetOrCreate(t.Context(), "key", constant("made"), EntryOptions{})
	require.NoError(t, err)
	assert.Equal(t, "made", string(value))
}

// A factory that waits for itself is told so, also through others.
func TestRecursion(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, plain(t))
	var ask func(context.Context) ([]byte, error)
	ask = func(ctx context.Context) ([]byte, error) {
		return c.GetOrCreate(ctx, "a", func(ctx context.Context) ([]byte, error) {
			return c.GetOrCreate(ctx, "b", ask, EntryOptions{})
		}, EntryOptions{})
	}
	_, err := ask(t.Context())
	require.ErrorIs(t, err, errRecursion)
	value, err := c.GetOrCreate(t.Context(), "a", func(ctx context.Context) ([]byte, error) {
		return c.GetOrCreate(ctx, "b", constant("inner"), EntryOptions{})
	}, EntryOptions{})
	require.NoError(t, err)
	assert.Equal(t, "inner", string(value))
}

// What the factory keeps is not what callers get, and the tags are read when it is called.
func TestFactoriesKeepWhatIsTheirs(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, plain(t))
	shared := []byte("shared")
	for _, key := range []string{"key", ""} { // the latter without the cache
		for range 2 {
			value, err := c.GetOrCreate(t.Context(), key, func(context.Context) ([]byte, error) { return shared, nil }, EntryOptions{})
			require.NoError(t, err)
			value[0] = 'X'
		}
		assert.Equal(t, "shared", string(shared))
	}
	value, err := c.GetOrCreate(t.Context(), "nil", func(context.Context) ([]byte, error) { return nil, nil }, EntryOptions{})
	require.NoError(t, err)
	assert.Equal(t, []byte{}, value, "an empty value is one")

	ctx, cancel := context.WithCancel(t.Context())
	tags := []string{"tag"}
	stored := make(chan struct{})
	_, err = c.GetOrCreate(ctx, "tags", func(context.Context) ([]byte, error) {
		cancel()
		<-stored
		return nil, nil
	}, EntryOptions{Tags: tags})
	require.ErrorIs(t, err, context.Canceled)
	tags[0] = "changed" // or the race detector speaks
	close(stored)
}

// Calls with other flags do something else, and are not joined.
func TestFlightsOfOtherFlags(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, plain(t))
	started, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_, err := c.GetOrCreate(t.Context(), "key", func(context.Context) ([]byte, error) {
			close(started)
			<-release
			return nil, nil
		}, EntryOptions{})
		assert.NoError(t, err)
	}()
	<-started
	value, err := c.GetOrCreate(t.Context(), "key", constant("x"), EntryOptions{Flags: DisableUnderlyingData})
	require.NoError(t, err)
	assert.Nil(t, value)
	close(release)
	<-done
}

// WithRedisRequired: neither an entry that cannot be read nor one that cannot be stored is
// passed over.
func TestRedisRequired(t *testing.T) {
	t.Parallel()
	client := plain(t)
	c := newTestCache(t, client, WithRedisRequired())
	lenient := newTestCache(t, client)
	ctx := t.Context()
	spoil := func(context.Context) ([]byte, error) {
		return []byte("v"), client.Set(ctx, "key", "text", 0).Err()
	}
	_, err := c.GetOrCreate(ctx, "key", spoil, EntryOptions{})
	requireWrongType(t, err, "cache: get or create: ")
	_, err = c.GetOrCreate(ctx, "key", constant("v"), EntryOptions{})
	requireWrongType(t, err, "cache: get or create: ")
	for range 2 {
		require.NoError(t, client.Del(ctx, "key").Err())
		value, err := lenient.GetOrCreate(ctx, "key", spoil, EntryOptions{})
		require.NoError(t, err)
		assert.Equal(t, "v", string(value))
	}
}

// holdScripts holds the scripts that write a value back until it is let go.
type holdScripts struct {
	value    string
	held     chan struct{} // has one for each that is held
	released chan struct{} // closed to let go
}

func (h *holdScripts) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *holdScripts) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.hold(cmd)
		return next(ctx, cmd)
	}
}

func (h *holdScripts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			h.hold(cmd)
		}
		return next(ctx, cmds)
	}
}

func (h *holdScripts) hold(cmd redis.Cmder) {
	if args := cmd.Args(); len(args) > 6 {
		if data, ok := args[6].([]byte); ok && string(data) == h.value {
			h.held <- struct{}{}
			<-h.released
		}
	}
}

// holding returns a cache whose writes of a value are held.
func holding(t *testing.T, value string) (*Cache, *holdScripts) {
	client := plain(t)
	h := &holdScripts{value: value, held: make(chan struct{}, 10), released: make(chan struct{})}
	client.AddHook(h)
	return newTestCache(t, client), h
}

func requireStored(t *testing.T, c *Cache, want string) {
	t.Helper()
	value, _, err := c.Get(t.Context(), "key")
	require.NoError(t, err)
	assert.Equal(t, want, string(value))
}

// A write waits for a factory's value that is being stored, however its callers have left.
func TestWritesWaitForWhatIsBeingStored(t *testing.T) {
	t.Parallel()
	for _, through := range []string{"alone", "pipelined"} {
		t.Run(through, func(t *testing.T) {
			c, h := holding(t, "old")
			if through == "pipelined" {
				c.pipelining.underWay.Add(mostAlone)
			}
			ctx, leave := context.WithCancel(t.Context())
			left := make(chan error)
			go func() {
				_, err := c.GetOrCreate(ctx, "key", constant("old"), EntryOptions{})
				left <- err
			}()
			<-h.held
			leave()
			require.ErrorIs(t, <-left, context.Canceled)
			c.flights.mu.Lock()
			fl := c.flights.running["key"][0]
			c.flights.mu.Unlock()

			ended, end := context.WithCancel(t.Context())
			end()
			require.ErrorIs(t, c.Set(ended, "key", []byte("ended"), EntryOptions{}), context.Canceled)
			fl.superseded = false // as if that Set had not been
			written := make(chan error)
			go func() { written <- c.Set(t.Context(), "key", []byte("new"), EntryOptions{}) }()
			require.Eventually(t, func() bool {
				c.flights.mu.Lock()
				defer c.flights.mu.Unlock()
				return fl.superseded
			}, soon, time.Millisecond)
			close(h.released)
			require.NoError(t, <-written)
			<-fl.done
			requireStored(t, c, "new")
		})
	}
}

// A factory that begins while a write is on its way does not undo it.
func TestFactoriesThatBeginDuringAWrite(t *testing.T) {
	t.Parallel()
	c, h := holding(t, "new")
	written := make(chan error)
	go func() { written <- c.Set(t.Context(), "key", []byte("new"), EntryOptions{}) }()
	<-h.held
	release, done := make(chan struct{}), make(chan struct{})
	started := make(chan struct{})
	go func() {
		defer close(done)
		_, err := c.GetOrCreate(t.Context(), "key", func(context.Context) ([]byte, error) {
			close(started)
			<-release
			return []byte("old"), nil
		}, EntryOptions{})
		assert.NoError(t, err)
	}()
	<-started
	close(h.released)
	require.NoError(t, <-written)
	close(release)
	<-done
	requireStored(t, c, "new")
}

// A panic that would reach nobody is logged.
func TestPanicThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	logger, log := testLogger()
	c := newTestCache(t, plain(t), WithLogger(logger))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := c.GetOrCreate(ctx, "key", func(ctx context.Context) ([]byte, error) {
		cancel()
		<-ctx.Done()
		panic("too late")
	}, EntryOptions{})
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "too late") }, soon, time.Millisecond)
}

// A value whose time has come while it was made is returned, and not stored.
func TestExpiryWhileTheFactoryRuns(t *testing.T) {
	t.Parallel()
	client := plain(t)
	clock := &testClock{at: now}
	c := newTestCache(t, client, WithClock(clock.now), WithRedisRequired())
	value, err := c.GetOrCreate(t.Context(), "key", func(context.Context) ([]byte, error) {
		clock.advance(time.Hour)
		return []byte("v"), nil
	}, EntryOptions{AbsoluteExpiration: now.Add(time.Minute)})
	require.NoError(t, err)
	assert.Equal(t, "v", string(value))
	assert.Zero(t, client.Exists(t.Context(), "key").Val())
}

// A write of this process is not undone by a factory that had begun before it.
func TestWritesWinOverFactories(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*Cache, context.Context) error{
		"Set": func(c *Cache, ctx context.Context) error { return c.Set(ctx, "key", []byte("new"), EntryOptions{}) },
		"SetMany": func(c *Cache, ctx context.Context) error {
			return c.SetMany(ctx, map[string][]byte{"key": []byte("new")}, EntryOptions{})
		},
		"Remove": func(c *Cache, ctx context.Context) error { return c.Remove(ctx, "key") },
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCache(t, plain(t))
			ctx := t.Context()
			started, release := make(chan struct{}), make(chan struct{})
			done := make(chan string)
			go func() {
				value, err := c.GetOrCreate(ctx, "key", func(context.Context) ([]byte, error) {
					close(started)
					<-release
					return []byte("old"), nil
				}, EntryOptions{})
				assert.NoError(t, err)
				done <- string(value)
			}()
			<-started
			require.NoError(t, write(c, ctx))
			value, err := c.GetOrCreate(ctx, "key", constant("new"), EntryOptions{}) // does not join
			require.NoError(t, err)
			assert.Equal(t, "new", string(value))
			close(release)
			assert.Equal(t, "old", <-done, "who asked before gets it")
			value, _, err = c.Get(ctx, "key")
			require.NoError(t, err)
			assert.Equal(t, "new", string(value))
		})
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	client := plain(t)
	c := newLocalCache(t, client)
	ctx := t.Context()
	get := func(made string, flags Flags) string {
		value, err := c.GetOrCreate(ctx, "key", constant(made), EntryOptions{Flags: flags})
		require.NoError(t, err)
		if value == nil {
			return "nil"
		}
		return string(value)
	}
	assert.Equal(t, "nil", get("1", DisableUnderlyingData))
	assert.Equal(t, "1", get("1", DisableDistributedCacheWrite))
	assert.Equal(t, "2", get("2", DisableLocalCacheWrite))
	assert.Equal(t, "2", get("3", DisableLocalCacheWrite))
	assert.Nil(t, c.local.get("key"))
	assert.Equal(t, "3", get("3", DisableDistributedCacheRead))
	assert.Equal(t, "3", get("4", DisableUnderlyingData))
	require.Eventually(t, func() bool { get("4", 0); return c.local.get("key") != nil }, 10*time.Second, time.Millisecond)
	assert.Equal(t, "3", get("4", DisableDistributedCacheRead|DisableUnderlyingData), "from process")
	assert.Equal(t, "nil", get("4", DisableLocalCacheRead|DisableDistributedCacheRead|DisableUnderlyingData))
}

func TestLimits(t *testing.T) {
	t.Parallel()
	client := plain(t)
	logger, log := testLogger()
	c := newTestCache(t, client, WithLogger(logger), WithMaximumPayload(10), WithMaximumKeyLength(5))
	ctx := t.Context()
	for name, test := range map[string]struct {
		key, value string
		stored     bool
		log        string
	}{
		"all at the most": {"\u00e4\u00f6\u00fc\U0001F600", "0123456789", true, ""},
		"value too long":  {"long", "0123456789a", false, "it has 11 bytes, and the most is 10"},
		"key too long":    {"secret", "v", false, "the key has 6 characters, and the most is 5"},
		"pairs count two": {"\U0001F600\U0001F600\U0001F600", "v", false, "the key has 6 characters, and the most is 5"},
		"key empty":       {"", "v", false, "the key is blank"},
		"key blank":       {" \t", "v", false, "the key is blank"},
		"key with \\n":    {"a\nb", "v", false, "the key has control characters"},
		"key not UTF-8":   {"a\xff", "v", false, "the key is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(log.String())
			calls := 0
			for range 2 {
				value, err := c.GetOrCreate(ctx, test.key, func(context.Context) ([]byte, error) { calls++; return []byte(test.value), nil }, EntryOptions{})
				require.NoError(t, err)
				assert.Equal(t, test.value, string(value))
			}
			assert.Equal(t, test.stored, client.Exists(ctx, test.key).Val() == 1)
			assert.Equal(t, test.stored, calls == 1)
			logged := log.String()[before:]
			assert.Equal(t, test.log != "", logged != "")
			assert.Contains(t, logged, test.log)
			if test.key != "" && strings.TrimSpace(test.key) != "" {
				assert.NotContains(t, logged, test.key)
			}
		})
	}
}

// A failing Redis makes it slower, not wrong.
func TestRedisThatFails(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, ReadTimeout: time.Second})
	t.Cleanup(func() { _ = client.Close() })
	logger, log := testLogger()
	c := newLocalCache(t, client, WithLogger(logger))
	strict := newTestCache(t, client, WithRedisRequired())
	ctx := t.Context()
	require.NoError(t, c.Set(ctx, "key", []byte("stored"), EntryOptions{}))
	get := func(c *Cache) (string, error) {
		value, err := c.GetOrCreate(ctx, "key", constant("made"), EntryOptions{})
		return string(value), err
	}
	require.Eventually(t, func() bool { _, _ = get(c); return c.local.get("key") != nil }, 10*time.Second, time.Millisecond)

	server.Kill()
	require.Eventually(t, func() bool { return !c.local.on.Load() }, 10*time.Second, time.Millisecond)
	value, err := get(c)
	require.NoError(t, err)
	assert.Equal(t, "made", value, "what was kept may be old: nobody would have told")
	_, err = get(c)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(log.String(), "GetOrCreate does without Redis"))
	_, err = get(strict)
	require.ErrorContains(t, err, "cache: get or create: ")
	var refused interface{ Timeout() bool }
	assert.True(t, errors.As(err, &refused), "%v", err)
	for name, err := range map[string]error{
		"Get":         func() error { _, _, err := c.Get(ctx, "key"); return err }(),
		"GetMany":     func() error { _, err := c.GetMany(ctx, "key"); return err }(),
		"Set":         c.Set(ctx, "key", nil, EntryOptions{}),
		"SetMany":     c.SetMany(ctx, map[string][]byte{"key": nil}, EntryOptions{}),
		"Refresh":     c.Refresh(ctx, "key"),
		"Remove":      c.Remove(ctx, "key"),
		"RemoveByTag": c.RemoveByTag(ctx, "tag"),
	} {
		assert.ErrorContains(t, err, "connection refused", name)
	}

	server.Restart(t)
	// go-redis tries to connect once a second when that has failed often.
	require.Eventually(t, func() bool { return strict.Set(ctx, "key", []byte("after"), EntryOptions{}) == nil }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { value, err := get(c); return err == nil && value == "after" }, 10*time.Second, time.Millisecond)
	requireTracking(t, c)
}

// A caller whose context ends leaves a silent Redis.
func TestRedisThatIsSilent(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: true, MaxRetries: -1, ReadTimeout: time.Second})
	t.Cleanup(func() { _ = client.Close() })
	c := newTestCache(t, client)
	_, err := c.GetOrCreate(t.Context(), "key", constant("v"), EntryOptions{})
	require.NoError(t, err)
	server.Pause()
	defer server.Resume()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for c.flights.waiting("key") == 0 {
			runtime.Gosched()
		}
		cancel()
	}()
	_, err = c.GetOrCreate(ctx, "key", constant("v"), EntryOptions{})
	require.ErrorIs(t, err, context.Canceled)

	value, err := c.GetOrCreate(t.Context(), "key", constant("made without"), EntryOptions{})
	require.NoError(t, err)
	assert.Equal(t, "made without", string(value))
}

func TestClose(t *testing.T) {
	t.Parallel()
	client := plain(t)
	c := New(client, WithLocal(1<<20))
	started := make(chan struct{})
	failed := make(chan error)
	go func() {
		_, err := c.GetOrCreate(context.Background(), "key", func(ctx context.Context) ([]byte, error) {
			close(started)
			<-ctx.Done()
			return nil, ctx.Err()
		}, EntryOptions{})
		failed <- err
	}()
	<-started
	require.NoError(t, c.Close())
	require.ErrorIs(t, <-failed, ErrClosed)
	require.NoError(t, c.Close())
	ctx := t.Context()
	for name, err := range map[string]error{
		"Get":     func() error { _, _, err := c.Get(ctx, "key"); return err }(),
		"GetMany": func() error { _, err := c.GetMany(ctx, "key"); return err }(),
		"GetOrCreate": func() error {
			_, err := c.GetOrCreate(ctx, "key", constant("v"), EntryOptions{})
			return err
		}(),
		"Set":         c.Set(ctx, "key", nil, EntryOptions{}),
		"SetMany":     c.SetMany(ctx, map[string][]byte{"key": nil}, EntryOptions{}),
		"Refresh":     c.Refresh(ctx, "key"),
		"Remove":      c.Remove(ctx, "key"),
		"RemoveByTag": c.RemoveByTag(ctx, "tag"),
	} {
		assert.ErrorIs(t, err, ErrClosed, name)
	}
	assert.NoError(t, client.Ping(ctx).Err(), "the client is the caller's")
}
