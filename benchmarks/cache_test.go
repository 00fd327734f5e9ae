package benchmarks

import (
	"slices"
	"testing"

	"github.com/redisbinding/redisbinding/internal/redistest"
	"github.com/stretchr/testify/require"
)

const goRedisCacheName = "go-redis/cache"

// contests are what the caches are compared by.
var contests = []*contest{
	{
		operation: read,
		title:     "Get, an entry without sliding expiration",
		peers:     []contestant{{cacheName, openCache}, {"HMGET", openHMGET}, {"HGET", openHGET}, {goRedisCacheName, openGoRedisCache}},
	},
	{
		operation: readSliding,
		title:     "Get, an entry with sliding expiration",
		peers:     []contestant{{cacheName, openSlidingCache}, {"GET+PEXPIRE", openGETAndPEXPIRE}, {"GETEX", openGETEX}},
		hashes:    slidingEntries,
	},
	{
		operation: write,
		title:     "Set, for an hour",
		peers:     []contestant{{cacheName, openCache}, {"MULTI HSET EXPIRE", openHSET}, {goRedisCacheName, openGoRedisCache}},
	},
	{
		operation: hit,
		title:     "GetOrCreate, an entry that is kept in process",
		peers: []contestant{{cacheName, openLocalCache}, {"otter", openOtter}, {"otter copied", openCopyingOtter},
			{"go-redis/cache Get", openLocalGoRedisCache}, {"go-redis/cache Once", openGoRedisCacheOnce}},
		local: true,
	},
	{
		operation: hitStruct,
		title:     "GetOrCreate[T], a struct that is kept in process",
		peers:     []contestant{{cacheName, openProfileCache}, {"go-redis/cache Once", openProfileGoRedisCache}},
		local:     true,
		value:     encodedProfile,
	},
}

// caches is the cache compared with what its users would have without it. eko/gocache is
// left out: it could not be fetched where this was written.
var caches = &experiment{
	name: "cache",
	about: "One server for each layout of entries, on the machine of the callers. HMGET, HGET, GET with PEXPIRE in one pipeline, GETEX, and" +
		" HSET with EXPIRE in a transaction are go-redis by hand, on its pool. otter is alone, and returns its own bytes or a copy." +
		" go-redis/cache has nothing in process but for hits, and then TinyLFU. Allocations are those beside the value that is read, and of hits all." +
		" Hits are timed in hundreds. Every process has read the entries before.",
	defaults: selection{
		peers:      "cache,HMGET,HGET,GET+PEXPIRE,GETEX,MULTI HSET EXPIRE,otter,otter copied,go-redis/cache,go-redis/cache Get,go-redis/cache Once",
		callers:    "1,4,16,64,256",
		sizes:      "128,4096",
		operations: "get,sliding get,set,hit,struct hit",
	},
	digest: true,
	uses:   []string{"github.com/go-redis/cache/v9", "github.com/maypok86/otter/v2"},
	run: func(tb testing.TB, s settings) []section {
		for _, name := range s.peers {
			require.True(tb, slices.ContainsFunc(contests, func(c *contest) bool {
				return slices.ContainsFunc(c.peers, func(p contestant) bool { return p.name == name })
			}), "there is no peer %q", name)
		}
		s.slice = s.slice * 3 / 5 // There is much to measure.
		at := servers{
			hashes:  target{"redisHost": redistest.Start(tb).Addr},
			strings: target{"redisHost": redistest.Start(tb).Addr},
		}
		var sections []section
		for _, c := range contests {
			columns := slices.Concat(timeColumns, allocColumns)
			if c.local {
				columns = slices.Concat(timeColumns[:1], allocColumns)
			}
			if rows := c.measure(tb, at, s); len(rows) > 0 {
				sections = append(sections, section{title: c.title, columns: columns, rows: rows})
			}
		}
		return sections
	},
}

func BenchmarkCache(b *testing.B) { caches.benchmark(b) }
