package soak

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

// Ten thousand callers of a server that is gone: of one that refuses connections, and
// of one in front of which something takes them and hangs up.
func testManyCallersOfADeadServer(t *testing.T) {
	for _, pipelining := range []string{redisbinding.PipeliningAuto, redisbinding.PipeliningOff} {
		t.Run("pipelining "+pipelining, func(t *testing.T) {
			const many = 10_000
			server := redistest.Start(t)
			network := redistest.StartNetwork(t, server, loopback)
			before := atRest()
			binding, err := redisbinding.NewRedisBinding(map[string]string{"redisHost": network.Addr, "pipelining": pipelining})
			require.NoError(t, err)
			network.Dark(true)
			attempted := network.Connections()

			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			var all sync.WaitGroup
			var calls, dead atomic.Int64
			for range many {
				all.Go(func() {
					for ctx.Err() == nil {
						_, err := binding.Invoke(t.Context(), &redisbinding.InvokeRequest{
							Operation: redisbinding.IncrementOperation, Metadata: map[string]string{"key": "n"},
						})
						calls.Add(1)
						if assert.ErrorIs(t, err, redisbinding.ErrUnavailable) { //nolint:testifylint // on the way of all callers
							dead.Add(1)
						}
					}
				})
			}
			began, most := time.Now(), 0
			for time.Since(began) < duration {
				most = max(most, goroutines())
				time.Sleep(50 * time.Millisecond)
			}
			stop()
			all.Wait()
			attempts := float64(network.Connections()-attempted) / time.Since(began).Seconds()
			assert.Less(t, most, before+many+500, "goroutines, with one for each caller")
			assert.Less(t, attempts, 100.0, "attempts to connect a second") // there are pauses of up to 50 ms

			network.Dark(false)
			_, err = binding.Invoke(t.Context(), &redisbinding.InvokeRequest{
				Operation: redisbinding.IncrementOperation, Metadata: map[string]string{"key": "n"},
			})
			require.NoError(t, err, "the first call after it is back")
			require.NoError(t, binding.Close())
			settles(t, goroutines, before, "goroutines after Close")
			results.note(fmt.Sprintf("10,000 callers of a dead server, pipelining %s: %d calls failed in %s, %.0f attempts to connect a second, "+
				"at most %d goroutines beside the callers' own", pipelining, dead.Load(), each.Round(time.Second), attempts, most-before-many))
		})
	}
}
