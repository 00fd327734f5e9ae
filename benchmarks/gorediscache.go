package benchmarks

import (
	"bytes"
	"context"

	gorediscache "github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
)

// goRedisCache is go-redis/cache, which has entries as strings: bytes as they are, and
// others as MessagePack.
type goRedisCache struct {
	client redis.UniversalClient
	cache  *gorediscache.Cache
	local  gorediscache.LocalCache // nil: nothing is kept in process
}

func openGoRedisCacheWith(to target, local gorediscache.LocalCache) (goRedisCache, error) {
	client, err := newGoRedis(to)
	if err != nil {
		return goRedisCache{}, err
	}
	return goRedisCache{client, gorediscache.New(&gorediscache.Options{Redis: client, LocalCache: local}), local}, nil
}

func openGoRedisCache(at servers) (peer, error) { return openGoRedisCacheWith(at.strings, nil) }

func (p goRedisCache) caller() caller { return p }

func (p goRedisCache) Close() error { return p.client.Close() }

func (p goRedisCache) set(ctx context.Context, key string, value []byte) error {
	return p.cache.Set(&gorediscache.Item{Ctx: ctx, Key: key, Value: value, TTL: entryTTL})
}

func (p goRedisCache) get(ctx context.Context, key string) ([]byte, error) {
	var value []byte
	err := p.cache.Get(ctx, key, &value)
	return value, err
}

func (p goRedisCache) del(ctx context.Context, key string) error { return p.cache.Delete(ctx, key) }

// localGoRedisCache is go-redis/cache with what it keeps in process: as many entries as
// it is told, however long they are.
type localGoRedisCache struct{ goRedisCache }

func openLocalGoRedisCacheWith(at servers) (localGoRedisCache, error) {
	p, err := openGoRedisCacheWith(at.strings, gorediscache.NewTinyLFU(4*len(keys), entryTTL))
	return localGoRedisCache{p}, err
}

func openLocalGoRedisCache(at servers) (peer, error) { return openLocalGoRedisCacheWith(at) }

func (p localGoRedisCache) warm(_ context.Context, value []byte) error {
	p.keep(value)
	return p.warmed(value)
}

// keep keeps a value of its own for each key, as if it had been read.
func (p localGoRedisCache) keep(data []byte) {
	for _, key := range keys {
		p.local.Set(key, bytes.Clone(data))
	}
}

func (p localGoRedisCache) warmed([]byte) error {
	for _, key := range keys {
		if _, ok := p.local.Get(key); !ok {
			return errNotCached
		}
	}
	return nil
}

// goRedisCacheOnce is that by the call that makes what is not there.
type goRedisCacheOnce struct{ localGoRedisCache }

func openGoRedisCacheOnce(at servers) (peer, error) {
	p, err := openLocalGoRedisCacheWith(at)
	return goRedisCacheOnce{p}, err
}

func (p goRedisCacheOnce) caller() caller { return p }

func (p goRedisCacheOnce) get(ctx context.Context, key string) ([]byte, error) {
	var value []byte
	err := p.cache.Once(&gorediscache.Item{Ctx: ctx, Key: key, Value: &value, TTL: entryTTL, Do: makeNoItem})
	return value, err
}

// makeNoItem is makeNothing for go-redis/cache.
func makeNoItem(*gorediscache.Item) (any, error) { return nil, errNotCached }
