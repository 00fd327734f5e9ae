package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// The conventions know nothing of caches; these are the library's own.
const (
	cacheName   = attribute.Key("redisbinding.cache.name")
	cacheResult = attribute.Key("redisbinding.cache.result")
	cacheTier   = attribute.Key("redisbinding.cache.tier")
)

// CacheStats are the numbers of a cache: requests since the start, and what there
// is now.
type CacheStats struct {
	// LocalHits are requests answered by what is kept in process, and RedisHits by
	// Redis.
	LocalHits, RedisHits int64
	// Misses are requests answered by neither.
	Misses int64
	// Waiters are callers that shared the work of another one.
	Waiters int64
	// LocalEntries is how many entries are kept in process, and LocalSize how many
	// bytes they have.
	LocalEntries, LocalSize int64
}

func (r *Recorder) observeCache(read func() CacheStats) error {
	requests, err1 := r.meter.Int64ObservableCounter("redisbinding.cache.requests", metric.WithUnit("{request}"),
		metric.WithDescription("Number of entries asked for, by whether there was one, in process or in Redis."))
	waiters, err2 := r.meter.Int64ObservableCounter("redisbinding.cache.waiters", metric.WithUnit("{call}"),
		metric.WithDescription("Number of calls that shared the work of another one."))
	entries, err3 := r.meter.Int64ObservableUpDownCounter("redisbinding.cache.local.entries", metric.WithUnit("{entry}"),
		metric.WithDescription("Number of entries kept in process."))
	size, err4 := r.meter.Int64ObservableUpDownCounter("redisbinding.cache.local.size", metric.WithUnit("By"),
		metric.WithDescription("Size of the entries kept in process."))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	with := func(attributes ...attribute.KeyValue) metric.ObserveOption {
		return metric.WithAttributes(append(attributes, r.factories.attributes...)...)
	}
	all, hit := with(), cacheResult.String("hit")
	localHit, redisHit := with(hit, cacheTier.String("local")), with(hit, cacheTier.String("redis"))
	miss := with(cacheResult.String("miss"))
	return r.register(func(_ context.Context, to metric.Observer) error {
		stats := read()
		to.ObserveInt64(requests, stats.LocalHits, localHit)
		to.ObserveInt64(requests, stats.RedisHits, redisHit)
		to.ObserveInt64(requests, stats.Misses, miss)
		to.ObserveInt64(waiters, stats.Waiters, all)
		to.ObserveInt64(entries, stats.LocalEntries, all)
		to.ObserveInt64(size, stats.LocalSize, all)
		return nil
	}, requests, waiters, entries, size)
}

// factories is what the calls of a cache's factory have in common, made once as
// with [command].
type factories struct {
	duration metric.Float64Histogram // nil: no metrics
	start    []trace.SpanStartOption

	attributes []attribute.KeyValue // redisbinding.cache.name, if there is one
	succeeded  []metric.RecordOption
	failed     cache[string, []metric.RecordOption] // by error.type
}

// init makes it for the cache of a name, with a meter that may be nil.
func (f *factories) init(name string, meter metric.Meter) error {
	if name != "" {
		f.attributes = []attribute.KeyValue{cacheName.String(name)}
	}
	f.start = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindInternal), trace.WithAttributes(f.attributes...),
	}
	f.succeeded = recordOptions(f.attributes)
	f.failed.limit = maxFailures + 1 // and otherFailure
	if meter == nil {
		return nil
	}
	var err error
	f.duration, err = meter.Float64Histogram("redisbinding.cache.factory.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of calls of a cache's factory."),
		metric.WithExplicitBucketBoundaries(durationBuckets...))
	return err
}

// outcome returns the options for a point of the histogram.
func (f *factories) outcome(errorType string) []metric.RecordOption {
	if errorType == "" {
		return f.succeeded
	}
	opts, _ := f.failed.get(errorType, func(string) []metric.RecordOption {
		return recordOptions(append([]attribute.KeyValue{semconv.ErrorTypeKey.String(errorType)}, f.attributes...))
	})
	return opts
}

// Factory is a call under way of the function that makes a cache's values. The
// zero Factory is one that is not recorded.
type Factory struct {
	recorder *Recorder       // nil: nothing is recorded
	ctx      context.Context // with the span, which the histogram takes exemplars from
	span     trace.Span      // nil: no spans
	start    time.Duration   // since the Recorder was made; 0 without metrics
}

// StartFactory begins to record a call of the factory and returns the context to
// call it with, which carries the span. The Factory must be ended.
func (r *Recorder) StartFactory(ctx context.Context) (context.Context, Factory) {
	if r == nil { // as in Start
		return ctx, Factory{}
	}
	return r.startFactory(ctx)
}

func (r *Recorder) startFactory(ctx context.Context) (context.Context, Factory) {
	f := Factory{recorder: r}
	if r.factories.duration != nil {
		f.start = time.Since(r.made)
	}
	if r.tracer != nil {
		ctx, f.span = r.tracer.Start(ctx, "cache factory", r.factories.start...)
	}
	f.ctx = ctx
	return ctx, f
}

// End records that the call has ended, with err or successfully: nil. It must be
// called once.
func (f Factory) End(err error) {
	if f.recorder != nil { // as in Start
		f.end(err)
	}
}

func (f Factory) end(err error) {
	r, errorType := f.recorder, ""
	if err != nil {
		errorType = r.failureOf(err).kind
	}
	if r.factories.duration != nil {
		took := time.Since(r.made) - f.start
		r.factories.duration.Record(f.ctx, took.Seconds(), r.factories.outcome(errorType)...)
	}
	if f.span == nil {
		return
	}
	if err != nil && f.span.IsRecording() {
		f.span.SetAttributes(semconv.ErrorTypeKey.String(errorType))
		f.span.SetStatus(codes.Error, "") // its text is the application's, and may say anything
	}
	f.span.End()
}
