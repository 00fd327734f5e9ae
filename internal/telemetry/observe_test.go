package telemetry

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// sums returns the points of a counter by the value of an attribute.
func (s *sink) sums(name, by string) map[any]int64 {
	s.t.Helper()
	metrics := s.metrics()
	require.Contains(s.t, metrics, name)
	values := map[any]int64{}
	for _, p := range metrics[name].Data.(metricdata.Sum[int64]).DataPoints {
		values[table(p.Attributes.ToSlice())[by]] = p.Value
	}
	return values
}

func TestPool(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	stats := PoolStats{Idle: 1, Used: 2, Max: 10, IdleMin: 4, PendingRequests: 5, Timeouts: 6}
	require.NoError(t, s.recorder(s.config()).Observe(Sources{Pool: func() PoolStats { return stats }}))

	const poolName = "cache.example.com:7000/3"
	assert.Equal(t, map[any]int64{"idle": 1, "used": 2}, s.sums("db.client.connection.count", "db.client.connection.state"))
	for name, want := range map[string]struct {
		value   int64
		unit    string
		counter bool
	}{
		"db.client.connection.max":              {10, "{connection}", false},
		"db.client.connection.idle.min":         {4, "{connection}", false},
		"db.client.connection.pending_requests": {5, "{request}", false},
		"db.client.connection.timeouts":         {6, "{timeout}", true},
	} {
		assert.Equal(t, map[any]int64{poolName: want.value}, s.sums(name, "db.client.connection.pool.name"), name)
		m := s.metrics()[name]
		assert.Equal(t, want.unit, m.Unit, name)
		assert.Equal(t, want.counter, m.Data.(metricdata.Sum[int64]).IsMonotonic, name)
	}
	for name, m := range s.metrics() {
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			assert.Equal(t, poolName, table(p.Attributes.ToSlice())["db.client.connection.pool.name"], name)
		}
	}

	stats.Used = 9 // it is read anew each time
	assert.EqualValues(t, 9, s.sums("db.client.connection.count", "db.client.connection.state")["used"])
}

func TestPoolNameWithoutDatabase(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	config := s.config()
	config.Namespace = ""
	require.NoError(t, s.recorder(config).Observe(Sources{Pool: func() PoolStats { return PoolStats{} }}))
	assert.Contains(t, s.sums("db.client.connection.max", "db.client.connection.pool.name"), "cache.example.com:7000")
}

func TestPoolsOfOneNameAddUp(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	for range 2 {
		require.NoError(t, s.recorder(s.config()).Observe(Sources{Pool: func() PoolStats { return PoolStats{Used: 3} }}))
	}
	assert.EqualValues(t, 6, s.sums("db.client.connection.count", "db.client.connection.state")["used"])
}

func TestCalls(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	require.NoError(t, s.recorder(s.config()).Observe(Sources{Calls: func() CallStats { return CallStats{Direct: 7, Pipelined: 8} }}))
	assert.Equal(t, map[any]int64{"direct": 7, "pipelined": 8}, s.sums("redisbinding.calls", "redisbinding.call.path"))
	sum := s.metrics()["redisbinding.calls"].Data.(metricdata.Sum[int64])
	assert.True(t, sum.IsMonotonic)
	for _, p := range sum.DataPoints {
		attributes := table(p.Attributes.ToSlice())
		delete(attributes, "redisbinding.call.path")
		assert.Equal(t, common(nil), attributes)
	}
	assert.Len(t, s.metrics(), 1) // nothing is reported of what there is no source for
}

func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(t)
		var expires time.Time
		require.NoError(t, s.recorder(s.config()).Observe(Sources{TokenExpiry: func() time.Time { return expires }}))
		assert.Empty(t, s.metrics())

		left := func() float64 {
			points := s.metrics()["redisbinding.token.time_left"].Data.(metricdata.Gauge[float64]).DataPoints
			require.Len(t, points, 1)
			assert.Equal(t, common(nil), table(points[0].Attributes.ToSlice()))
			return points[0].Value
		}
		expires = time.Now().Add(time.Hour)
		assert.InEpsilon(t, 3600, left(), 1e-9)
		time.Sleep(time.Hour + time.Minute)
		assert.InEpsilon(t, -60, left(), 1e-9)
		assert.Equal(t, "s", s.metrics()["redisbinding.token.time_left"].Unit)
	})
}

func TestCloseEndsObserving(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	r, err := New(s.config())
	require.NoError(t, err)
	reads := 0
	all := Sources{
		Pool:        func() PoolStats { reads++; return PoolStats{} },
		Calls:       func() CallStats { reads++; return CallStats{} },
		TokenExpiry: func() time.Time { reads++; return time.Now() },
		Cache:       func() CacheStats { reads++; return CacheStats{} },
	}
	require.NoError(t, r.Observe(all))
	s.metrics()
	assert.Equal(t, 4, reads)

	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	require.NoError(t, r.Observe(all))
	s.metrics()
	assert.Equal(t, 4, reads)

	_, op := r.Start(t.Context(), Call{Command: "GET"})
	op.End(nil)
	assert.Len(t, s.durations(), 1)
}

// refusingMeters make a histogram, but nothing that is observed.
type refusingMeters struct{ metricnoop.MeterProvider }

func (refusingMeters) Meter(string, ...metric.MeterOption) metric.Meter { return refusingMeter{} }

type refusingMeter struct{ metricnoop.Meter }

func (refusingMeter) Int64ObservableUpDownCounter(string, ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	return nil, errBroken
}

func (refusingMeter) Int64ObservableCounter(string, ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return nil, errBroken
}

func (refusingMeter) Float64ObservableGauge(string, ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	return nil, errBroken
}

func TestErrorsOfObserving(t *testing.T) {
	t.Parallel()
	r, err := New(Config{MeterProvider: refusingMeters{}})
	require.NoError(t, err)
	for name, s := range map[string]Sources{
		"pool":  {Pool: func() PoolStats { return PoolStats{} }},
		"calls": {Calls: func() CallStats { return CallStats{} }},
		"token": {TokenExpiry: time.Now},
		"cache": {Cache: func() CacheStats { return CacheStats{} }},
	} {
		assert.ErrorIs(t, r.Observe(s), errBroken, name)
	}
}

// discardingMeters keep nothing.
type discardingMeters struct{ metricnoop.MeterProvider }
