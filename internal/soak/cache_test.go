package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/cache"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

// Two caches that keep values in process share keys whose values are numbered, while the
// connections that would tell them of changes are cut, too. What is read was written,
// under that key; and in the end nobody keeps what is not in Redis any more.
func testCachesAreCut(t *testing.T) {
	server := redistest.Start(t)
	network := redistest.StartNetwork(t, server, loopback)
	before := atRest()
	var caches []*cache.Cache
	for range 2 {
		c, err := cache.Open(t.Context(), "cache", cache.WithEnvironment([]string{"ConnectionStrings__cache=" + network.Addr}), cache.WithLocal(1000))
		require.NoError(t, err)
		caches = append(caches, c)
	}
	const keys = 16
	var begun [keys]atomic.Int64 // the number that was last begun to be written
	var calls, failed, cuts atomic.Int64
	seen := func(err error) bool {
		calls.Add(1)
		if err == nil {
			return true
		}
		failed.Add(1)
		var reply redis.Error
		assert.False(t, errors.As(err, &reply), "%v", err)
		return false
	}
	read := func(c *cache.Cache, key int) {
		value, found, err := c.Get(context.Background(), name(key))
		if !seen(err) || !found {
			return
		}
		of, number, _ := strings.Cut(string(value), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		assert.NoError(t, err)
		assert.Equal(t, name(key), of)
		assert.LessOrEqual(t, n, begun[key].Load())
	}

	ctx := within(t, duration)
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			own, c := caller%keys, caches[rand.IntN(len(caches))]
			for ctx.Err() == nil {
				if caller < keys && rand.IntN(3) == 0 {
					n := begun[own].Add(1)
					_ = seen(c.Set(context.Background(), name(own), fmt.Appendf(nil, "%s %d", name(own), n), cache.EntryOptions{}))
				} else {
					read(c, rand.IntN(keys))
				}
				time.Sleep(rand.N(10 * time.Millisecond))
			}
		})
	}
	for ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
		network.Cut()
		cuts.Add(1)
	}
	all.Wait()

	for key := range keys {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			stored, err := server.Client().HGet(context.Background(), name(key), "data").Result()
			if !errors.Is(err, redis.Nil) {
				require.NoError(c, err)
			}
			for i := range caches {
				value, _, err := caches[i].Get(context.Background(), name(key))
				require.NoError(c, err)
				assert.Equal(c, stored, string(value), "of cache %d", i)
			}
		}, 30*time.Second, 10*time.Millisecond)
	}
	for _, c := range caches {
		require.NoError(t, c.Close())
	}
	settles(t, goroutines, before, "goroutines after Close")
	results.note(fmt.Sprintf("Two caches with values in process, for 64 callers, all connections cut every 100 ms (%d times): %d calls, %d failed, no value that was not written, and none kept in the end that is not in Redis",
		cuts.Load(), calls.Load(), failed.Load()))
}

func name(key int) string { return fmt.Sprint("cached-", key) }
