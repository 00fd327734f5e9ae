package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redisbinding/redisbinding/cache"
)

// localBytes is what caches in process may hold that are bounded by bytes: all.
const localBytes = 256 << 20

// cachePeer is the cache this is about.
type cachePeer struct {
	client  redis.UniversalClient
	cache   *cache.Cache
	options cache.EntryOptions
}

func openCachePeer(to target, options cache.EntryOptions, opts ...cache.Option) (cachePeer, error) {
	client, err := newGoRedis(to)
	if err != nil {
		return cachePeer{}, err
	}
	return cachePeer{client, cache.New(client, opts...), options}, nil
}

func openCache(at servers) (peer, error) {
	return openCachePeer(at.hashes, cache.EntryOptions{AbsoluteExpirationRelativeToNow: entryTTL})
}

func openSlidingCache(at servers) (peer, error) {
	return openCachePeer(at.hashes, cache.EntryOptions{SlidingExpiration: entryTTL})
}

func (p cachePeer) caller() caller { return p }

func (p cachePeer) Close() error { return errors.Join(p.cache.Close(), p.client.Close()) }

func (p cachePeer) set(ctx context.Context, key string, value []byte) error {
	return p.cache.Set(ctx, key, value, p.options)
}

func (p cachePeer) get(ctx context.Context, key string) ([]byte, error) {
	value, _, err := p.cache.Get(ctx, key)
	return value, err
}

func (p cachePeer) del(ctx context.Context, key string) error { return p.cache.Remove(ctx, key) }

// warm reads all entries once, so that the cache knows which of them have a sliding
// expiration: the first read of each takes a script.
func (p cachePeer) warm(ctx context.Context, value []byte) error {
	for batch := range slices.Chunk(keys, 500) {
		values, err := p.cache.GetMany(ctx, batch...)
		if err != nil {
			return err
		}
		for _, key := range batch {
			if len(values[key]) != len(value) {
				return errNotCached
			}
		}
	}
	return nil
}

func (p cachePeer) warmed([]byte) error { return nil }

// localCachePeer is the cache with what it keeps in process.
type localCachePeer struct{ cachePeer }

func openLocalCachePeer(at servers) (localCachePeer, error) {
	p, err := openCachePeer(at.hashes, cache.EntryOptions{
		AbsoluteExpirationRelativeToNow: entryTTL,
		LocalExpiration:                 entryTTL,
	}, cache.WithLocal(localBytes), cache.WithRedisRequired())
	return localCachePeer{p}, err
}

func openLocalCache(at servers) (peer, error) { return openLocalCachePeer(at) }

func (p localCachePeer) caller() caller { return p }

func (p localCachePeer) get(ctx context.Context, key string) ([]byte, error) {
	return p.cache.GetOrCreate(ctx, key, makeNothing, p.options)
}

// makeNothing is a factory that must not be called.
func makeNothing(context.Context) ([]byte, error) { return nil, errNotCached }

var errNotCached = errors.New("the entry should have been there")

// warm reads all entries, again when the cache did not hear of changes yet.
func (p localCachePeer) warm(ctx context.Context, value []byte) error {
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		for _, key := range keys {
			if p.inProcess(key, value) {
				continue
			}
			if _, err := p.get(ctx, key); err != nil {
				return err
			}
		}
		if err := p.warmed(value); err == nil || time.Since(began) > 30*time.Second {
			return err
		}
	}
}

func (p localCachePeer) warmed(value []byte) error {
	missing := 0
	for _, key := range keys {
		if !p.inProcess(key, value) {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d entries are not kept in process", missing, len(keys))
	}
	return nil
}

func (p localCachePeer) inProcess(key string, value []byte) bool {
	options := p.options
	options.Flags = cache.DisableDistributedCacheRead | cache.DisableUnderlyingData
	got, err := p.cache.GetOrCreate(context.Background(), key, makeNothing, options)
	return err == nil && got != nil && len(got) == len(value)
}
