package cache

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// Whatever was known of a key, a sliding expiration begins anew with each Get: in one
// round trip, but for the first when the entry had none before.
func TestNatures(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := clientOf(t, server.Addr)
	c, other := newTestCache(t, client), newTestCache(t, client)
	ctx := t.Context()
	get := func(sliding bool) (roundTrips int) {
		t.Helper()
		require.NoError(t, client.Expire(ctx, "key", time.Minute).Err())
		before := processed(t, server.Do(t, "INFO", "stats"))
		value, found, err := c.Get(ctx, "key")
		roundTrips = processed(t, server.Do(t, "INFO", "stats")) - before - 1
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "value", string(value))
		want := time.Minute
		if sliding {
			want = time.Hour
		}
		assertTTL(t, client, "key", want.Milliseconds())
		return roundTrips
	}
	set := func(opts EntryOptions) {
		t.Helper()
		require.NoError(t, other.Set(ctx, "key", []byte("value"), opts))
	}
	set(EntryOptions{})
	get(false) // sends the script
	assert.False(t, other.natures.isPlain("other"), "nobody knows")
	assert.True(t, c.natures.isPlain("key"))
	assert.Equal(t, 1, get(false))
	set(EntryOptions{SlidingExpiration: time.Hour})
	assert.Equal(t, 2, get(true))
	assert.Equal(t, 1, get(true))
	set(EntryOptions{})
	assert.Equal(t, 1, get(false))
	set(EntryOptions{SlidingExpiration: time.Hour})
	assert.Equal(t, 1, get(true))

	fresh := newTestCache(t, client)
	require.NoError(t, fresh.Set(ctx, "mine", nil, EntryOptions{}))
	assert.True(t, fresh.natures.isPlain("mine"))
	require.NoError(t, fresh.Set(ctx, "mine", nil, EntryOptions{SlidingExpiration: time.Hour}))
	assert.False(t, fresh.natures.isPlain("mine"))
}
