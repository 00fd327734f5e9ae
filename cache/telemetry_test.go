package cache

import (
	"context"
	"io"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// metrics returns what a reader collects: of counters and gauges their sum, of
// histograms their number of points, by name and attributes.
func metrics(t *testing.T, reader *sdkmetric.ManualReader) map[string]int64 {
	t.Helper()
	var collected metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &collected))
	all := map[string]int64{}
	for _, scope := range collected.ScopeMetrics {
		assert.Equal(t, "github.com/redisbinding/redisbinding/cache", scope.Scope.Name)
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					all[m.Name+" "+p.Attributes.Encoded(encoder{})] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					operation, _ := p.Attributes.Value("db.operation.name")
					all[m.Name+" "+operation.AsString()] += int64(p.Count)
				}
			}
		}
	}
	return all
}

func TestTelemetry(t *testing.T) {
	t.Parallel()
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewInMemoryExporter()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	client := plain(t)
	c := newLocalCache(t, client, WithInstanceName("secretprefix:"), WithTracerProvider(tracers),
		WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	ctx := t.Context()

	_, found, err := c.Get(ctx, "secretkey") // a miss
	require.NoError(t, err)
	require.False(t, found)
	_, err = c.GetOrCreate(ctx, "secretkey", func(ctx context.Context) ([]byte, error) {
		_, span := tracers.Tracer("test").Start(ctx, "in the factory")
		span.End()
		return []byte("secretvalue"), nil
	}, EntryOptions{}) // a miss
	require.NoError(t, err)
	_, err = c.GetOrCreate(ctx, "other", func(context.Context) ([]byte, error) { return nil, io.EOF }, EntryOptions{}) // a miss
	require.Equal(t, io.EOF, err)
	_, _, err = c.Get(ctx, "secretkey") // a hit
	require.NoError(t, err)
	keep(t, c, "secretkey", EntryOptions{}) // hits
	before := c.stats.localHits.Load()
	for range 5 {
		_, err = c.GetOrCreate(ctx, "secretkey", constant("x"), EntryOptions{})
		require.NoError(t, err)
	}
	require.NoError(t, c.Remove(ctx, "secretkey"))

	got := metrics(t, reader)
	assert.EqualValues(t, before+5, got["redisbinding.cache.requests redisbinding.cache.result=hit,redisbinding.cache.tier=local,"])
	assert.EqualValues(t, c.stats.redisHits.Load(), got["redisbinding.cache.requests redisbinding.cache.result=hit,redisbinding.cache.tier=redis,"])
	assert.EqualValues(t, 3, got["redisbinding.cache.requests redisbinding.cache.result=miss,"])
	assert.Contains(t, got, "redisbinding.cache.waiters ")
	assert.Contains(t, got, "redisbinding.cache.local.size ")
	assert.Contains(t, got, "redisbinding.cache.local.entries ")
	assert.EqualValues(t, 2, got["redisbinding.cache.factory.duration "])
	assert.EqualValues(t, 1, got["db.client.operation.duration UNLINK"])
	assert.NotZero(t, got["db.client.operation.duration EVALSHA"])

	names := map[string]int{}
	var factory, inside tracetest.SpanStub
	for _, span := range spans.GetSpans() {
		names[span.Name]++
		switch span.Name {
		case "in the factory":
			inside = span
		case "cache factory":
			if factory.Name == "" {
				factory = span
			}
		}
		for _, attribute := range span.Attributes {
			assert.NotContains(t, attribute.Value.String(), "secret")
		}
	}
	assert.Equal(t, factory.SpanContext.SpanID(), inside.Parent.SpanID())
	assert.Equal(t, 2, names["cache factory"])
	assert.NotZero(t, names["EVALSHA get"])
	assert.NotZero(t, names["EVALSHA set"])
	assert.Equal(t, 1, names["UNLINK "+redistest.Plain(t).Servers[0].Addr])

	require.NoError(t, c.Close())
	assert.NotContains(t, metrics(t, reader), "redisbinding.cache.waiters ", "nothing is read after Close")
}

// encoder writes attributes as name=value, each with a comma.
type encoder struct{}

func (encoder) ID() attribute.EncoderID { return testEncoder }

var testEncoder = attribute.NewEncoderID()

func (encoder) Encode(attributes attribute.Iterator) (text string) {
	for attributes.Next() {
		a := attributes.Attribute()
		text += string(a.Key) + "=" + a.Value.String() + ","
	}
	return text
}

// The setting DisableTracing leaves the spans out, and not the metrics. Caches that are opened
// by name have it in theirs.
func TestDisableTracing(t *testing.T) {
	t.Parallel()
	server := redistest.Plain(t).Servers[0]
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewInMemoryExporter()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	environ := []string{"ConnectionStrings__sessions=" + server.Addr}
	opts := []Option{WithTracerProvider(tracers), WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))}

	c := open(t, "sessions", append(environ, "Aspire__StackExchange__Redis__DisableTracing=true"), opts...)
	requireWorks(t, c)
	assert.Empty(t, spans.GetSpans())
	assert.EqualValues(t, 1, metrics(t, reader)["redisbinding.cache.requests redisbinding.cache.name=sessions,redisbinding.cache.result=hit,redisbinding.cache.tier=redis,"])
	requireWorks(t, open(t, "sessions", environ, opts...))
	assert.NotEmpty(t, spans.GetSpans())
}

// What is recorded tells where it connects to, in the way of the conventions.
func TestServersForTelemetry(t *testing.T) {
	t.Parallel()
	failover := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}})
	defer failover.Close()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"a:1", "b:2"}})
	defer func() { _ = cluster.Close() }()
	single := redis.NewClient(&redis.Options{Addr: "a:1", DB: 3})
	defer single.Close()
	assert.Equal(t, servers{addrs: []string{"a:1"}, namespace: "3"}, serversOf(single))
	assert.Equal(t, servers{namespace: "0"}, serversOf(failover))
	assert.Equal(t, servers{addrs: []string{"a:1", "b:2"}}, serversOf(cluster))
	assert.Equal(t, servers{addrs: []string{"a:1"}, master: "m", namespace: "2"}, serversAt(&redis.UniversalOptions{Addrs: []string{"a:1"}, MasterName: "m", DB: 2}))
}
