package benchmarks

import (
	"context"
	"runtime/metrics"
	"time"
)

// memoryWatch looks how much memory is in use while somebody sleeps. It reads
// the metrics because they, unlike [runtime.ReadMemStats], stop nobody.
type memoryWatch struct {
	metrics       []metrics.Sample
	before, worst uint64
}

// watchMemory counts from what is in use now.
func watchMemory() *memoryWatch {
	w := &memoryWatch{metrics: []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
	}}
	w.before = w.inUse()
	w.worst = w.before
	return w
}

func (w *memoryWatch) inUse() uint64 {
	metrics.Read(w.metrics)
	var sum uint64
	for _, m := range w.metrics {
		sum += m.Value.Uint64()
	}
	return sum
}

// sleep pauses for as long, or until the context ends.
func (w *memoryWatch) sleep(ctx context.Context, d time.Duration) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	over := time.After(d)
	for {
		select {
		case <-look.C:
			w.worst = max(w.worst, w.inUse())
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// peak returns the most that was seen beyond what was in use before, in bytes.
func (w *memoryWatch) peak() float64 { return float64(max(w.worst, w.inUse()) - w.before) }
