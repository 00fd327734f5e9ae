package cache

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type user struct {
	Name string   `json:"name"`
	Tags []string `json:"tags,omitempty"`
}

func TestTypedValues(t *testing.T) {
	t.Parallel()
	client := plain(t)
	c := newTestCache(t, client)
	ctx := t.Context()
	assertTyped(t, c, []byte("\x00bytes"), "\x00bytes")
	assertTyped(t, c, []byte{}, "")
	assertTyped(t, c, "text, not JSON", "text, not JSON")
	assertTyped(t, c, "", "")
	assertTyped(t, c, 42, "42")
	assertTyped(t, c, user{Name: "ada"}, `{"name":"ada"}`)
	assertTyped(t, c, &user{Name: "ada"}, `{"name":"ada"}`)
	assertTyped(t, c, (*user)(nil), "null")
	assertTyped[any](t, c, "text", `"text"`)
	assertTyped(t, c, map[string][]int{"a": {1}}, `{"a":[1]}`)

	zero, err := GetOrCreate(ctx, c, "missing", func(context.Context) (user, error) { return user{"made", nil}, nil }, EntryOptions{Flags: DisableUnderlyingData})
	require.NoError(t, err)
	assert.Zero(t, zero)

	_, err = GetOrCreate(ctx, c, "missing", func(context.Context) (user, error) { return user{}, io.EOF }, EntryOptions{})
	assert.Equal(t, io.EOF, err)
}

func assertTyped[T any](t *testing.T, c *Cache, value T, stored string) {
	t.Helper()
	require.NoError(t, c.Remove(t.Context(), "typed"))
	for range 2 { // of the factory, and of Redis
		got, err := GetOrCreate(t.Context(), c, "typed", func(context.Context) (T, error) { return value, nil }, EntryOptions{})
		require.NoError(t, err)
		assert.Equal(t, value, got)
	}
	data, found, err := c.Get(t.Context(), "typed")
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, stored, string(data))
}

// Every caller has a value of its own.
func TestTypedValuesAreNotShared(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, plain(t))
	release := make(chan struct{})
	got := make(chan *user, 2)
	for range 2 {
		go func() {
			u, err := GetOrCreate(t.Context(), c, "key", func(context.Context) (*user, error) {
				<-release
				return &user{Tags: []string{"a"}}, nil
			}, EntryOptions{})
			assert.NoError(t, err)
			u.Tags[0] += "b"
			got <- u
		}()
	}
	require.Eventually(t, func() bool { return c.flights.waiting("key") == 2 }, soon, tick)
	close(release)
	assert.Equal(t, (<-got).Tags, (<-got).Tags)
}

// Values that are kept in process are read once when callers can share them, and are never
// one that another caller may change.
func TestTypedValuesInProcess(t *testing.T) {
	t.Parallel()
	type address struct {
		Street string
		Number int
		Tags   [2]string
	}
	codec := &countingCodec{}
	c := newLocalCache(t, plain(t), WithCodec(codec))
	ctx := t.Context()
	for key, value := range map[string]any{"address": address{"Broad", 1, [2]string{"a", "b"}}, "slices": user{"ada", []string{"x"}}, "bytes": "text"} {
		data, err := json.Marshal(value)
		require.NoError(t, err)
		if text, ok := value.(string); ok {
			data = []byte(text)
		}
		require.NoError(t, c.Set(ctx, key, data, EntryOptions{}))
		keep(t, c, key, EntryOptions{})
	}
	before := codec.read.Load()
	for range 3 {
		got, err := GetOrCreate[address](ctx, c, "address", nil, EntryOptions{})
		require.NoError(t, err)
		assert.Equal(t, address{"Broad", 1, [2]string{"a", "b"}}, got)
		got.Tags[0] = "changed"
	}
	assert.EqualValues(t, 1, codec.read.Load()-before)
	type other struct{ Street string }
	for range 2 {
		got, err := GetOrCreate[other](ctx, c, "address", nil, EntryOptions{})
		require.NoError(t, err, "another type of the same entry")
		assert.Equal(t, other{"Broad"}, got)
	}
	for range 3 {
		got, err := GetOrCreate[user](ctx, c, "slices", nil, EntryOptions{})
		require.NoError(t, err)
		assert.Equal(t, []string{"x"}, got.Tags)
		got.Tags[0] = "changed"
	}
	for range 3 {
		pointer, err := GetOrCreate[*user](ctx, c, "slices", nil, EntryOptions{})
		require.NoError(t, err)
		assert.Equal(t, "ada", pointer.Name)
		pointer.Name = "changed"
	}
	for range 3 {
		raw, err := GetOrCreate[[]byte](ctx, c, "bytes", nil, EntryOptions{})
		require.NoError(t, err)
		assert.Equal(t, "text", string(raw))
		raw[0] = 'X'
		text, err := GetOrCreate[string](ctx, c, "bytes", nil, EntryOptions{})
		require.NoError(t, err)
		assert.Equal(t, "text", text)
	}
	assert.NotZero(t, c.stats.localHits.Load())

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := GetOrCreate[string](ended, c, "bytes", nil, EntryOptions{})
	assert.ErrorIs(t, err, context.Canceled)
}

