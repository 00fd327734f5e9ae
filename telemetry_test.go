package redisbinding

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// spansOf returns the ended spans as name, attributes in the order of their names, and status.
func spansOf(recorder *tracetest.SpanRecorder) (all [][3]string) {
	for _, span := range recorder.Ended() {
		set := attribute.NewSet(span.Attributes()...)
		all = append(all, [3]string{span.Name(), set.Encoded(attribute.DefaultEncoder()), span.Status().Description})
	}
	return all
}

func collect(t *testing.T, reader sdkmetric.Reader) map[string]metricdata.Aggregation {
	t.Helper()
	var collected metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &collected))
	all := map[string]metricdata.Aggregation{}
	for _, scope := range collected.ScopeMetrics {
		assert.Equal(t, "github.com/redisbinding/redisbinding", scope.Scope.Name)
		for _, m := range scope.Metrics {
			all[m.Name] = m.Data
		}
	}
	return all
}

func TestSpans(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	ended := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
	binding := newBinding(t, map[string]string{"redisHost": srv.Addr, "redisDB": "3"}, WithTracerProvider(provider), WithLazyConnect())
	withKeys := newBinding(t, map[string]string{"redisHost": srv.Addr}, WithTracerProvider(provider), WithKeysInSpans(), WithLazyConnect())

	server := "db.namespace=3,db.operation.name="
	where := ",db.system.name=redis,server.address=127.0.0.1,server.port=" + srv.Addr[len("127.0.0.1:"):]
	ctx, parent := provider.Tracer("test").Start(t.Context(), "parent")
	reqs := []*InvokeRequest{
		create("secret", "value"), request(GetOperation, "missing"), request(GetOperation, "secret", "delete", "1"),
		request(IncrementOperation, "n", "ttlInSeconds", "9"), request(DeleteOperation, "secret"),
	}
	for _, req := range reqs {
		_, err := binding.Invoke(ctx, req)
		require.NoError(t, err)
	}
	invoke(t, binding, create("text", "value"))
	_, failed := binding.Invoke(ctx, request(IncrementOperation, "text"))
	require.Error(t, failed)
	_, err := binding.Invoke(ctx, request(GetOperation, "")) // nothing is sent
	require.ErrorIs(t, err, ErrMissingKey)
	require.NoError(t, binding.Ping(ctx))
	_, err = binding.InvokeBatch(ctx, reqs)
	require.NoError(t, err)
	invoke(t, withKeys, create("k", "v", "ttlInSeconds", "9"))
	parent.End()

	at := " " + srv.Addr
	spans := spansOf(ended)
	assert.Equal(t, [][3]string{
		{"SET" + at, server + "SET" + where, ""},
		{"GET" + at, server + "GET" + where, ""},
		{"GETDEL" + at, server + "GETDEL" + where, ""},
		{"EVAL increment", server + "EVAL,db.stored_procedure.name=increment" + where, ""},
		{"DEL" + at, server + "DEL" + where, ""},
		{"SET" + at, server + "SET" + where, ""},
		{"INCR" + at, "db.namespace=3,db.operation.name=INCR,db.response.status_code=ERR" + where[:len(",db.system.name=redis")] +
			",error.type=ERR" + where[len(",db.system.name=redis"):], failed.Error()},
		{"PING" + at, server + "PING" + where, ""},
		{"PIPELINE" + at, "db.namespace=3,db.operation.batch.size=5,db.operation.name=PIPELINE" + where, ""},
		{"SET" + at, "db.namespace=0,db.operation.name=SET,db.query.text=SET k ? EX ?" + where, ""},
		{"parent", "", ""},
	}, spans)
	for _, span := range ended.Ended()[:9] {
		if span.Name() == "SET"+at {
			continue // one of them came without the context
		}
		assert.Equal(t, parent.SpanContext().SpanID(), span.Parent().SpanID())
		assert.Equal(t, trace.SpanKindClient, span.SpanKind())
	}
	assert.Equal(t, codes.Error, ended.Ended()[6].Status().Code)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	binding, err := NewRedisBinding(unhurried(srv, "poolSize", "3"), WithMeterProvider(provider), WithLazyConnect())
	require.NoError(t, err)
	invoke(t, binding, create("k", "v"))
	_, err = binding.InvokeBatch(t.Context(), []*InvokeRequest{request(GetOperation, "k"), request(GetOperation, "k")})
	require.NoError(t, err)

	all := collect(t, reader)
	duration := all["db.client.operation.duration"].(metricdata.Histogram[float64])
	require.Len(t, duration.DataPoints, 2)
	for _, point := range duration.DataPoints {
		assert.EqualValues(t, 1, point.Count)
	}
	values := func(name string) map[string]int64 {
		points := map[string]int64{}
		for _, point := range all[name].(metricdata.Sum[int64]).DataPoints {
			key := "" // what tells them apart
			for _, attr := range []attribute.Key{"db.client.connection.state", "redisbinding.call.path"} {
				if value, found := point.Attributes.Value(attr); found {
					key = value.AsString()
				}
			}
			points[key] = point.Value
		}
		return points
	}
	assert.Equal(t, map[string]int64{"direct": 1, "pipelined": 2}, values("redisbinding.calls"))
	assert.Equal(t, map[string]int64{"idle": 1, "used": 0}, values("db.client.connection.count"))
	assert.Equal(t, map[string]int64{"": 3}, values("db.client.connection.max"))

	srv.Pause()
	wait := occupy(t, binding, 3)
	require.Eventually(t, func() bool { return busy(binding) == 3 }, 10*time.Second, time.Millisecond)
	waitToo := occupy(t, binding, 2)
	require.Eventually(t, func() bool {
		all = collect(t, reader)
		return values("db.client.connection.pending_requests")[""] == 2
	}, 10*time.Second, time.Millisecond)
	srv.Resume()
	wait()
	waitToo()
	require.NoError(t, binding.Close())
	assert.NotContains(t, collect(t, reader), "db.client.connection.count", "nothing is read after Close")
}

// How long the token of Entra ID lives is a metric.
func TestMetricTokenTimeLeft(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	binding := newBinding(t, entraFields("redisHost", "127.0.0.1:1"), WithLazyConnect(),
		WithTokenCredential(&fakeCredential{t: t, lifetime: time.Hour}),
		WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	assert.Error(t, binding.Ping(t.Context()), "nobody is there, but the token is")
	left := collect(t, reader)["redisbinding.token.time_left"].(metricdata.Gauge[float64]).DataPoints
	require.Len(t, left, 1)
	assert.InDelta(t, time.Hour.Seconds(), left[0].Value, 60)
}

// BenchmarkTelemetry shows what it costs to record, and that not to record costs nothing.
func BenchmarkTelemetry(b *testing.B) {
	srv := redistest.Start(b)
	sampledOut := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	for _, test := range []struct {
		name string
		opts []Option
	}{
		{"off", nil},
		{"metrics", []Option{WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())))}},
		{"spans not sampled", []Option{WithTracerProvider(sampledOut)}},
		{"spans", []Option{WithTracerProvider(sdktrace.NewTracerProvider())}},
	} {
		b.Run(test.name, func(b *testing.B) {
			binding, err := NewRedisBinding(map[string]string{"redisHost": srv.Addr}, test.opts...)
			require.NoError(b, err)
			defer func() { _ = binding.Close() }()
			b.ReportAllocs()
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				req := request(GetOperation, "k")
				for pb.Next() {
					if _, err := binding.Invoke(ctx, req); err != nil {
						b.Error(errors.Unwrap(err))
					}
				}
			})
		})
	}
}
