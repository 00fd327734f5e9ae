package telemetry

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// sink is an SDK that keeps what is recorded.
type sink struct {
	t       *testing.T
	spans   *tracetest.SpanRecorder
	tracers *sdktrace.TracerProvider
	reader  *sdkmetric.ManualReader
	meters  *sdkmetric.MeterProvider
}

func newSink(t *testing.T, opts ...sdktrace.TracerProviderOption) *sink {
	t.Helper()
	spans, reader := tracetest.NewSpanRecorder(), sdkmetric.NewManualReader()
	s := &sink{
		t:       t,
		spans:   spans,
		tracers: sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(spans))...),
		reader:  reader,
		meters:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
	}
	return s
}

// config is that of a Recorder to one server, for both providers.
func (s *sink) config() Config {
	return Config{
		TracerProvider: s.tracers, MeterProvider: s.meters,
		Scope: "example.com/scope", Version: "v1.2.3",
		Addrs: []string{"cache.example.com:7000"}, Namespace: "3",
	}
}

func (s *sink) recorder(config Config) *Recorder {
	s.t.Helper()
	r, err := New(config)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, r.Close()) })
	return r
}

// span returns the only span that has ended.
func (s *sink) span() sdktrace.ReadOnlySpan {
	s.t.Helper()
	ended := s.spans.Ended()
	require.Len(s.t, ended, 1)
	return ended[0]
}

// metrics collects the metrics, by name.
func (s *sink) metrics() map[string]metricdata.Metrics {
	s.t.Helper()
	byName := map[string]metricdata.Metrics{}
	for _, scope := range s.scopes() {
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

func (s *sink) scopes() []metricdata.ScopeMetrics {
	s.t.Helper()
	var collected metricdata.ResourceMetrics
	require.NoError(s.t, s.reader.Collect(s.t.Context(), &collected))
	return collected.ScopeMetrics
}

func (s *sink) scope() instrumentation.Scope {
	s.t.Helper()
	scopes := s.scopes()
	require.Len(s.t, scopes, 1)
	return scopes[0].Scope
}

// durations returns the points of the histogram.
func (s *sink) durations() []metricdata.HistogramDataPoint[float64] {
	s.t.Helper()
	metrics := s.metrics()
	require.Contains(s.t, metrics, "db.client.operation.duration")
	return metrics["db.client.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints
}

// table shows attributes as a table to compare with.
func table(attributes []attribute.KeyValue) map[string]any {
	shown := map[string]any{}
	for _, a := range attributes {
		shown[string(a.Key)] = a.Value.AsInterface()
	}
	return shown
}
