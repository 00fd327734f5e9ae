package cache

import (
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/telemetry"
)

// stats are counted by calls and read when metrics are collected.
type stats struct{ localHits, redisHits, misses, waiters atomic.Int64 }

// errorTypes are the names of this package's errors for error.type.
var errorTypes = []telemetry.ErrorType{{Err: ErrClosed, Name: "cache.ErrClosed"}}

// servers are those that a cache is configured to connect to, for telemetry.
type servers struct {
	addrs             []string
	master, namespace string
}

// serversOf returns what a client tells of its servers.
func serversOf(client redis.UniversalClient) (at servers) {
	switch client := client.(type) {
	case *redis.Client:
		const failover = "FailoverClient" // what go-redis has for the address of one that asks sentinels
		if addr := client.Options().Addr; addr != failover {
			at.addrs = []string{addr}
		}
		at.namespace = strconv.Itoa(client.Options().DB)
	case *redis.ClusterClient:
		at.addrs = slices.Clone(client.Options().Addrs)
	}
	return at
}

// record begins to record what the cache does. What an error of the providers
// leaves out is left out.
func (c *Cache) record(at servers) error {
	recorder, err := telemetry.New(telemetry.Config{
		TracerProvider: c.tracerProvider,
		MeterProvider:  c.meterProvider,
		Scope:          "github.com/redisbinding/redisbinding/cache",
		Addrs:          at.addrs,
		Master:         at.master,
		Namespace:      at.namespace,
		ErrorTypes:     errorTypes,
		Cache:          c.name,
	})
	if err != nil {
		return err
	}
	c.recorder = recorder
	return recorder.Observe(telemetry.Sources{Cache: c.cacheStats})
}

func (c *Cache) cacheStats() telemetry.CacheStats {
	stats := telemetry.CacheStats{
		LocalHits: c.stats.localHits.Load(),
		RedisHits: c.stats.redisHits.Load(),
		Misses:    c.stats.misses.Load(),
		Waiters:   c.stats.waiters.Load(),
	}
	if c.local != nil {
		stats.LocalEntries = int64(c.local.entries.EstimatedSize())
		stats.LocalSize = int64(c.local.entries.WeightedSize()) //nolint:gosec // bytes of memory
	}
	return stats
}
