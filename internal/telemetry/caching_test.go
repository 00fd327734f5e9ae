package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// cacheConfig is that of a Recorder of a cache.
func (s *sink) cacheConfig(name string) Config {
	config := s.config()
	config.Cache = name
	return config
}

// factoryDurations returns the points of the histogram.
func (s *sink) factoryDurations() []metricdata.HistogramDataPoint[float64] {
	s.t.Helper()
	metrics := s.metrics()
	require.Contains(s.t, metrics, "redisbinding.cache.factory.duration")
	return metrics["redisbinding.cache.factory.duration"].Data.(metricdata.Histogram[float64]).DataPoints
}

func TestCacheStats(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sessions", ""} {
		s := newSink(t)
		stats := CacheStats{LocalHits: 1, RedisHits: 2, Misses: 3, Waiters: 4, LocalEntries: 5, LocalSize: 6}
		require.NoError(t, s.recorder(s.cacheConfig(name)).Observe(Sources{Cache: func() CacheStats { return stats }}))
		points := func() map[string]int64 {
			values := map[string]int64{}
			for metric, m := range s.metrics() {
				assert.NotEmpty(t, m.Description, metric)
				for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
					values[fmt.Sprint(metric, table(p.Attributes.ToSlice()))] = p.Value
				}
			}
			return values
		}
		ofName, alone := "", "map[]"
		if name != "" {
			ofName, alone = "redisbinding.cache.name:sessions ", "map[redisbinding.cache.name:sessions]"
		}
		want := map[string]int64{
			"redisbinding.cache.requestsmap[" + ofName + "redisbinding.cache.result:hit redisbinding.cache.tier:local]": 1,
			"redisbinding.cache.requestsmap[" + ofName + "redisbinding.cache.result:hit redisbinding.cache.tier:redis]": 2,
			"redisbinding.cache.requestsmap[" + ofName + "redisbinding.cache.result:miss]":                              3,
			"redisbinding.cache.waiters" + alone:       4,
			"redisbinding.cache.local.entries" + alone: 5,
			"redisbinding.cache.local.size" + alone:    6,
		}
		assert.Equal(t, want, points())
		for metric, test := range map[string]struct {
			unit    string
			counter bool
		}{
			"redisbinding.cache.requests":      {"{request}", true},
			"redisbinding.cache.waiters":       {"{call}", true},
			"redisbinding.cache.local.entries": {"{entry}", false},
			"redisbinding.cache.local.size":    {"By", false},
		} {
			m := s.metrics()[metric]
			assert.Equal(t, test.unit, m.Unit, metric)
			assert.Equal(t, test.counter, m.Data.(metricdata.Sum[int64]).IsMonotonic, metric)
		}

		stats.LocalSize, want["redisbinding.cache.local.size"+alone] = 9, 9 // it is read anew each time
		assert.Equal(t, want, points())
	}
}

func TestCachesOfOneNameAddUp(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	for i, name := range []string{"a", "a", "b"} {
		read := func() CacheStats { return CacheStats{LocalEntries: int64(i + 1)} }
		require.NoError(t, s.recorder(s.cacheConfig(name)).Observe(Sources{Cache: read}))
	}
	assert.Equal(t, map[any]int64{"a": 3, "b": 3}, s.sums("redisbinding.cache.local.entries", "redisbinding.cache.name"))
}

func TestFactory(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sessions", ""} {
		for _, test := range []struct {
			err       error
			errorType string
		}{
			{nil, ""},
			{errors.New("failed"), "_OTHER"},
			{context.Canceled, "context.Canceled"},
			{fmt.Errorf("load: %w", reply("WRONGTYPE no")), "WRONGTYPE"},
			{redis.Nil, "redis.Nil"}, // of a database that a factory asked: it made no value
		} {
			s := newSink(t)
			_, factory := s.recorder(s.cacheConfig(name)).StartFactory(t.Context())
			factory.End(test.err)

			want, status := map[string]any{}, sdktrace.Status{Code: codes.Unset}
			if name != "" {
				want["redisbinding.cache.name"] = name
			}
			if test.err != nil {
				want["error.type"] = test.errorType
				status = sdktrace.Status{Code: codes.Error} // the text may say anything
			}
			span := s.span()
			assert.Equal(t, "cache factory", span.Name())
			assert.Equal(t, trace.SpanKindInternal, span.SpanKind())
			assert.Equal(t, status, span.Status())
			assert.Empty(t, span.Events())
			assert.Equal(t, want, table(span.Attributes()))

			points := s.factoryDurations()
			require.Len(t, points, 1)
			assert.EqualValues(t, 1, points[0].Count)
			assert.Equal(t, want, table(points[0].Attributes.ToSlice()))
			assert.NotContains(t, s.metrics(), "db.client.operation.duration", "it is no operation of the database")
		}
	}
}

func TestFactoryDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		r := s.recorder(s.cacheConfig("sessions"))
		time.Sleep(time.Hour) // what it is measured from does not matter
		_, factory := r.StartFactory(t.Context())
		time.Sleep(20 * time.Millisecond)
		factory.End(nil)

		assert.Equal(t, 20*time.Millisecond, s.span().EndTime().Sub(s.span().StartTime()))
		duration := s.metrics()["redisbinding.cache.factory.duration"]
		assert.Equal(t, "s", duration.Unit)
		assert.NotEmpty(t, duration.Description)
		points := s.factoryDurations()
		require.Len(t, points, 1)
		assert.Equal(t, []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}, points[0].Bounds)
		assert.InEpsilon(t, 0.02, points[0].Sum, 1e-9)
	})
}

func TestFactorySpanIsInTheContextAndTheExemplar(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	r := s.recorder(s.cacheConfig("sessions"))
	parent, root := s.tracers.Tracer("test").Start(t.Context(), "root")
	ctx, factory := r.StartFactory(parent)
	_, op := r.Start(ctx, Call{Command: "GET"}) // that the factory makes
	op.End(nil)
	factory.End(nil)

	spans := s.spans.Ended()
	require.Len(t, spans, 2)
	spanID := spans[1].SpanContext().SpanID()
	assert.Equal(t, trace.SpanContextFromContext(ctx).SpanID(), spanID)
	assert.Equal(t, spanID, spans[0].Parent().SpanID())
	assert.Equal(t, root.SpanContext().SpanID(), spans[1].Parent().SpanID())
	exemplars := s.factoryDurations()[0].Exemplars
	require.Len(t, exemplars, 1)
	assert.Equal(t, spanID[:], exemplars[0].SpanID)
}

func TestFactoryWithOneProvider(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	onlyTraces, onlyMetrics := s.cacheConfig("a"), s.cacheConfig("b")
	onlyTraces.MeterProvider, onlyMetrics.TracerProvider = nil, nil
	_, factory := s.recorder(onlyTraces).StartFactory(t.Context())
	factory.End(errBroken)
	assert.Len(t, s.spans.Ended(), 1)
	assert.Empty(t, s.metrics())

	ctx, factory := s.recorder(onlyMetrics).StartFactory(t.Context())
	factory.End(errBroken)
	assert.Equal(t, t.Context(), ctx)
	assert.Len(t, s.spans.Ended(), 1)
	assert.Len(t, s.factoryDurations(), 1)
}

func TestSamplersSeeTheCache(t *testing.T) {
	t.Parallel()
	sampler := &seeing{}
	s := newSink(t, sdktrace.WithSampler(sampler))
	_, factory := s.recorder(s.cacheConfig("sessions")).StartFactory(t.Context())
	factory.End(errBroken)
	require.Len(t, sampler.seen, 1)
	assert.Equal(t, trace.SpanKindInternal, sampler.seen[0].Kind)
	assert.Equal(t, map[string]any{"redisbinding.cache.name": "sessions"}, table(sampler.seen[0].Attributes))
	assert.Empty(t, s.spans.Ended())
}

func TestFactoryMetricsAllocateNothing(t *testing.T) {
	r, err := New(Config{MeterProvider: discardingMeters{}, Cache: "sessions"})
	require.NoError(t, err)
	ctx := t.Context()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, factory := r.StartFactory(ctx)
		factory.End(nil)
	}))
}

func TestFactoryFailuresAreBounded(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	r := s.recorder(s.config())
	for i := range maxFailures + 10 {
		_, factory := r.StartFactory(t.Context())
		factory.End(reply(fmt.Sprintf("E%d text", i)))
	}
	assert.Len(t, s.factoryDurations(), maxFailures+1)
	assert.Len(t, *r.factories.failed.entries.Load(), maxFailures+1)
}

func TestFactoriesOfManyGoroutines(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	r := s.recorder(s.cacheConfig("sessions"))
	require.NoError(t, r.Observe(Sources{Cache: func() CacheStats { return CacheStats{} }}))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				_, factory := r.StartFactory(context.Background())
				factory.End([]error{nil, errBroken, context.Canceled}[i%3])
			}
		})
		wg.Go(func() { s.metrics() })
	}
	wg.Wait()
	var points uint64
	for _, p := range s.factoryDurations() {
		points += p.Count
	}
	assert.EqualValues(t, 800, points)
	assert.Len(t, s.spans.Ended(), 800)
}
