package soak

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// Keys without a TTL: those with one end when the server's clock says so, which is
// Redis's own doing.
func testClockSteps(t *testing.T) {
	server, step := redistest.StartWithClock(t, "--timeout", "600")
	(&scenario{
		name:     "server's clock set an hour ahead and an hour back",
		metadata: map[string]string{"redisHost": server.Addr},
		servers:  []*redistest.Server{server},
		sees:     []string{"connection lost", "hung up on"},
		fault: func(ctx context.Context, s *scenario) string {
			steps := repeat(ctx, func() {
				for _, ahead := range []time.Duration{time.Hour, -time.Hour, 0} {
					step(ahead)
					time.Sleep(200 * time.Millisecond)
					s.load.back(time.Now())
				}
			})
			return fmt.Sprintf("%d times", steps)
		},
	}).run(t)
}
