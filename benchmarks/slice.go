package benchmarks

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// workload is what the callers do.
type workload struct {
	operation operation
	size      int // of the values, in bytes
	callers   int
	batch     int // operations a call
}

// step makes the call number i of a caller.
type step func(ctx context.Context, i int) error

// sample is what one peer did in one slice of time.
type sample struct {
	opsPerSecond float64
	p50, p99     time.Duration // of a call

	// What an operation allocates beside the value it returns.
	allocs, allocBytes float64
	// memory is what was in use at the most, beyond what was before: heap, with
	// garbage that was not yet collected, and stacks.
	memory float64
	// The p99 of the caller in the middle and of the one who fared worst. Of a
	// caller whose one call took up the slice that is the slice.
	middleP99, worstP99 time.Duration
}

// The phases of a slice.
const (
	warmingUp int32 = iota
	measuring
	stopping
)

// runSlice has callers call for a while. A call counts when it begins in the
// slice, however late it ends, so that slow calls are not left out.
func runSlice(w workload, newCaller func(number int) step, warmUp, slice time.Duration) (*sample, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var (
		phase      atomic.Int32
		histograms = make([]histogram, w.callers)
		running    sync.WaitGroup
		began      = make(chan struct{}, 1) // the first call that counts
	)
	runtime.GC() // of what the peer before has left
	memory := watchMemory()
	for number := range w.callers {
		running.Go(func() {
			if err := callOn(ctx, newCaller(number), &phase, began, &histograms[number]); err != nil {
				cancel(err)
			}
		})
	}

	var before, after runtime.MemStats
	memory.sleep(ctx, warmUp)
	runtime.ReadMemStats(&before)
	start := time.Now()
	phase.Store(measuring)
	memory.sleep(ctx, slice)
	select {
	case <-began: // or there would be nothing to report
	case <-ctx.Done():
	}
	phase.Store(stopping)
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	running.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}

	var all histogram
	var p99s []time.Duration
	for i := range histograms {
		all.add(&histograms[i])
		if histograms[i].count == 0 {
			p99s = append(p99s, elapsed)
		} else {
			p99s = append(p99s, histograms[i].quantile(0.99))
		}
	}
	slices.Sort(p99s)
	ops, returned := float64(all.count*w.batch), w.operation.returned()
	return &sample{
		opsPerSecond: ops / elapsed.Seconds(),
		p50:          all.quantile(0.5),
		p99:          all.quantile(0.99),
		allocs:       float64(after.Mallocs-before.Mallocs)/ops - returned,
		allocBytes:   float64(after.TotalAlloc-before.TotalAlloc)/ops - returned*float64(w.size),
		memory:       memory.peak(),
		middleP99:    p99s[len(p99s)/2],
		worstP99:     p99s[len(p99s)-1],
	}, nil
}

// callOn calls until the slice is over, and records how long the calls take that
// begin in it. Its context can end, as those of callers who mean well can.
func callOn(ctx context.Context, call step, phase *atomic.Int32, began chan<- struct{}, h *histogram) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i := 0; ; i++ {
		now := phase.Load()
		switch {
		case now == stopping:
			return nil
		case now == measuring && h.count == 0:
			select {
			case began <- struct{}{}:
			default: // Others were first.
			}
		}
		start := time.Now()
		if err := call(ctx, i); err != nil {
			return err
		}
		if now == measuring {
			h.record(time.Since(start))
		}
	}
}
