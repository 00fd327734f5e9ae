// Cache shows the distributed cache: opened by name from the configuration that a
// .NET service would have, values made once for many callers, entries as .NET
// writes them, tags, health over HTTP, and what OpenTelemetry gets of it.
//
//	go run ./examples/cache
//
// needs no Redis: it starts an embedded one in memory (miniredis). To use a real
// one, of version 6 or later to see values kept in process:
//
//	ConnectionStrings__cache=localhost:6379 go run ./examples/cache
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/redisbinding/redisbinding/cache"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stop, err := embedRedis()
	if err != nil {
		return err
	}
	defer stop()

	// A program would export these; here they stay in memory.
	spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	sessions, err := cache.Open(ctx, "cache",
		cache.WithInstanceName("example:"),
		cache.WithLocal(64<<20),
		cache.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))),
		cache.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	if err != nil {
		return err
	}
	defer func() { _ = sessions.Close() }()

	for _, step := range []func(context.Context, *cache.Cache) error{once, dotNet, tags, local} {
		if err := step(ctx, sessions); err != nil {
			return err
		}
	}
	if err := health(sessions); err != nil {
		return err
	}
	return telemetry(ctx, spans, reader)
}

// embedRedis starts a Redis in memory and puts its address where Open looks, unless there is
// one already.
func embedRedis() (stop func(), err error) {
	const variable = "ConnectionStrings__cache"
	if os.Getenv(variable) != "" {
		return func() {}, nil
	}
	server, err := miniredis.Run()
	if err != nil {
		return nil, err
	}
	fmt.Println("redis      " + server.Addr() + ", embedded and in memory")
	return server.Close, os.Setenv(variable, server.Addr())
}

type user struct {
	Name string `json:"name"`
}

// once asks for one value from many goroutines.
func once(ctx context.Context, c *cache.Cache) error {
	var made atomic.Int64
	load := func(context.Context) (user, error) { //nolint:unparam // a database would have errors
		made.Add(1)
		time.Sleep(50 * time.Millisecond)
		return user{Name: "ada"}, nil
	}
	errs := make([]error, 64)
	var callers sync.WaitGroup
	for i := range errs {
		callers.Go(func() {
			_, errs[i] = cache.GetOrCreate(ctx, c, "user:1", load,
				cache.EntryOptions{AbsoluteExpirationRelativeToNow: time.Hour, Tags: []string{"users"}})
		})
	}
	callers.Wait()
	fmt.Printf("once       %d callers, the value was made %d time(s)\n", len(errs), made.Load())
	return errs[0]
}

// dotNet shows what is in Redis: what IDistributedCache of .NET reads and writes.
func dotNet(ctx context.Context, c *cache.Cache) error {
	err := c.Set(ctx, "cart:7", []byte(`["tea"]`), cache.EntryOptions{SlidingExpiration: 20 * time.Minute})
	if err != nil {
		return err
	}
	connection, err := cache.ParseConnectionString(os.Getenv("ConnectionStrings__cache"))
	if err != nil {
		return err
	}
	client := redis.NewClient(connection.UniversalOptions().Simple())
	defer client.Close()
	fields, err := client.HGetAll(ctx, "example:cart:7").Result()
	fmt.Printf(".NET       HGETALL example:cart:7 -> absexp=%s sldexp=%s data=%s\n", fields["absexp"], fields["sldexp"], fields["data"])
	return err
}

// tags removes all users at once.
func tags(ctx context.Context, c *cache.Cache) error {
	_, before, err := c.Get(ctx, "user:1")
	if err != nil {
		return err
	}
	if err := c.RemoveByTag(ctx, "users"); err != nil {
		return err
	}
	_, after, err := c.Get(ctx, "user:1")
	fmt.Printf("tags       user:1 is there: %t, after RemoveByTag: %t\n", before, after)
	return err
}

// local reads one value until it is kept in process, for a second at the most.
func local(ctx context.Context, c *cache.Cache) error {
	const key = "greeting"
	hello := func(context.Context) ([]byte, error) { return []byte("hello"), nil }
	inProcess := func() bool {
		value, err := c.GetOrCreate(ctx, key, hello, cache.EntryOptions{
			Flags: cache.DisableDistributedCacheRead | cache.DisableUnderlyingData})
		return err == nil && value != nil
	}
	for range 20 {
		if _, err := c.GetOrCreate(ctx, key, hello, cache.EntryOptions{}); err != nil {
			return err
		}
		if inProcess() {
			fmt.Println("local      the value is kept in process until Redis tells of a change")
			return c.Remove(ctx, key)
		}
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Println("local      nothing is kept in process: this Redis cannot tell of changes (CLIENT TRACKING)")
	return c.Remove(ctx, key)
}

// health asks what a load balancer would.
func health(c *cache.Cache) error {
	checks := c.HealthChecks() // and others: checks["store"] = binding.Ping
	server := httptest.NewServer(cache.HealthHandler(checks))
	defer server.Close()
	response, err := http.Get(server.URL + "/health")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	status, _, _ := strings.Cut(string(body), `,"totalDuration"`)
	fmt.Printf("health     %s %s...\n", response.Status, status)
	return err
}

// telemetry prints what an exporter would have sent.
func telemetry(ctx context.Context, spans *tracetest.InMemoryExporter, reader *sdkmetric.ManualReader) error {
	names := map[string]int{}
	for _, span := range spans.GetSpans() {
		name, _, _ := strings.Cut(span.Name, ":") // without the port
		names[name]++
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fmt.Printf("spans      %s: %d\n", name, names[name])
	}

	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &metrics); err != nil {
		return err
	}
	var lines []string
	for _, m := range metrics.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			total := int64(0)
			for _, point := range sum.DataPoints {
				total += point.Value
			}
			lines = append(lines, fmt.Sprintf("metrics    %s = %d", m.Name, total))
		}
	}
	slices.Sort(lines)
	fmt.Println(strings.Join(lines, "\n"))
	return nil
}
