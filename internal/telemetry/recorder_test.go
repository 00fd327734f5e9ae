package telemetry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/instrumentation"
)

func TestNewWithoutProvidersIsNil(t *testing.T) {
	t.Parallel()
	r, err := New(Config{Addrs: []string{"localhost:6379"}, Keys: true})
	require.NoError(t, err)
	assert.Nil(t, r)
}

func TestNilRecorderCostsNothing(t *testing.T) {
	var r *Recorder
	ctx := t.Context()
	calls := []Call{{Command: "GET", Key: "a"}, {Command: "GET", Key: "b"}}
	failed := errors.New("failed")
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		started, op := r.Start(ctx, Call{Command: "SET", Key: "a", Arguments: "?"})
		op.End(failed)
		if started != ctx {
			panic("another context")
		}
		_, op = r.StartBatch(ctx, slices.Values(calls))
		op.End(nil)
		started, factory := r.StartFactory(ctx)
		factory.End(failed)
		if started != ctx {
			panic("another context")
		}
	}))
	require.NoError(t, r.Observe(Sources{Pool: func() PoolStats { panic("read") }, Cache: func() CacheStats { panic("read") }}))
	require.NoError(t, r.Close())
}

func TestScope(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	_, op := s.recorder(s.config()).Start(t.Context(), Call{Command: "GET"})
	op.End(nil)
	want := instrumentation.Scope{
		Name: "example.com/scope", Version: "v1.2.3", SchemaURL: "https://opentelemetry.io/schemas/1.43.0",
	}
	assert.Equal(t, want, s.span().InstrumentationScope())
	assert.Equal(t, want, s.scope())
}

func TestOnlyWithTheProvidersGiven(t *testing.T) {
	t.Parallel()
	global, given := newSink(t), newSink(t)
	tracers, meters := otel.GetTracerProvider(), otel.GetMeterProvider()
	otel.SetTracerProvider(global.tracers)
	otel.SetMeterProvider(global.meters)
	t.Cleanup(func() { otel.SetTracerProvider(tracers); otel.SetMeterProvider(meters) })

	onlyTraces, onlyMetrics := given.config(), given.config()
	onlyTraces.MeterProvider, onlyMetrics.TracerProvider = nil, nil

	r := given.recorder(onlyTraces)
	require.NoError(t, r.Observe(Sources{Pool: func() PoolStats { panic("read") }}))
	_, op := r.Start(t.Context(), Call{Command: "GET"})
	op.End(errors.New("failed"))
	assert.Len(t, given.spans.Ended(), 1)
	assert.Empty(t, given.metrics())

	ctx, op := given.recorder(onlyMetrics).Start(t.Context(), Call{Command: "GET"})
	op.End(errors.New("failed"))
	assert.Equal(t, t.Context(), ctx)
	assert.Len(t, given.spans.Ended(), 1)
	assert.Len(t, given.durations(), 1)

	assert.Empty(t, global.spans.Started())
	assert.Empty(t, global.metrics())
}

// brokenMeters make all histograms but one.
type brokenMeters struct {
	metricnoop.MeterProvider
	without string
}

func (m brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter {
	return brokenMeter{without: m.without}
}

type brokenMeter struct {
	metricnoop.Meter
	without string
}

var errBroken = errors.New("broken")

func (m brokenMeter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	if name == m.without {
		return nil, errBroken
	}
	return m.Meter.Float64Histogram(name, opts...)
}

func TestErrorOfTheMeterProvider(t *testing.T) {
	t.Parallel()
	for _, instrument := range []string{"db.client.operation.duration", "redisbinding.cache.factory.duration"} {
		_, err := New(Config{MeterProvider: brokenMeters{without: instrument}})
		assert.ErrorIs(t, err, errBroken)
	}
}

func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	r := s.recorder(s.config())
	require.NoError(t, r.Observe(Sources{Calls: func() CallStats { return CallStats{} }}))
	commands := []string{"GET", "SET", "DEL", "INCR"}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				_, op := r.Start(context.Background(), Call{Command: commands[(i+j)%len(commands)]})
				var err error
				if j%10 == 0 {
					err = errBroken
				}
				op.End(err)
			}
		})
		wg.Go(func() { s.metrics() })
	}
	wg.Wait()
	var points uint64
	for _, p := range s.durations() {
		points += p.Count
	}
	assert.EqualValues(t, 800, points)
	assert.Len(t, s.spans.Ended(), 800)
}

func TestCommandsKeptAreBounded(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	r := s.recorder(s.config())
	for i := range maxCommands + 10 {
		_, op := r.Start(t.Context(), Call{Command: "C" + time.Duration(i).String()})
		op.End(nil)
	}
	assert.Len(t, *r.commands.entries.Load(), maxCommands)
	assert.Len(t, s.durations(), maxCommands+10) // recorded all the same
}
