// Quickstart starts a Redis, uses it with the binding and with the cache, and takes it
// away again.
//
//	go run ./examples/quickstart
//
// needs nothing but Go: without a container engine and without redis-server, Redis runs
// inside the program. To choose where:
//
//	REDISBINDING_HOSTING_RUNTIME=process go run ./examples/quickstart
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/cache"
	"github.com/redisbinding/redisbinding/hosting"
)

func main() {
	redisbinding.LogRedisTo(slog.Default()) // at debug level, in place of standard error
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // an image may have to be pulled
	defer cancel()

	app := hosting.NewBuilder("quickstart", hosting.WithOutput(os.Stdout))
	store := app.AddRedis("store")
	running, err := app.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.Stop(context.Background())) }()

	if err := useBinding(ctx, store); err != nil {
		return err
	}
	return useCache(ctx, store)
}

// useBinding opens the binding with the metadata.
func useBinding(ctx context.Context, store *hosting.Redis) error {
	binding, err := redisbinding.NewRedisBinding(store.Metadata())
	if err != nil {
		return err
	}
	defer binding.Close()
	for range 2 {
		resp, err := binding.Invoke(ctx, &redisbinding.InvokeRequest{
			Operation: redisbinding.IncrementOperation, Metadata: map[string]string{"key": "visits"}})
		if err != nil {
			return err
		}
		fmt.Printf("binding: visits -> %s\n", resp.Data)
	}
	return nil
}

// useCache opens the cache with the options of go-redis. A service of its own would have
// cache.Open(ctx, "store"), which reads what WithReference puts into its environment.
func useCache(ctx context.Context, store *hosting.Redis) error {
	client := redis.NewUniversalClient(store.UniversalOptions())
	defer client.Close()
	c := cache.New(client)
	greet := func(context.Context) (string, error) { return "hello", nil }
	greeting, err := cache.GetOrCreate(ctx, c, "greeting", greet, cache.EntryOptions{AbsoluteExpirationRelativeToNow: time.Minute})
	fmt.Printf("cache: greeting -> %s, for %s\n", greeting, client.TTL(ctx, "greeting").Val().Round(time.Minute))
	return err
}
