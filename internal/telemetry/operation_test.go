package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// common are the attributes of all calls with the configuration of the tests.
func common(more map[string]any) map[string]any {
	attributes := map[string]any{
		"db.system.name": "redis", "server.address": "cache.example.com", "server.port": int64(7000), "db.namespace": "3",
	}
	maps.Copy(attributes, more)
	return attributes
}

func TestCall(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		start    func(context.Context, *Recorder) (context.Context, Operation)
		spanName string
		onBoth   map[string]any
		onSpan   map[string]any
	}{
		"one command": {
			func(ctx context.Context, r *Recorder) (context.Context, Operation) {
				return r.Start(ctx, Call{Command: "GETDEL", Key: "k"})
			},
			"GETDEL cache.example.com:7000",
			map[string]any{"db.operation.name": "GETDEL"}, nil,
		},
		"script": {
			func(ctx context.Context, r *Recorder) (context.Context, Operation) {
				return r.Start(ctx, Call{Command: "EVAL", Script: "increment", Key: "k"})
			},
			"EVAL increment",
			map[string]any{"db.operation.name": "EVAL", "db.stored_procedure.name": "increment"}, nil,
		},
		"batch of one command": {
			batchOf(Call{Command: "SET", Key: "a"}, Call{Command: "SET", Key: "b"}, Call{Command: "SET", Key: "c"}),
			"PIPELINE SET cache.example.com:7000",
			map[string]any{"db.operation.name": "PIPELINE SET"}, map[string]any{"db.operation.batch.size": int64(3)},
		},
		"batch of several commands": {
			batchOf(Call{Command: "SET", Key: "a"}, Call{Command: "GET", Key: "b"}, Call{Command: "SET", Key: "c"}),
			"PIPELINE cache.example.com:7000",
			map[string]any{"db.operation.name": "PIPELINE"}, map[string]any{"db.operation.batch.size": int64(3)},
		},
		"batch of one script": {
			batchOf(Call{Command: "EVAL", Script: "increment"}, Call{Command: "EVAL", Script: "increment"}),
			"PIPELINE EVAL increment",
			map[string]any{"db.operation.name": "PIPELINE EVAL", "db.stored_procedure.name": "increment"},
			map[string]any{"db.operation.batch.size": int64(2)},
		},
		"batch of several scripts": {
			batchOf(Call{Command: "EVAL", Script: "increment"}, Call{Command: "EVAL", Script: "take"}, Call{Command: "EVAL", Script: "increment"}),
			"PIPELINE EVAL cache.example.com:7000",
			map[string]any{"db.operation.name": "PIPELINE EVAL"}, map[string]any{"db.operation.batch.size": int64(3)},
		},
		"batch of one call": {
			batchOf(Call{Command: "GET", Key: "a"}),
			"GET cache.example.com:7000",
			map[string]any{"db.operation.name": "GET"}, nil,
		},
		"empty batch": {
			batchOf(),
			"PIPELINE cache.example.com:7000",
			map[string]any{"db.operation.name": "PIPELINE"}, map[string]any{"db.operation.batch.size": int64(0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSink(t)
			_, op := test.start(t.Context(), s.recorder(s.config()))
			op.End(nil)

			span, onBoth := s.span(), common(test.onBoth)
			assert.Equal(t, test.spanName, span.Name())
			assert.Equal(t, trace.SpanKindClient, span.SpanKind())
			assert.Equal(t, sdktrace.Status{Code: codes.Unset}, span.Status())
			assert.Empty(t, span.Events())

			points := s.durations()
			require.Len(t, points, 1)
			assert.EqualValues(t, 1, points[0].Count)
			assert.Equal(t, onBoth, table(points[0].Attributes.ToSlice()))
			maps.Copy(onBoth, test.onSpan)
			assert.Equal(t, onBoth, table(span.Attributes()))
		})
	}
}

func batchOf(calls ...Call) func(context.Context, *Recorder) (context.Context, Operation) {
	return func(ctx context.Context, r *Recorder) (context.Context, Operation) {
		return r.StartBatch(ctx, slices.Values(calls))
	}
}

func TestNothingUnknownIsRecorded(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	_, op := s.recorder(Config{TracerProvider: s.tracers}).Start(t.Context(), Call{Command: "PING"})
	op.End(nil)
	assert.Equal(t, "PING", s.span().Name())
	assert.Equal(t, map[string]any{"db.system.name": "redis", "db.operation.name": "PING"}, table(s.span().Attributes()))
}

func TestDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		_, op := s.recorder(s.config()).Start(t.Context(), Call{Command: "GET"})
		time.Sleep(20 * time.Millisecond)
		op.End(nil)

		assert.Equal(t, 20*time.Millisecond, s.span().EndTime().Sub(s.span().StartTime()))
		duration := s.metrics()["db.client.operation.duration"]
		assert.Equal(t, "s", duration.Unit)
		assert.NotEmpty(t, duration.Description)
		histogram := duration.Data.(metricdata.Histogram[float64])
		assert.Equal(t, metricdata.CumulativeTemporality, histogram.Temporality)
		require.Len(t, histogram.DataPoints, 1)
		assert.Equal(t, []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}, histogram.DataPoints[0].Bounds)
		assert.Equal(t, []uint64{0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, histogram.DataPoints[0].BucketCounts)
		assert.InEpsilon(t, 0.02, histogram.DataPoints[0].Sum, 1e-9)
	})
}

