package benchmarks

import (
	"context"
	"encoding/json"
	"errors"

	gorediscache "github.com/go-redis/cache/v9"
	"github.com/redisbinding/redisbinding/cache"
)

// profile is a small struct that programs cache.
type profile struct {
	ID      int64   `json:"id"`
	Name    string  `json:"name"`
	Email   string  `json:"email"`
	City    string  `json:"city"`
	Balance float64 `json:"balance"`
	Active  bool    `json:"active"`
}

var (
	someone = profile{90210, "Grace Brewster Hopper", "grace@example.com", "Arlington", 1906.12, true}

	errOtherProfile = errors.New("another profile than was stored")
)

// encodedProfile returns the profile as the cache stores it.
func encodedProfile(int) []byte {
	data, err := json.Marshal(someone)
	if err != nil {
		panic(err)
	}
	return data
}

// profileCache is the cache when it has profiles. What its get returns is what the profile is
// stored as: all alike, so that nothing is made for it.
type profileCache struct {
	localCachePeer
	stored []byte
}

func openProfileCache(at servers) (peer, error) {
	p, err := openLocalCachePeer(at)
	return profileCache{p, encodedProfile(0)}, err
}

func (p profileCache) caller() caller { return p }

func (p profileCache) get(ctx context.Context, key string) ([]byte, error) {
	got, err := cache.GetOrCreate(ctx, p.cache, key, makeNoProfile, p.options)
	if err == nil && got != someone {
		err = errOtherProfile
	}
	return p.stored, err
}

func makeNoProfile(context.Context) (profile, error) { return profile{}, errNotCached }

// profileGoRedisCache is the same for go-redis/cache.
type profileGoRedisCache struct {
	localGoRedisCache
	stored []byte
}

func openProfileGoRedisCache(at servers) (peer, error) {
	p, err := openLocalGoRedisCacheWith(at)
	return profileGoRedisCache{p, encodedProfile(0)}, err
}

func (p profileGoRedisCache) caller() caller { return p }

func (p profileGoRedisCache) get(ctx context.Context, key string) ([]byte, error) {
	var got profile
	err := p.cache.Once(&gorediscache.Item{Ctx: ctx, Key: key, Value: &got, TTL: entryTTL, Do: makeNoItem})
	if err == nil && got != someone {
		err = errOtherProfile
	}
	return p.stored, err
}

// warm keeps the profile in its own encoding, whatever the value.
func (p profileGoRedisCache) warm(context.Context, []byte) error {
	data, err := p.cache.Marshal(&someone)
	if err != nil {
		return err
	}
	p.keep(data)
	return p.warmed(data)
}
