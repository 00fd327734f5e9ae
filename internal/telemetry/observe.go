package telemetry

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/dbconv"
)

// Sources are functions that are asked for numbers whenever metrics are
// collected, from the collector's goroutine, so that calls have nothing to add
// up for them. They must not block. What is nil has no metric.
type Sources struct {
	// Pool tells about the connections.
	Pool func() PoolStats
	// Calls tells how many calls there have been.
	Calls func() CallStats
	// TokenExpiry tells when the current Entra ID token expires; the zero Time
	// says that there is none, and nothing is reported.
	TokenExpiry func() time.Time
	// Cache tells about what is cached.
	Cache func() CacheStats
}

// PoolStats are the numbers of a connection pool, or of several (cluster) added up.
type PoolStats struct {
	// Idle and Used are how many connections there are in these states now.
	Idle, Used int64
	// Max is how many there may be, and IdleMin how many are kept ready.
	Max, IdleMin int64
	// PendingRequests is how many calls wait for a connection now.
	PendingRequests int64
	// Timeouts is how many calls have waited for one in vain since the start.
	Timeouts int64
}

// CallStats are numbers of calls since the start.
type CallStats struct {
	// Direct calls went straight through the pool.
	Direct int64
	// Pipelined calls were sent together with others.
	Pipelined int64
}

// Observe reports what the sources tell until the Recorder is closed, and
// nothing after that. It may be called for each source by itself, but once for
// the same one. An error is one of the MeterProvider.
func (r *Recorder) Observe(s Sources) error {
	if r == nil || r.meter == nil {
		return nil
	}
	var errs []error
	if s.Pool != nil {
		errs = append(errs, r.observePool(s.Pool))
	}
	if s.Calls != nil {
		errs = append(errs, r.observeCalls(s.Calls))
	}
	if s.TokenExpiry != nil {
		errs = append(errs, r.observeToken(s.TokenExpiry))
	}
	if s.Cache != nil {
		errs = append(errs, r.observeCache(s.Cache))
	}
	return errors.Join(errs...)
}

func (r *Recorder) observePool(read func() PoolStats) error {
	count, err1 := dbconv.NewClientConnectionCountObservable(r.meter)
	limit, err2 := dbconv.NewClientConnectionMaxObservable(r.meter)
	idleMin, err3 := dbconv.NewClientConnectionIdleMinObservable(r.meter)
	pending, err4 := dbconv.NewClientConnectionPendingRequestsObservable(r.meter)
	timeouts, err5 := dbconv.NewClientConnectionTimeoutsObservable(r.meter)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	name := semconv.DBClientConnectionPoolName(r.pool)
	pool := metric.WithAttributes(name)
	idle := metric.WithAttributes(name, semconv.DBClientConnectionStateIdle)
	used := metric.WithAttributes(name, semconv.DBClientConnectionStateUsed)
	return r.register(func(_ context.Context, to metric.Observer) error {
		stats := read()
		to.ObserveInt64(count.Inst(), stats.Idle, idle)
		to.ObserveInt64(count.Inst(), stats.Used, used)
		to.ObserveInt64(limit.Inst(), stats.Max, pool)
		to.ObserveInt64(idleMin.Inst(), stats.IdleMin, pool)
		to.ObserveInt64(pending.Inst(), stats.PendingRequests, pool)
		to.ObserveInt64(timeouts.Inst(), stats.Timeouts, pool)
		return nil
	}, count.Inst(), limit.Inst(), idleMin.Inst(), pending.Inst(), timeouts.Inst())
}

func (r *Recorder) observeCalls(read func() CallStats) error {
	calls, err := r.meter.Int64ObservableCounter("redisbinding.calls", metric.WithUnit("{call}"),
		metric.WithDescription("Number of calls, by the path they took: direct, or pipelined together with others."))
	if err != nil {
		return err
	}
	const path = attribute.Key("redisbinding.call.path")
	direct := metric.WithAttributes(append(slices.Clone(r.attributes), path.String("direct"))...)
	pipelined := metric.WithAttributes(append(slices.Clone(r.attributes), path.String("pipelined"))...)
	return r.register(func(_ context.Context, to metric.Observer) error {
		stats := read()
		to.ObserveInt64(calls, stats.Direct, direct)
		to.ObserveInt64(calls, stats.Pipelined, pipelined)
		return nil
	}, calls)
}

func (r *Recorder) observeToken(read func() time.Time) error {
	left, err := r.meter.Float64ObservableGauge("redisbinding.token.time_left", metric.WithUnit("s"),
		metric.WithDescription("Time until the Entra ID token expires; below 0 when it has expired."))
	if err != nil {
		return err
	}
	attributes := metric.WithAttributes(r.attributes...)
	return r.register(func(_ context.Context, to metric.Observer) error {
		if expires := read(); !expires.IsZero() {
			to.ObserveFloat64(left, time.Until(expires).Seconds(), attributes)
		}
		return nil
	}, left)
}

// register has callback called at each collection until Close.
func (r *Recorder) register(callback metric.Callback, instruments ...metric.Observable) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	registration, err := r.meter.RegisterCallback(callback, instruments...)
	if err != nil {
		return err
	}
	r.registrations = append(r.registrations, registration)
	return nil
}
