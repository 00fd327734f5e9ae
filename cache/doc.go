// Package cache is a distributed cache in Redis that services in Go and in .NET can
// share: it reads and writes the bytes of IDistributedCache's RedisCache and, with
// [WithHybridFormat], of HybridCache, and finds its configuration where .NET Aspire's
// Redis distributed caching integration does.
//
//	c, err := cache.Open(ctx, "cache") // ConnectionStrings__cache=localhost:6379
//	...
//	defer c.Close()
//	user, err := cache.GetOrCreate(ctx, c, "user:42", loadUser,
//		cache.EntryOptions{AbsoluteExpirationRelativeToNow: time.Hour, Tags: []string{"users"}})
//
// [New] takes a go-redis client of one server, of a primary behind sentinels, or of a Redis
// Cluster; [Open] makes one; [Keyed] opens several by name. Redis 5.0 or later,
// [WithLocal] 6.0 or later.
//
// # Entries
//
// An entry is a hash at the instance name and the key, without a separator:
//
//	absexp  absolute expiration, in ticks (100 ns since the year 1, UTC), or -1
//	sldexp  sliding expiration, in ticks, or -1
//	data    the value
//	tags    of entries with tags, unless in HybridCache's format: when it was made, in
//	        ticks, a space, and the tags as a JSON array; .NET does not look at it
//
// Expirations are reckoned as .NET does: the TTL is in whole seconds, so that what is to
// live for less than one is gone at once; each read of an entry with a sliding expiration
// sets the TTL anew, in milliseconds, to that or what is left of the absolute one. What
// .NET gets wrong is not copied: overwriting leaves no old TTL, absolute
// expirations are written in UTC, and value and TTL are written in one step.
//
// # Round trips
//
// Each call is one round trip and happens as a whole: HMGET where an entry is known to
// have no sliding expiration, UNLINK, or else a script (EVALSHA; EVAL the first time).
// Two are needed to read an entry whose tags are not named in the call, and once when an
// entry has got a sliding expiration: others may come in between, and the second one
// counts. More than five calls at the same time share round trips, see
// [WithoutPipelining].
//
// # Permissions
//
// An ACL user who may run only these commands, on the keys of the instance name, can use
// the cache, and leaves no entry in the server's ACL LOG:
//
//	Get, GetMany            EVALSHA, EVAL, HMGET, PEXPIRE, PTTL
//	Set, SetMany            EVALSHA, EVAL, HSET, HDEL, EXPIRE, PERSIST
//	GetOrCreate             EVALSHA, EVAL, HMGET, PEXPIRE, PTTL, HSET, HDEL, EXPIRE
//	Refresh                 EVALSHA, EVAL, HMGET, PEXPIRE
//	Remove                  UNLINK
//	RemoveByTag             EVALSHA, EVAL, HGET, HSET, HDEL, EXPIRE
//	HealthCheck             PING
//	HealthCheck, cluster    PING, CLUSTER INFO
//	cluster                 CLUSTER SLOTS, ASKING
//	WithLocal               CLIENT ID, CLIENT TRACKING, INFO, SUBSCRIBE, PING, &__redis__:invalidate
//	WithLocal, cluster      CLIENT ID, CLIENT TRACKING, CLUSTER NODES, SUBSCRIBE, PING, &__redis__:invalidate
//	Open                    PING, INFO
//	Open, defaultDatabase   SELECT
//	Open, name              CLIENT SETNAME
//	Open, setlib            CLIENT SETINFO
//	Open, on the sentinels  SENTINEL GET-MASTER-ADDR-BY-NAME, SENTINEL SENTINELS, SUBSCRIBE, PING, &+switch-master, &+replica-reconf-done
//
// What begins with & is a channel. With [WithHybridFormat] and with tags the same commands
// are needed, and all that reads does without PEXPIRE where nothing has a sliding
// expiration, and without PTTL where nothing has tags and there is no [WithLocal]. setlib
// is on unless the connection string says setlib=false. Without INFO one address is taken for
// one server. AUTH and HELLO need no permission. A client that [New] is given may send
// more when it connects.
//
// # Values that are made once
//
// [Cache.GetOrCreate] and [GetOrCreate] call one factory for a key in this process, however
// many ask; they do without Redis when it fails, unless [WithRedisRequired]. With
// [WithLocal] values are kept in process, too, for as long as Redis tells of every
// change: of other nodes', of .NET's, of anybody's.
//
// # Tags
//
// [Cache.RemoveByTag] writes when a tag was removed; entries with the tag that were made
// until then are misses, for this package and, in its format, for HybridCache, under
// the keys that it uses. IDistributedCache of .NET knows no tags: it reads such entries
// all the same, and when it overwrites one, the tags stay.
//
// # Errors
//
// Every error begins with "cache: " and wraps its cause, but for those of factories,
// which are returned as they are. [ErrAbsoluteExpiration] and its like are mistakes in
// options, found before anything is sent; [ErrClosed] is a closed cache;
// [ConfigurationError] is a mistake in the configuration; [PanicError] is a factory that
// panicked. What Redis replies is a redis.Error, a lost connection a net error, an ended
// context context.Canceled or context.DeadlineExceeded. After an error of a connection
// it is not known whether a write was carried out. No error and no log line holds a
// password, a key of the cache or a value.
//
// # Servers that are none
//
// On the connections of [Open] everything that a server or a sentinel sends is checked
// before go-redis, which trusts it, reads it: what breaks the protocol, or announces
// more than 512 MiB in one string or 1048576 elements in one reply, is an error of the
// connection, and neither a panic nor memory without bound. A client that was given to
// [New] is as it is: there a hostile server can end the process.
//
// # Telemetry
//
// With [WithTracerProvider] and [WithMeterProvider] the cache records spans and metrics. For
// each round trip, by the semantic conventions of OpenTelemetry for databases, a span named
// "EVALSHA get" or "HMGET host:port" and a point of db.client.operation.duration. Beside
// the conventions, which know no caches, and with redisbinding.cache.name of what [Open] has
// opened:
//
//	redisbinding.cache.requests          redisbinding.cache.result hit or miss, hits with
//	                                     redisbinding.cache.tier local or redis
//	redisbinding.cache.factory.duration  and a span "cache factory", the parent of the factory's
//	redisbinding.cache.waiters           calls that shared the work of another
//	redisbinding.cache.local.entries     kept in process, and
//	redisbinding.cache.local.size        their size in bytes
//
// No span and no metric holds a key or a value.
package cache
