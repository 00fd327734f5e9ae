package telemetry

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// BenchmarkCall is what a call costs with the SDK behind the API, without an
// exporter.
func BenchmarkCall(b *testing.B) {
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	dropped := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	recorded := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
	for _, variant := range []struct {
		name   string
		config Config
	}{
		{"off", Config{}},
		{"metrics", Config{MeterProvider: meters}},
		{"sampled out", Config{TracerProvider: dropped}},
		{"sampled out, keys", Config{TracerProvider: dropped, Keys: true}},
		{"recorded", Config{TracerProvider: recorded}},
		{"recorded, keys", Config{TracerProvider: recorded, Keys: true}},
		{"recorded and metrics", Config{TracerProvider: recorded, MeterProvider: meters}},
	} {
		b.Run(variant.name, func(b *testing.B) {
			variant.config.Addrs, variant.config.Namespace = []string{"cache.example.com:7000"}, "0"
			r, err := New(variant.config)
			require.NoError(b, err)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				_, op := r.Start(ctx, Call{Command: "SET", Key: "user:42", Arguments: "?"})
				op.End(nil)
			}
		})
	}
}

// BenchmarkFailure is what a failed call costs.
func BenchmarkFailure(b *testing.B) {
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	for name, failed := range map[string]error{"reply": reply("WRONGTYPE no"), "other": errors.New("failed")} {
		b.Run(name, func(b *testing.B) {
			r, err := New(Config{MeterProvider: meters})
			require.NoError(b, err)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				_, op := r.Start(ctx, Call{Command: "SET", Key: "user:42"})
				op.End(failed)
			}
		})
	}
}

// BenchmarkBatch is what a batch of a hundred costs.
func BenchmarkBatch(b *testing.B) {
	calls := slices.Repeat([]Call{{Command: "SET", Key: "user:42", Arguments: "?"}, {Command: "GET", Key: "user:43"}}, 50)
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	for _, variant := range []struct {
		name   string
		config Config
	}{{"off", Config{}}, {"metrics", Config{MeterProvider: meters}}} {
		b.Run(variant.name, func(b *testing.B) {
			r, err := New(variant.config)
			require.NoError(b, err)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				_, op := r.StartBatch(ctx, slices.Values(calls))
				op.End(nil)
			}
		})
	}
}

// BenchmarkParallel shows whether calls stand in each other's way.
func BenchmarkParallel(b *testing.B) {
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	r, err := New(Config{MeterProvider: meters, Addrs: []string{"cache.example.com:7000"}, Namespace: "0"})
	require.NoError(b, err)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, op := r.Start(b.Context(), Call{Command: "GET", Key: "user:42"})
			op.End(nil)
		}
	})
}
