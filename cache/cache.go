package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/telemetry"
)

// Cache is a distributed cache in Redis. Make it with [New] or [Open]. Any number
// of goroutines may use it.
type Cache struct {
	options
	connection *connection
	pipelining pipelining
	natures    natures
	recorder   *telemetry.Recorder
	local      *local // nil without [WithLocal]
	flights    flights
	warned     atomic.Int64 // when it was last logged that Redis fails, in Unix nanoseconds
	stats      stats
}

// ErrClosed says that the cache has been closed.
var ErrClosed = errors.New("cache: the cache is closed")

// New returns a cache on a client, which stays the caller's: [Cache.Close] does not
// close it. Nothing is sent, so there is no error to return. Calls end with their context
// as far as the client lets them: it should be made with ContextTimeoutEnabled.
func New(client redis.UniversalClient, opts ...Option) *Cache {
	return newCache(newOptions(opts), connectedTo(client), serversOf(client))
}

func newCache(o options, to *connection, at servers) *Cache {
	c := &Cache{options: o, connection: to}
	c.flights.init(func(p *PanicError) { c.warn(context.Background(), "a factory panicked that nobody waited for", p) })
	c.pipelining.off = o.alone
	c.natures.seed = maphash.MakeSeed()
	if o.localSize > 0 {
		c.local = newLocal(c)
	}
	if err := c.record(at); err != nil {
		c.warn(context.Background(), "not all is recorded", err)
	}
	return c
}

// String names the cache.
func (c *Cache) String() string {
	if c == nil || c.name == "" {
		return "Redis cache"
	}
	return "Redis cache " + quoted(c.name)
}

// Format writes what String returns, whatever the verb: of one that fits nothing, fmt
// would show all that is inside, and of the client all that is inside that.
func (c *Cache) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// Close ends what the cache has begun: factories under way (through their contexts)
// and the connection that follows changes for [WithLocal]. It waits for them, so a factory
// must not call it, and closes the client when it is one of [Open]. Calls after it are
// [ErrClosed]. It may be called more than once.
func (c *Cache) Close() error {
	c.flights.close()
	if c.local != nil {
		c.local.close()
	}
	err := c.connection.close()
	c.pipelining.sending.Wait()
	return errors.Join(err, c.recorder.Close())
}

// Get returns the value of a key, and whether there is one: an empty value is one,
// and not nil. A sliding expiration begins anew. It is one round trip, and a second one when
// the entry has tags, or has got a sliding expiration since it was last read or
// written here.
//
// An entry whose absolute expiration this process's clock has passed, and Redis's
// has not, is returned a last time if it also has a sliding expiration, and
// deleted: as with .NET. A key that holds something else is an error
// (WRONGTYPE), and so are entries that are not of the layout.
func (c *Cache) Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	e, err := c.fetch(ctx, key, nil, false)
	if err != nil {
		return nil, false, fmt.Errorf("cache: get: %w", err)
	}
	if e == nil {
		c.stats.misses.Add(1)
		return nil, false, nil
	}
	c.stats.redisHits.Add(1)
	return e.value, true, nil
}

// Set writes a value, whether there is one or not: nothing of the old entry is left,
// neither its expiration nor its tags. A nil value is an empty one. It is one script
// and one round trip. The expiration is in whole seconds: what is to live for less
// than one ends at once, as with .NET.
//
// Errors: [ErrAbsoluteExpiration] and its like for options that cannot be, and
// [ErrReservedKey], before anything is sent; WRONGTYPE, and nothing is changed, when the
// key holds something else than an entry.
func (c *Cache) Set(ctx context.Context, key string, value []byte, opts EntryOptions) error {
	now := c.now()
	write, err := c.writing(key, value, &opts, now, ticksOf(now))
	if err != nil {
		return err
	}
	if err := c.overwriting(ctx, []string{key}, func() error { return c.run(ctx, write) }); err != nil {
		return fmt.Errorf("cache: set: %w", err)
	}
	return nil
}

// Refresh begins the sliding expiration of an entry anew, without reading its
// value. Without an entry, or a sliding expiration, it does nothing. It is one
// script and one round trip.
func (c *Cache) Refresh(ctx context.Context, key string) error {
	if err := c.run(ctx, &command{script: refreshScript, key: c.instance + key, args: moment(ticksOf(c.now()))}); err != nil {
		return fmt.Errorf("cache: refresh: %w", err)
	}
	return nil
}

// Remove deletes the entry of a key, whatever is there (UNLINK). It is no error when there is
// none.
func (c *Cache) Remove(ctx context.Context, key string) error {
	err := c.overwriting(ctx, []string{key}, func() error { return c.run(ctx, &command{key: c.instance + key}) })
	if err != nil {
		return fmt.Errorf("cache: remove: %w", err)
	}
	return nil
}

// overwriting makes this process see a write of its own keys at once: factories
// under way for them do not store their values, and nothing is kept in process.
func (c *Cache) overwriting(ctx context.Context, keys []string, write func() error) error {
	forget := func() error {
		var errs []error
		for _, key := range keys {
			errs = append(errs, c.flights.supersede(ctx, key))
			if c.local != nil {
				c.local.invalidate(key)
			}
		}
		return errors.Join(errs...)
	}
	err := forget()
	if err == nil {
		err = write()
	}
	// What calls have found in between is the old value, and after an error nobody knows.
	return errors.Join(err, forget())
}

// writing returns the command that writes an entry which was made at a moment, in
// ticks.
func (c *Cache) writing(key string, value []byte, opts *EntryOptions, now time.Time, made int64) (*command, error) {
	if c.hybrid && !opts.expires() {
		withDefault := *opts
		withDefault.AbsoluteExpirationRelativeToNow = c.expiration
		opts = &withDefault
	}
	ends, err := opts.expiry(now)
	if err == nil {
		err = checkTags(opts.Tags)
	}
	if err == nil && strings.HasPrefix(key, tagPrefix) {
		err = ErrReservedKey
	}
	if err != nil {
		return nil, err
	}
	at := ticksOf(now)
	args := []any{decimal(ends.absolute), decimal(ends.sliding), value, decimal(ends.ttl(at))}
	switch {
	case c.hybrid:
		args[2] = encodeHybrid(key, value, opts.Tags, made, ends.lifetime(at))
	case len(opts.Tags) > 0:
		args = append(args, encodeTags(made, opts.Tags))
	}
	write := &command{script: setScript, key: c.instance + key, args: args}
	c.natures.saw(write.key, ends.sliding != none)
	return write, nil
}

// warnOfRedis logs that Redis fails, at most once a minute: every call finds out.
func (c *Cache) warnOfRedis(ctx context.Context, what string, err error) {
	now, last := time.Now().UnixNano(), c.warned.Load()
	if now-last >= int64(time.Minute) && c.warned.CompareAndSwap(last, now) {
		c.warn(ctx, what, err)
	}
}

// warn logs what has not kept a call from being carried out.
func (c *Cache) warn(ctx context.Context, what string, err error) {
	attrs := []any{}
	if c.name != "" {
		attrs = append(attrs, slog.String("cache", c.name))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	c.logger.WarnContext(ctx, "cache: "+what, attrs...)
}
