package benchmarks

import (
	"context"
	"runtime"

	"github.com/redis/go-redis/v9"
	"github.com/redisbinding/redisbinding"
)

// newGoRedis returns a go-redis client with the binding's pool size and
// time-outs, and otherwise as it is when nothing is set.
func newGoRedis(to target) (redis.UniversalClient, error) {
	config, err := to.tls()
	if err != nil {
		return nil, err
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 to.addrs(),
		IsClusterMode:         to.cluster(),
		TLSConfig:             config,
		PoolSize:              redisbinding.DefaultPoolSizePerCPU * runtime.NumCPU(),
		DialTimeout:           redisbinding.DefaultDialTimeout,
		ReadTimeout:           redisbinding.DefaultReadTimeout,
		WriteTimeout:          redisbinding.DefaultReadTimeout,
		PoolTimeout:           redisbinding.DefaultReadTimeout + redisbinding.DefaultPoolTimeoutMargin,
		ContextTimeoutEnabled: true,
	}), nil
}

// goRedis is a go-redis client, or a blocking automatic pipeline on one: their
// calls look the same.
type goRedis struct {
	client   redis.UniversalClient
	commands redis.Cmdable
}

func openPool(to target) (peer, error) {
	client, err := newGoRedis(to)
	return goRedis{client, client}, err
}

func openAutoPipeline(to target) (peer, error) {
	client, err := newGoRedis(to)
	if err != nil {
		return nil, err
	}
	pipeline, err := client.AutoPipeline()
	return goRedis{client, pipeline}, err
}

func (p goRedis) caller() caller { return p }

func (p goRedis) Close() error { return p.client.Close() }

func (p goRedis) set(ctx context.Context, key string, value []byte) error {
	return p.commands.Set(ctx, key, value, 0).Err()
}

func (p goRedis) get(ctx context.Context, key string) ([]byte, error) {
	return p.commands.Get(ctx, key).Bytes()
}

func (p goRedis) del(ctx context.Context, key string) error {
	return p.commands.Del(ctx, key).Err()
}

// goRedisAsync is the automatic pipeline whose calls do not wait, and here are
// waited for no longer than their contexts last.
type goRedisAsync struct {
	client   redis.UniversalClient
	pipeline *redis.AutoPipeliner
}

func openAsyncAutoPipeline(to target) (peer, error) {
	client, err := newGoRedis(to)
	if err != nil {
		return nil, err
	}
	options := redis.DefaultAutoPipelineOptions()
	options.MaxBatchBytes = *batchBytesFlag
	pipeline, err := client.AsyncAutoPipelineWithOptions(options)
	return goRedisAsync{client, pipeline}, err
}

func (p goRedisAsync) caller() caller { return p }

func (p goRedisAsync) Close() error { return p.client.Close() }

func (p goRedisAsync) set(ctx context.Context, key string, value []byte) error {
	return p.pipeline.Submit(ctx, redis.NewStatusCmd(ctx, "set", key, value)).WaitContext(ctx)
}

func (p goRedisAsync) get(ctx context.Context, key string) ([]byte, error) {
	cmd := redis.NewStringCmd(ctx, "get", key)
	if err := p.pipeline.Submit(ctx, cmd).WaitContext(ctx); err != nil {
		return nil, err
	}
	return cmd.Bytes()
}

func (p goRedisAsync) del(ctx context.Context, key string) error {
	return p.pipeline.Submit(ctx, redis.NewIntCmd(ctx, "del", key)).WaitContext(ctx)
}
