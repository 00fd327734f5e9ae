package soak

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

// However many calls fail during an outage, memory and goroutines stay bounded, and
// nothing of the calls is left. (200,000 calls in the whole soak.)
func testManyCallsInAnOutage(t *testing.T) {
	const many, clients = 200_000, 1000
	calls := many
	if duration < 10*time.Second {
		calls = many / 10
	}
	for name, fault := range map[string]struct{ begin, end func(*redistest.Server) }{
		"a server that is gone":   {func(s *redistest.Server) { s.Kill() }, func(s *redistest.Server) { s.Restart(t) }},
		"a server that is silent": {(*redistest.Server).Pause, (*redistest.Server).Resume},
	} {
		server := redistest.Start(t)
		before, heapBefore := atRest(), heapInUse()
		binding := open(t, map[string]string{"redisHost": server.Addr, "readTimeout": "1s"})
		increment := &redisbinding.InvokeRequest{Operation: redisbinding.IncrementOperation, Metadata: map[string]string{"key": "n"}}
		fault.begin(server)

		var made, safe atomic.Int64
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for made.Add(1) <= int64(calls) {
					ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
					_, err := binding.Invoke(ctx, increment)
					cancel()
					if assert.Error(t, err) && redisbinding.SafeToRetry(err) { //nolint:testifylint // on the way of all callers
						safe.Add(1)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { defer close(done); all.Wait() }()
		heap, most := heapBefore, 0
		for ended := false; !ended; {
			select {
			case <-done:
				ended = true
			case <-time.After(50 * time.Millisecond):
			}
			heap, most = max(heap, heapInUse()), max(most, goroutines())
		}
		assert.LessOrEqual(t, heap, heapBefore+64<<20, "bytes of the heap")
		assert.LessOrEqual(t, most, before+2*clients+500, "goroutines, with one for each caller, and one for each deadline that passes")

		fault.end(server)
		require.Eventually(t, func() bool { return binding.Ping(t.Context()) == nil }, 10*time.Second, time.Millisecond)
		counted, err := server.Client().Get(t.Context(), "n").Int64()
		if err != nil {
			counted = 0 // there is no counter
		}
		assert.LessOrEqual(t, counted, int64(calls)-safe.Load(), "increments that were not executed are not counted")
		closeIt(t, binding)
		settles(t, goroutines, before, "goroutines after Close")
		results.note(fmt.Sprintf("%d calls of %s, by 1,000 callers that wait for 20 ms: %d were not executed, %d may have been, and %d were; at most %.1f MB more heap and %d more goroutines",
			calls, name, safe.Load(), int64(calls)-safe.Load(), counted, float64(heap-heapBefore)/1e6, most-before-clients))
	}
}

// heapInUse returns how many bytes of the heap are in use after a collection.
func heapInUse() uint64 {
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return memory.HeapAlloc
}
