package soak

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

func testMaxMemory(t *testing.T) {
	server := redistest.Start(t)
	(&scenario{
		name:     "maxmemory reached, noeviction",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": server.Addr},
		servers:  []*redistest.Server{server},
		sees:     []string{"OOM"},
		must:     []string{"OOM"},
		fault: func(ctx context.Context, s *scenario) string {
			times := repeat(ctx, func() {
				server.Do(t, "CONFIG", "SET", "maxmemory", "1mb")
				time.Sleep(200 * time.Millisecond)
				server.Do(t, "CONFIG", "SET", "maxmemory", "0")
				s.load.back(time.Now())
			})
			return fmt.Sprintf("%d times for 200 ms; reads and deletes go on", times)
		},
	}).run(t)
}

func testMaxClients(t *testing.T) {
	server := redistest.Start(t)
	(&scenario{
		name:     "maxclients reached, and all connections cut",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": server.Addr},
		servers:  []*redistest.Server{server},
		sees:     []string{"max number of clients", "connection lost", "hung up on"},
		must:     []string{"max number of clients"},
		fault: func(ctx context.Context, s *scenario) string {
			times := repeat(ctx, func() {
				server.Do(t, "CONFIG", "SET", "maxclients", "1") // the test's own
				server.Do(t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				time.Sleep(200 * time.Millisecond)
				server.Do(t, "CONFIG", "SET", "maxclients", "10000")
				s.load.back(time.Now())
			})
			return fmt.Sprintf("%d times for 200 ms", times)
		},
	}).run(t)
}

func testLargeValues(t *testing.T) {
	server := redistest.Start(t)
	(&scenario{
		name:     "4 callers of the 64 write and read values of 100 MB",
		load:     load{ttl: hour, bigSize: 100e6, timeout: 20 * time.Second},
		metadata: map[string]string{"redisHost": server.Addr, "readTimeout": "3s"},
		servers:  []*redistest.Server{server},
		fault: func(ctx context.Context, _ *scenario) string {
			<-ctx.Done()
			return ""
		},
	}).run(t)
}
