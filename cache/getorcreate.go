package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// GetOrCreate returns the value of a key: what is kept in process ([WithLocal]), else
// what is in Redis, else what the factory makes, which it stores there.
//
//   - However many call for one key at the same time, with the same flags, one of them
//     asks Redis and one factory is called in this process. Each leaves when its own
//     context ends. The factory's context holds what the first caller's holds, and ends
//     when all have left, or with [Cache.Close].
//   - The factory's value is stored before GetOrCreate returns, and returned to each
//     caller as a copy of its own. A nil value is an empty one. An error of the factory's
//     is returned as it is and stores nothing. A panic in the factory is one in all
//     callers: a *[PanicError]. A factory that asks for its own key gets an error.
//   - When Redis fails the factory is called, and its value returned, unless [WithRedisRequired].
//   - A value longer than [WithMaximumPayload] is returned and not stored. With a key
//     that is too long ([WithMaximumKeyLength]), blank, has control characters, is not
//     UTF-8 or one of a tag's, nothing but the factory is called, by each caller.
//   - A [Cache.Set] or [Cache.Remove] of the key by this Cache, made while the factory
//     runs, wins over its value.
//
// The entry lives as the options say, by default for [WithDefaultExpiration]. They
// matter when the entry is stored, the tags also to find it removed in one round trip.
// Calls that share a factory should have the same options: those of the first hold.
func (c *Cache) GetOrCreate(ctx context.Context, key string, factory func(context.Context) ([]byte, error), opts EntryOptions) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if k := c.kept(key, &opts); k != nil {
		return bytes.Clone(k.value), nil
	}
	return c.join(ctx, key, factory, nil, opts)
}

// join is GetOrCreate for what is not kept in process. What is not readable is taken
// for no entry; nil: all is.
func (c *Cache) join(ctx context.Context, key string, factory func(context.Context) ([]byte, error), readable func([]byte) bool, opts EntryOptions) ([]byte, error) {
	if c.connection.closed.Load() {
		return nil, ErrClosed
	}
	if !opts.expires() {
		opts.AbsoluteExpirationRelativeToNow = c.expiration
	}
	if _, err := opts.expiry(c.now()); err != nil {
		return nil, err
	}
	if err := checkTags(opts.Tags); err != nil {
		return nil, err
	}
	if err := c.checkKey(key); err != nil {
		c.warn(ctx, "GetOrCreate called the factory without the cache", err)
		opts.Flags |= DisableDistributedCacheWrite
		return c.create(ctx, nil, key, factory, &opts)
	}
	opts.Tags = slices.Clone(opts.Tags) // the caller may be gone before they are used
	value, joined, err := c.flights.do(ctx, key, opts.Flags, opts.Tags, func(ctx context.Context, fl *flight) ([]byte, error) {
		return c.getOrCreate(ctx, fl, key, factory, readable, &opts)
	})
	if joined {
		c.stats.waiters.Add(1)
	}
	return value, err
}

// kept returns what is kept in process for a key, or nil.
func (c *Cache) kept(key string, opts *EntryOptions) *kept {
	if c.local == nil || opts.Flags&DisableLocalCacheRead != 0 {
		return nil
	}
	k := c.local.get(key)
	if k != nil {
		c.stats.localHits.Add(1)
	}
	return k
}

// getOrCreate is GetOrCreate for all who wait.
func (c *Cache) getOrCreate(ctx context.Context, fl *flight, key string, factory func(context.Context) ([]byte, error), readable func([]byte) bool, opts *EntryOptions) ([]byte, error) {
	if opts.Flags&DisableDistributedCacheRead == 0 {
		value, found, err := c.look(ctx, fl, key, readable, opts)
		switch {
		case found:
			return value, nil
		case err != nil && (c.required || ctx.Err() != nil || errors.Is(err, ErrClosed)):
			return nil, fmt.Errorf("cache: get or create: %w", err)
		case err != nil:
			c.stats.misses.Add(1)
			c.warnOfRedis(ctx, "GetOrCreate does without Redis", err)
			opts.Flags |= DisableDistributedCacheWrite // it would most likely fail, too, and take its time
		}
	}
	return c.create(ctx, fl, key, factory, opts)
}

