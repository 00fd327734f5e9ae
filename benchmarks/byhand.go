package benchmarks

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// byHand is what a program does on a go-redis client that has no cache. What is nil
// it does not do.
type byHand struct {
	client redis.UniversalClient
	write  func(ctx context.Context, client redis.UniversalClient, key string, value []byte) error
	read   func(ctx context.Context, client redis.UniversalClient, key string) ([]byte, error)
}

func openByHand(to target, does byHand) (peer, error) {
	client, err := newGoRedis(to)
	does.client = client
	return does, err
}

func openHMGET(at servers) (peer, error) { return openByHand(at.hashes, byHand{read: hmget}) }
func openHGET(at servers) (peer, error)  { return openByHand(at.hashes, byHand{read: hget}) }
func openHSET(at servers) (peer, error)  { return openByHand(at.hashes, byHand{write: hset}) }

func openGETAndPEXPIRE(at servers) (peer, error) {
	return openByHand(at.strings, byHand{read: getAndPExpire})
}

func openGETEX(at servers) (peer, error) { return openByHand(at.strings, byHand{read: getEx}) }

func (p byHand) caller() caller { return p }

func (p byHand) Close() error { return p.client.Close() }

func (p byHand) set(ctx context.Context, key string, value []byte) error {
	return p.write(ctx, p.client, key, value)
}

func (p byHand) get(ctx context.Context, key string) ([]byte, error) {
	return p.read(ctx, p.client, key)
}

func (byHand) del(context.Context, string) error { return errors.ErrUnsupported }

// hmget reads all of an entry, as who goes by its expirations has to.
func hmget(ctx context.Context, client redis.UniversalClient, key string) ([]byte, error) {
	fields, err := client.HMGet(ctx, key, "absexp", "sldexp", "data").Result()
	if err != nil {
		return nil, err
	}
	data, _ := fields[2].(string)
	return []byte(data), nil
}

func hget(ctx context.Context, client redis.UniversalClient, key string) ([]byte, error) {
	return client.HGet(ctx, key, "data").Bytes()
}

// hset writes an entry of the same layout.
func hset(ctx context.Context, client redis.UniversalClient, key string, value []byte) error {
	_, err := client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.HSet(ctx, key, "absexp", ticksOf(time.Now().Add(entryTTL)), "sldexp", "-1", "data", value)
		pipe.Expire(ctx, key, entryTTL)
		return nil
	})
	return err
}

func getAndPExpire(ctx context.Context, client redis.UniversalClient, key string) ([]byte, error) {
	var got *redis.StringCmd
	if _, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		got = pipe.Get(ctx, key)
		pipe.PExpire(ctx, key, entryTTL)
		return nil
	}); err != nil {
		return nil, err
	}
	return got.Bytes()
}

func getEx(ctx context.Context, client redis.UniversalClient, key string) ([]byte, error) {
	return client.GetEx(ctx, key, entryTTL).Bytes()
}
