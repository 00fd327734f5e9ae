package cache

import (
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// What holds unless an option says otherwise, by the names of .NET's HybridCache.
const (
	// DefaultExpiration is how long what [Cache.GetOrCreate] stores lives, in Redis and,
	// with [WithLocal], in process, when [EntryOptions] do not say.
	DefaultExpiration = 5 * time.Minute
	// DefaultMaximumPayload is the longest value that GetOrCreate stores, in bytes.
	DefaultMaximumPayload = 1 << 20
	// DefaultMaximumKeyLength is the longest key that GetOrCreate uses, in
	// characters as .NET counts them: UTF-16 code units.
	DefaultMaximumKeyLength = 1024
)

// Option changes how [New] and [Open] make a cache.
type Option func(*options)

type options struct {
	name       string // that it was opened by; empty with New
	instance   string
	now        func() time.Time
	clock      bool // now is not the real one
	logger     *slog.Logger
	codec      Codec
	hybrid     bool
	required   bool // errors of Redis are GetOrCreate's
	alone      bool // without pipelining
	expiration time.Duration
	localSize  uint64
	maxPayload int
	maxKey     int

	tracerProvider trace.TracerProvider
	meterProvider  metric.MeterProvider

	opening
}

func newOptions(opts []Option) options {
	o := options{
		now:        time.Now,
		logger:     slog.New(slog.DiscardHandler),
		codec:      jsonCodec{},
		expiration: DefaultExpiration,
		maxPayload: DefaultMaximumPayload,
		maxKey:     DefaultMaximumKeyLength,
	}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// WithInstanceName sets what is put before every key, without a separator, as
// RedisCacheOptions.InstanceName of .NET. Default: nothing, or with [Open] what the
// configuration says.
func WithInstanceName(name string) Option {
	return func(o *options) { o.instance, o.instanceGiven = name, true }
}

// WithClock sets what tells the time, which expirations are reckoned from: for
// tests. It is called from many goroutines. Default: time.Now. Redis has its own clock: TTLs
// run by that.
// Nil is the default.
func WithClock(now func() time.Time) Option {
	return func(o *options) {
		if now != nil {
			o.now, o.clock = now, true
		}
	}
}

// WithLogger sets where the cache logs, overriding the default: nowhere. It logs, as
// warnings, what GetOrCreate has done without: Redis (at most once a minute), a key or a
// value that is too long, an entry it could not read; a panic of a factory that nobody waits for; and, for
// [WithLocal], that changes cannot be followed. Never a key, a value or a secret. A nil
// logger is the default.
func WithLogger(logger *slog.Logger) Option {
	return func(o *options) {
		if logger != nil {
			o.logger = logger
		}
	}
}

// WithCodec sets how [GetOrCreate] turns values into bytes, overriding the default:
// JSON. Bytes and strings are stored as they are. Nil is the default.
func WithCodec(codec Codec) Option {
	return func(o *options) {
		if codec != nil {
			o.codec = codec
		}
	}
}

// WithHybridFormat makes the cache one with HybridCache of .NET, where otherwise it is one with
// IDistributedCache: all entries are written and read in its format, with their key,
// their tags and when they were made, and all have an expiration (see
// [WithDefaultExpiration]). What is not in that format is a miss, which is logged.
func WithHybridFormat() Option {
	return func(o *options) { o.hybrid = true }
}

// WithRedisRequired makes GetOrCreate return errors of Redis. By default, as with
// HybridCache, it does without: when the entry cannot be read the factory is called,
// and when it cannot be written the value is returned all the same; both are logged.
func WithRedisRequired() Option {
	return func(o *options) { o.required = true }
}

// WithDefaultExpiration sets how long an entry lives whose [EntryOptions] name no
// expiration, overriding [DefaultExpiration]: of GetOrCreate, and with
// [WithHybridFormat] of Set too. More than 0; others leave the default.
func WithDefaultExpiration(d time.Duration) Option {
	return func(o *options) {
		if d > 0 {
			o.expiration = d
		}
	}
}

// WithLocal keeps what was read from Redis in process, too, for [Cache.GetOrCreate]: up
// to size bytes (keys, values, tags, and some 200 bytes for each entry; what typed
// values take beside that is not counted), for as long as [EntryOptions.LocalExpiration]
// says and never longer than Redis keeps the entry. 0 is the default: nothing.
//
// Redis tells the cache of every key that is changed by anybody, .NET included
// (CLIENT TRACKING in broadcasting mode, Redis 6 or later: one connection to each primary,
// and a goroutine), so that a changed value is gone from process at once. While that
// connection is down nothing is kept: GetOrCreate then asks Redis. A connection that
// has died silently is noticed within [LocalLag].
//
// A user with few permissions needs CLIENT ID, CLIENT TRACKING, INFO (of a cluster CLUSTER
// NODES), SUBSCRIBE and PING, and the channel __redis__:invalidate.
func WithLocal(size uint64) Option {
	return func(o *options) { o.localSize = size }
}

// WithoutPipelining gives each call a round trip and a connection of its own. By default,
// when there are more than five calls at the same time, others share round trips, through the
// AsyncAutoPipeline of the client, whose goroutines end with the client. Without it many
// callers are slower; it is for services that cannot pipeline.
func WithoutPipelining() Option {
	return func(o *options) { o.alone = true }
}

// WithMaximumPayload sets the longest value that GetOrCreate stores, in bytes,
// overriding [DefaultMaximumPayload]. A longer one is returned, and logged. More than
// 0; others leave the default.
func WithMaximumPayload(n int) Option {
	return func(o *options) {
		if n > 0 {
			o.maxPayload = n
		}
	}
}

// WithMaximumKeyLength sets the longest key that GetOrCreate uses, overriding
// [DefaultMaximumKeyLength]. With a longer one, a blank one, or one with control
// characters the factory is called each time, and that is logged. More than 0; others
// leave the default.
func WithMaximumKeyLength(n int) Option {
	return func(o *options) {
		if n > 0 {
			o.maxKey = n
		}
	}
}

// WithTracerProvider has the cache record a span for each round trip to Redis and for each
// call of a factory (see the package documentation). It holds neither keys nor
// values. Nil is the default: no spans; the global provider is never used.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(o *options) { o.tracerProvider = provider }
}

// WithMeterProvider has the cache record metrics (see the package documentation). Nil
// is the default: none; the global provider is never used.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(o *options) { o.meterProvider = provider }
}