// look reads the entry from Redis, and keeps it in process when it may.
func (c *Cache) look(ctx context.Context, fl *flight, key string, readable func([]byte) bool, opts *EntryOptions) (value []byte, found bool, err error) {
	var seen seen
	keep := c.local != nil && opts.Flags&DisableLocalCacheWrite == 0
	if keep {
		seen = c.local.seen(key)
	}
	began := time.Now()
	e, err := c.fetch(ctx, key, opts.Tags, keep)
	if err != nil {
		return nil, false, err
	}
	if e != nil && readable != nil && !readable(e.value) {
		c.warn(ctx, "GetOrCreate passed over an entry that its codec cannot read", nil) // the codec may tell what is in it
		e = nil
	}
	if e == nil {
		c.stats.misses.Add(1)
		return nil, false, nil
	}
	c.stats.redisHits.Add(1)
	if keep {
		// The TTL was read at some moment since began, and may be less by that.
		fl.kept = c.local.put(key, e, e.keepFor(opts.localExpiration(), time.Since(began)), seen)
	}
	return e.value, true, nil
}

// create calls the factory and stores what it makes.
func (c *Cache) create(ctx context.Context, fl *flight, key string, factory func(context.Context) ([]byte, error), opts *EntryOptions) ([]byte, error) {
	if opts.Flags&DisableUnderlyingData != 0 {
		return nil, nil
	}
	// What it makes is as old as what it begins with: of a tag that is removed from
	// now on it knows nothing.
	made := ticksOf(c.now())
	value, err := c.call(ctx, factory)
	if err != nil {
		return nil, err
	}
	value = append([]byte{}, value...) // the factory's own may be one that others use
	if opts.Flags&DisableDistributedCacheWrite != 0 {
		return value, nil
	}
	if len(value) > c.maxPayload {
		c.warn(ctx, "GetOrCreate did not store a value", fmt.Errorf("it has %d bytes, and the most is %d", len(value), c.maxPayload))
		return value, nil
	}
	if err := ctx.Err(); err != nil { // nobody waits any more
		return nil, err
	}
	now := c.now()
	write, err := c.writing(key, value, opts, now, made)
	if err != nil { // its time has come while the factory ran
		c.warn(ctx, "GetOrCreate did not store a value", err)
		return value, nil
	}
	// It ends by itself: a Set that waits for it must not be overtaken by it.
	err = c.flights.store(fl, func() error { return c.run(context.WithoutCancel(ctx), write) })
	if c.local != nil {
		c.local.invalidate(key) // with other flags the old value may have been kept
	}
	if err != nil && c.required {
		return nil, fmt.Errorf("cache: get or create: %w", err)
	}
	if err != nil {
		c.warnOfRedis(ctx, "GetOrCreate did not store a value", err)
	}
	return value, nil
}

// call calls the factory.
func (c *Cache) call(ctx context.Context, factory func(context.Context) ([]byte, error)) (value []byte, err error) {
	ctx, recorded := c.recorder.StartFactory(ctx)
	ended := errPanicked
	defer func() { recorded.End(ended) }()
	value, err = factory(ctx)
	ended = err
	return value, err
}

// errPanicked is what a factory is recorded with that does not return.
var errPanicked = errors.New("the factory panicked")

// checkKey says why the key is none for GetOrCreate.
func (c *Cache) checkKey(key string) error {
	switch {
	case !utf8.ValidString(key):
		return errors.New("the key is not UTF-8")
	case strings.TrimSpace(key) == "":
		return errors.New("the key is blank")
	case strings.ContainsFunc(key, unicode.IsControl):
		return errors.New("the key has control characters")
	case strings.HasPrefix(key, tagPrefix):
		return ErrReservedKey
	case len(key) > c.maxKey: // or it has no more characters than that
		n := 0
		for _, r := range key {
			n += utf16.RuneLen(r)
		}
		if n > c.maxKey {
			return fmt.Errorf("the key has %d characters, and the most is %d", n, c.maxKey)
		}
	}
	return nil
}

func (o *EntryOptions) localExpiration() time.Duration {
	if o.LocalExpiration > 0 {
		return o.LocalExpiration
	}
	return DefaultExpiration
}
