package telemetry

import (
	"errors"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"
	"go.opentelemetry.io/otel/trace"
)

// durationBuckets are the bucket boundaries, in seconds, that the conventions
// ask for with db.client.operation.duration.
var durationBuckets = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}

// Config says what to record with and what about.
type Config struct {
	// TracerProvider makes the spans; nil: there are none.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the metrics; nil: there are none.
	MeterProvider metric.MeterProvider

	// Scope is the instrumentation scope: the import path of the package that
	// records.
	Scope string
	// Version is that of the scope; empty leaves it out.
	Version string

	// Addrs are the configured addresses ("host:port"), not those found out
	// later. In server.address they are sorted and joined with commas; a port
	// that all of them share is in server.port instead, or nowhere when it is
	// 6379. None leaves both out.
	Addrs []string
	// Master is the name of the primary when Addrs are sentinels: they are then
	// in server.address with their ports, and "/" and the name behind them.
	Master string
	// Namespace is the number of the database; empty (cluster) leaves it out.
	Namespace string

	// Cache is the name of the cache that records, in redisbinding.cache.name of its
	// own spans and metrics; empty leaves it out. What caches of one name observe
	// adds up.
	Cache string

	// Keys asks for db.query.text on spans: commands with their keys in the
	// syntax of redis-cli ("SET user:42 ?"), values always as "?". Long keys and
	// long batches are cut off. Default false: keys may say who somebody is.
	Keys bool

	// ErrorTypes are names for errors of the caller's own; the first that
	// errors.Is finds is the error.type. What is none of them is named after, in
	// this order: what the server's error reply begins with ("WRONGTYPE"); a
	// well-known error ("context.DeadlineExceeded", "io.EOF", "ECONNREFUSED");
	// "timeout" when it is one of the network; the Go type of the innermost
	// error that has one to tell ("net.DNSError"); and "_OTHER", which is also
	// what is new when there have been 100 of them.
	ErrorTypes []ErrorType
}

// ErrorType names an error for error.type.
type ErrorType struct {
	// Err is looked for with errors.Is.
	Err error
	// Name is the value of error.type.
	Name string
}

// Recorder records calls. Make it with [New]. Any number of goroutines may use
// it, and all its methods may be called on nil, where they do nothing.
type Recorder struct {
	tracer   trace.Tracer            // nil: no spans
	meter    metric.Meter            // nil: no metrics
	duration metric.Float64Histogram // nil: no metrics
	made     time.Time               // what durations are measured from: cheaper than time.Now at each start

	target     string               // the servers, in the names of spans
	pool       string               // db.client.connection.pool.name
	attributes []attribute.KeyValue // of every call
	keys       bool
	errorTypes []ErrorType

	commands  cache[commandName, *command]
	failures  cache[failure, struct{}]
	factories factories

	mu            sync.Mutex
	closed        bool
	registrations []metric.Registration
}

// New returns a Recorder, or nil and no error when there is no provider to
// record with. An error is one of the MeterProvider.
func New(config Config) (*Recorder, error) {
	if config.TracerProvider == nil && config.MeterProvider == nil {
		return nil, nil
	}
	at := serverOf(config.Addrs, config.Master)
	r := &Recorder{
		made:       time.Now(),
		target:     at.String(),
		pool:       at.String(),
		attributes: append([]attribute.KeyValue{semconv.DBSystemNameRedis}, at.attributes()...),
		keys:       config.Keys,
		errorTypes: slices.Clone(config.ErrorTypes),
		commands:   cache[commandName, *command]{limit: maxCommands},
		failures:   cache[failure, struct{}]{limit: maxFailures},
	}
	if config.Namespace != "" {
		r.pool += "/" + config.Namespace
		r.attributes = append(r.attributes, semconv.DBNamespace(config.Namespace))
	}
	if config.TracerProvider != nil {
		r.tracer = config.TracerProvider.Tracer(config.Scope,
			trace.WithInstrumentationVersion(config.Version), trace.WithSchemaURL(semconv.SchemaURL))
	}
	if config.MeterProvider != nil {
		r.meter = config.MeterProvider.Meter(config.Scope,
			metric.WithInstrumentationVersion(config.Version), metric.WithSchemaURL(semconv.SchemaURL))
		duration, err := dbconv.NewClientOperationDuration(r.meter, metric.WithExplicitBucketBoundaries(durationBuckets...))
		if err != nil {
			return nil, err
		}
		r.duration = duration.Inst()
	}
	if err := r.factories.init(config.Cache, r.meter); err != nil {
		return nil, err
	}
	return r, nil
}

// Close ends what [Recorder.Observe] has begun: once it has returned, nothing is
// read any more. Calls may still be recorded. It may be called more than once,
// but not with a lock held that a source waits for.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	var errs []error
	for _, registration := range r.registrations {
		errs = append(errs, registration.Unregister())
	}
	r.registrations = nil
	return errors.Join(errs...)
}
