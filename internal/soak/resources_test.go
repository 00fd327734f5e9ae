package soak

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// usage is what the process has at a moment.
type usage struct {
	heap                                 uint64 // bytes in use after a collection
	goroutines, connections, descriptors int
}

func (u usage) String() string {
	return fmt.Sprintf("heap %.1f MB, %d goroutines, %d connections, %d file descriptors",
		float64(u.heap)/1e6, u.goroutines, u.connections, u.descriptors)
}

func (s *scenario) usage(t *testing.T) usage {
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return usage{memory.HeapAlloc, goroutines(), s.connections(t), descriptors()}
}

// descriptors returns how many the process has open, 0 where nothing says so.
func descriptors() int {
	open, _ := os.ReadDir("/proc/self/fd")
	return len(open)
}

// Memory, goroutines, connections and file descriptors stay level under a mixed load
// through a network that now and then cuts connections: in the last third of the time
// there are no more of them than in the second, give or take.
func testResourcesStayLevel(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no")
	network := redistest.StartNetwork(t, server, loopback)
	(&scenario{
		name:     "mixed load, all connections cut every second",
		load:     load{ttl: hour, size: 4 << 10},
		metadata: map[string]string{"redisHost": network.Addr, "idleTimeout": "2s", "idleCheckFrequency": "1s"},
		servers:  []*redistest.Server{server},
		sees:     []string{"connection lost", "hung up on"},
		fault: func(ctx context.Context, s *scenario) string {
			var samples []usage
			end, _ := ctx.Deadline()
			every := time.Until(end) / 31
			lastCut := time.Now()
			for ctx.Err() == nil {
				time.Sleep(every)
				samples = append(samples, s.usage(t))
				if time.Since(lastCut) >= time.Second {
					network.Cut()
					lastCut = time.Now()
				}
			}
			third := len(samples) / 3
			second, last := highest(samples[third:2*third]), highest(samples[2*third:])
			assert.LessOrEqual(t, last.heap, second.heap+second.heap/2+8<<20)
			assert.LessOrEqual(t, last.goroutines, second.goroutines+30)
			assert.LessOrEqual(t, last.connections, 2*poolSize)
			assert.LessOrEqual(t, last.descriptors, second.descriptors+2*2*poolSize)
			return fmt.Sprintf("at most, in the second third of the time: %v; in the last: %v", second, last)
		},
	}).run(t)
}

func highest(samples []usage) (u usage) {
	for _, s := range samples {
		u.heap, u.goroutines = max(u.heap, s.heap), max(u.goroutines, s.goroutines)
		u.connections, u.descriptors = max(u.connections, s.connections), max(u.descriptors, s.descriptors)
	}
	return u
}