func TestSpanIsInTheContextAndTheExemplar(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	parent, root := s.tracers.Tracer("test").Start(t.Context(), "root")
	ctx, op := s.recorder(s.config()).Start(parent, Call{Command: "GET"})
	current := trace.SpanContextFromContext(ctx)
	op.End(nil)

	assert.Equal(t, s.span().SpanContext().SpanID(), current.SpanID())
	assert.Equal(t, root.SpanContext().SpanID(), s.span().Parent().SpanID())
	exemplars := s.durations()[0].Exemplars
	require.Len(t, exemplars, 1)
	spanID := current.SpanID()
	assert.Equal(t, spanID[:], exemplars[0].SpanID)
}

func TestFailure(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	_, op := s.recorder(s.config()).Start(t.Context(), Call{Command: "GET", Key: "k"})
	op.End(fmt.Errorf("get: %w", reply("WRONGTYPE Operation against a key holding the wrong kind of value")))

	want := common(map[string]any{
		"db.operation.name": "GET", "error.type": "WRONGTYPE", "db.response.status_code": "WRONGTYPE",
	})
	assert.Equal(t, want, table(s.span().Attributes()))
	assert.Equal(t, sdktrace.Status{
		Code: codes.Error, Description: "get: WRONGTYPE Operation against a key holding the wrong kind of value",
	}, s.span().Status())
	assert.Empty(t, s.span().Events())
	require.Len(t, s.durations(), 1)
	assert.Equal(t, want, table(s.durations()[0].Attributes.ToSlice()))
}

func TestFailureThatIsNoReply(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	_, op := s.recorder(s.config()).Start(t.Context(), Call{Command: "GET"})
	op.End(context.Canceled)
	want := common(map[string]any{"db.operation.name": "GET", "error.type": "context.Canceled"})
	assert.Equal(t, want, table(s.span().Attributes()))
	assert.Equal(t, want, table(s.durations()[0].Attributes.ToSlice()))
}

func TestNoValueIsNoFailure(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	_, op := s.recorder(s.config()).Start(t.Context(), Call{Command: "GET"})
	op.End(redis.Nil)
	assert.Equal(t, codes.Unset, s.span().Status().Code)
	assert.Equal(t, common(map[string]any{"db.operation.name": "GET"}), table(s.span().Attributes()))
	assert.Equal(t, common(map[string]any{"db.operation.name": "GET"}), table(s.durations()[0].Attributes.ToSlice()))
}

func TestEndedContextIsRecorded(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	ctx, cancel := context.WithCancel(t.Context())
	ctx, op := s.recorder(s.config()).Start(ctx, Call{Command: "GET"})
	cancel()
	op.End(ctx.Err())
	assert.Len(t, s.durations(), 1)
	assert.Equal(t, codes.Error, s.span().Status().Code)
}

func TestDescriptionIsUTF8(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	_, op := s.recorder(s.config()).Start(t.Context(), Call{Command: "GET"})
	op.End(errors.New("no \xff text"))
	assert.True(t, utf8.ValidString(s.span().Status().Description))
}

// seeing is a sampler that keeps what it sees and drops it.
type seeing struct{ seen []sdktrace.SamplingParameters }

func (s *seeing) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	s.seen = append(s.seen, p)
	return sdktrace.SamplingResult{Decision: sdktrace.Drop}
}

func (*seeing) Description() string { return "seeing" }

func TestSamplersSeeTheAttributes(t *testing.T) {
	t.Parallel()
	sampler := &seeing{}
	s := newSink(t, sdktrace.WithSampler(sampler))
	config := s.config()
	config.Keys = true
	r := s.recorder(config)
	_, op := r.Start(t.Context(), Call{Command: "GET", Key: "k"})
	op.End(errors.New("failed"))
	_, op = batchOf(Call{Command: "GET", Key: "a"}, Call{Command: "GET", Key: "b"})(t.Context(), r)
	op.End(nil)

	require.Len(t, sampler.seen, 2)
	assert.Equal(t, trace.SpanKindClient, sampler.seen[0].Kind)
	assert.Equal(t, common(map[string]any{"db.operation.name": "GET", "db.query.text": "GET k"}), table(sampler.seen[0].Attributes))
	assert.Equal(t, common(map[string]any{
		"db.operation.name": "PIPELINE GET", "db.operation.batch.size": int64(2), "db.query.text": "GET a; GET b",
	}), table(sampler.seen[1].Attributes))
	assert.Empty(t, s.spans.Ended())
}

func TestMetricsAllocateNothing(t *testing.T) {
	r, err := New(Config{MeterProvider: discardingMeters{}, Addrs: []string{"localhost:6379"}})
	require.NoError(t, err)
	ctx := t.Context()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, op := r.Start(ctx, Call{Command: "GET", Key: "k"})
		op.End(nil)
	}))
}

func TestAttributesOfOneCommandStayApart(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	config := s.config()
	config.Keys = true
	r := s.recorder(config)
	_, a := r.Start(t.Context(), Call{Command: "GET", Key: "a"})
	_, b := r.Start(t.Context(), Call{Command: "GET", Key: "b"})
	a.End(nil)
	b.End(nil)
	var texts []string
	for _, span := range s.spans.Ended() {
		for _, kv := range span.Attributes() {
			if kv.Key == attribute.Key("db.query.text") {
				texts = append(texts, kv.Value.AsString())
			}
		}
	}
	assert.Equal(t, []string{"GET a", "GET b"}, texts)
}
