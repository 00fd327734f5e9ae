package benchmarks

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// entryTTL is how long entries live, by any of their expirations.
const entryTTL = time.Hour

// entryKind is what expiration an entry has.
type entryKind int

const (
	plainEntries   entryKind = iota // without a sliding expiration
	slidingEntries                  // with one
)

// ticks returns how many ticks of .NET, of 100 ns, a time span has.
func ticks(d time.Duration) string { return strconv.FormatInt(int64(d/100), 10) }

// ticksOf returns a moment as entries have it: in ticks since the year 1.
func ticksOf(t time.Time) string {
	const unixEpoch = 621355968000000000
	return strconv.FormatInt(t.UnixNano()/100+unixEpoch, 10)
}

// fillEntries stores an entry with the value at every key.
func (t target) fillEntries(tb testing.TB, kind entryKind, value []byte) {
	tb.Helper()
	client := redis.NewClient(&redis.Options{Addr: t.addrs()[0], ReadTimeout: time.Minute})
	defer client.Close()

	absolute, sliding := ticksOf(time.Now().Add(entryTTL)), "-1"
	if kind == slidingEntries {
		absolute, sliding = "-1", ticks(entryTTL)
	}
	ctx := context.Background()
	for batch := range slices.Chunk(keys, 500) {
		_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, key := range batch {
				pipe.HSet(ctx, key, "absexp", absolute, "sldexp", sliding, "data", value)
				pipe.Expire(ctx, key, entryTTL)
			}
			return nil
		})
		require.NoError(tb, err)
	}
}
