package hosting_test

import (
	"context"
	"fmt"
	"io"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/hosting"
)

// A program that starts what its services need, until Ctrl-C.
func ExampleBuilder_Run() {
	app := hosting.NewBuilder("shop", hosting.WithRuntime(hosting.EmbeddedRuntime), hosting.WithOutput(io.Discard))
	cache := app.AddRedis("cache")
	app.AddCommand("api", "sh", "-c", "echo the cache is at ${CACHE_HOST}").WithReference(cache).WaitFor(cache)

	ctx, cancel := context.WithCancel(context.Background())
	cancel() // an example has to end
	fmt.Println(app.Run(ctx))
	// Output: <nil>
}

// A test, or a program of its own, that uses Redis itself.
func ExampleBuilder_Start() {
	app := hosting.NewBuilder("shop", hosting.WithRuntime(hosting.EmbeddedRuntime))
	store := app.AddRedis("store")
	running, err := app.Start(context.Background())
	if err != nil {
		panic(err)
	}
	defer func() { _ = running.Stop(context.Background()) }()

	binding, err := redisbinding.NewRedisBinding(store.Metadata())
	if err != nil {
		panic(err)
	}
	defer binding.Close()
	_, err = binding.Invoke(context.Background(), &redisbinding.InvokeRequest{
		Operation: redisbinding.CreateOperation, Metadata: map[string]string{"key": "greeting"}, Data: []byte("hello")})
	if err != nil {
		panic(err)
	}

	client := redis.NewUniversalClient(store.UniversalOptions())
	defer client.Close()
	fmt.Println(client.Get(context.Background(), "greeting").Val())
	for name, check := range running.HealthChecks() {
		fmt.Println(name, check(context.Background()))
	}
	// Output:
	// hello
	// store_check <nil>
}

// A Redis with all that there is. What is wrong in a declaration is reported when the app is started.
func ExampleRedis() {
	app := hosting.NewBuilder("shop", hosting.WithRuntime(hosting.EmbeddedRuntime))
	app.AddRedis("cache").
		WithTag("8.6-alpine").
		WithHostPort(6379).
		WithDataVolume().
		WithPersistence(0, 100). // every minute
		WithTLS().
		WithLifetime(hosting.PersistentLifetime).
		WithRedisCommander(func(ui *hosting.UI) { ui.WithHostPort(8081).WithOptional() })
	_, err := app.Start(context.Background())
	fmt.Println(err)
	// Output: hosting: cache: WithLifetime(PersistentLifetime): not supported by the runtime "embedded": install redis-server, or start Docker or Podman
}