type countingCodec struct {
	jsonCodec
	read atomic.Int64
}

func (c *countingCodec) Unmarshal(data []byte, v any) error {
	c.read.Add(1)
	return c.jsonCodec.Unmarshal(data, v)
}

// An entry that cannot be read is made anew, and not shown.
func TestEntriesThatTheCodecCannotRead(t *testing.T) {
	t.Parallel()
	logger, log := testLogger()
	c := newTestCache(t, plain(t), WithLogger(logger))
	ctx := t.Context()
	require.NoError(t, c.Set(ctx, "key", []byte(`{"name":"half", secret`), EntryOptions{}))
	for range 2 {
		got, err := GetOrCreate(ctx, c, "key", func(context.Context) (user, error) { return user{Name: "new"}, nil }, EntryOptions{})
		require.NoError(t, err)
		assert.Equal(t, user{Name: "new"}, got)
	}
	assert.Equal(t, 1, strings.Count(log.String(), "GetOrCreate passed over an entry that its codec cannot read"))
	assert.NotContains(t, log.String(), "secret")
}

// However many find an entry that cannot be read, one factory is called.
func TestOneFactoryForAnUnreadableEntry(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, plain(t))
	ctx := t.Context()
	for round := range 20 {
		require.NoError(t, c.Set(ctx, "key", []byte("no JSON"), EntryOptions{}))
		var calls atomic.Int64
		var callers sync.WaitGroup
		for range 16 {
			callers.Go(func() {
				got, err := GetOrCreate(ctx, c, "key", func(context.Context) (user, error) { calls.Add(1); return user{Name: "new"}, nil }, EntryOptions{})
				assert.NoError(t, err)
				assert.Equal(t, "new", got.Name)
			})
		}
		callers.Wait()
		require.EqualValues(t, 1, calls.Load(), "round %d", round)
	}
}

func TestCodecThatFails(t *testing.T) {
	t.Parallel()
	c := newTestCache(t, plain(t), WithCodec(brokenCodec{}))
	one := func(context.Context) (int, error) { return 1, nil }
	_, err := GetOrCreate(t.Context(), c, "key", one, EntryOptions{})
	require.ErrorIs(t, err, errBroken)
	assert.ErrorContains(t, err, "cache: get or create: the codec cannot read what it has written: ")

	_, err = GetOrCreate(t.Context(), newTestCache(t, plain(t)), "key", func(context.Context) (func(), error) { return func() {}, nil }, EntryOptions{})
	var unsupported *json.UnsupportedTypeError
	require.ErrorAs(t, err, &unsupported)
	assert.ErrorContains(t, err, "cache: get or create: the codec cannot write the value: ")
}

var errBroken = errors.New("broken")

type brokenCodec struct{}

func (brokenCodec) Marshal(any) ([]byte, error) { return []byte("x"), nil }
func (brokenCodec) Unmarshal([]byte, any) error { return errBroken }
