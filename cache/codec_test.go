package cache

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type user struct {
	Name string   `json:"name"`
	Tags []string `json:"tags,omitempty"`
}

func TestTypedValues(t *testing.T) {
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

// An entry that cannot be read is made anew, and not shown.
func TestEntriesThatTheCodecCannotRead(t *testing.T) {
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

func TestCodecThatFails(t *testing.T) {
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
