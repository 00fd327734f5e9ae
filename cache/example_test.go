package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/cache"
)

// memory starts a Redis in memory, for examples to run without another one.
func memory() (client *redis.Client, stop func()) {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	client = redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	return client, func() {
		_ = client.Close()
		server.Close()
	}
}

func Example() {
	client, stop := memory()
	defer stop()
	c := cache.New(client, cache.WithInstanceName("shop:"))
	defer func() { _ = c.Close() }()
	ctx := context.Background()

	err := c.Set(ctx, "cart:7", []byte("tea"), cache.EntryOptions{SlidingExpiration: 20 * time.Minute})
	if err != nil {
		panic(err)
	}
	value, found, err := c.Get(ctx, "cart:7")
	fmt.Printf("%s %t %v\n", value, found, err)
	value, found, err = c.Get(ctx, "cart:8")
	fmt.Printf("%q %t %v\n", value, found, err)
	fmt.Println(client.HGetAll(ctx, "shop:cart:7").Val()) // as .NET writes it
	// Output:
	// tea true <nil>
	// "" false <nil>
	// map[absexp:-1 data:tea sldexp:12000000000]
}

func ExampleGetOrCreate() {
	client, stop := memory()
	defer stop()
	c := cache.New(client)
	defer func() { _ = c.Close() }()

	type user struct{ Name string }
	load := func(context.Context) (user, error) {
		fmt.Println("loading")
		return user{Name: "ada"}, nil
	}
	for range 2 {
		u, err := cache.GetOrCreate(context.Background(), c, "user:42", load,
			cache.EntryOptions{AbsoluteExpirationRelativeToNow: time.Hour})
		fmt.Println(u.Name, err)
	}
	// Output:
	// loading
	// ada <nil>
	// ada <nil>
}

func ExampleCache_RemoveByTag() {
	client, stop := memory()
	defer stop()
	c := cache.New(client)
	defer func() { _ = c.Close() }()
	ctx := context.Background()

	for _, key := range []string{"user:1", "user:2"} {
		if err := c.Set(ctx, key, []byte("v"), cache.EntryOptions{Tags: []string{"users"}}); err != nil {
			panic(err)
		}
	}
	before, _ := c.GetMany(ctx, "user:1", "user:2")
	err := c.RemoveByTag(ctx, "users")
	after, _ := c.GetMany(ctx, "user:1", "user:2")
	fmt.Println(len(before), err, len(after))
	// Output: 2 <nil> 0
}

func ExampleOpen() {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()
	c, err := cache.Open(ctx, "cache",
		cache.WithEnvironment([]string{ // by default that of the process
			"ConnectionStrings__cache=" + server.Addr() + ",connectTimeout=2000",
			"Aspire__StackExchange__Redis__cache__InstanceName=shop:",
		}),
		cache.WithSettings(func(s *cache.Settings) { s.DisableTracing = true }),
		cache.WithRedisOptions(func(o *redis.UniversalOptions) { o.PoolSize = 20 }))
	if err != nil {
		panic(err)
	}
	defer func() { _ = c.Close() }()
	fmt.Println(c.Set(ctx, "key", []byte("value"), cache.EntryOptions{}), server.Keys())
	// Output: <nil> [shop:key]
}

func ExampleOpen_mistakes() {
	_, err := cache.Open(context.Background(), "cache", cache.WithEnvironment([]string{
		"ConnectionStrings__cache=localhost:6379,sycTimeout=100,connectRetry=many"}))
	fmt.Println(err)
	// Output:
	// cache: ConnectionStrings:cache: Keyword 'sycTimeout' is not supported. Did you mean 'syncTimeout'?
	// cache: ConnectionStrings:cache: Keyword 'ConnectRetry' requires an integer value; the value 'many' is not recognised.
}

func ExampleParseConnectionString() {
	connection, err := cache.ParseConnectionString("cache.example.com,password=s3cret,ssl=true,defaultDatabase=2")
	if err != nil {
		panic(err)
	}
	fmt.Println(connection)
	opts := connection.UniversalOptions()
	fmt.Println(opts.Addrs, opts.DB, opts.TLSConfig != nil)
	// Output:
	// cache.example.com:6380,password=***,defaultDatabase=2,ssl=true
	// [cache.example.com:6380] 2 true
}

func ExampleKeyed() {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	caches := cache.NewKeyed(cache.WithEnvironment([]string{
		"ConnectionStrings__chat=" + server.Addr(), "ConnectionStrings__product=" + server.Addr() + ",defaultDatabase=1"}))
	defer func() { _ = caches.Close() }()
	ctx := context.Background()
	for _, name := range []string{"chat", "product"} {
		c, err := caches.Cache(ctx, name)
		if err != nil {
			panic(err)
		}
		fmt.Println(name, c.Set(ctx, "key", []byte(name), cache.EntryOptions{}))
	}
	http.Handle("GET /health", cache.HealthHandler(caches.HealthChecks()))
	// Output:
	// chat <nil>
	// product <nil>
}
