package soak

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

// tooMany is the part of the server's writes that have a reply too many.
const tooMany = 0.01

// With the integrity check nobody gets the reply to another command.
func testReplyTooMany(t *testing.T) {
	server := redistest.Start(t)
	network := redistest.StartNetwork(t, server, loopback)
	(&scenario{
		name:     "1 % of replies with a reply too many before them, WithIntegrityCheck",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": network.Addr},
		options:  []redisbinding.Option{redisbinding.WithIntegrityCheck()},
		servers:  []*redistest.Server{server},
		sees:     []string{"wrong reply", "connection lost", "hung up on"},
		must:     []string{"wrong reply"},
		fault: func(ctx context.Context, _ *scenario) string {
			network.Set(redistest.Faults{Extra: tooMany})
			<-ctx.Done()
			network.Set(redistest.Faults{})
			return ""
		},
	}).run(t)
}

// Without the check a reply too many can be taken for the answer to a get. This counts how
// often that is.
func testReplyTooManyUnchecked(t *testing.T) {
	server := redistest.Start(t)
	network := redistest.StartNetwork(t, server, loopback)
	for _, checked := range []bool{false, true} {
		var options []redisbinding.Option
		name := "without the integrity check"
		if checked {
			options = append(options, redisbinding.WithIntegrityCheck())
			name = "with it"
		}
		binding := open(t, map[string]string{"redisHost": network.Addr}, options...)
		key := func(caller int) map[string]string { return map[string]string{"key": fmt.Sprint("k", caller)} }
		for caller := range callers {
			_, err := binding.Invoke(t.Context(), &redisbinding.InvokeRequest{Operation: redisbinding.CreateOperation, Metadata: key(caller), Data: fmt.Append(nil, caller)})
			require.NoError(t, err)
		}
		network.Set(redistest.Faults{Extra: tooMany})
		ctx := within(t, duration)
		var right, failed, wrong atomic.Int64
		var all sync.WaitGroup
		for caller := range callers {
			all.Go(func() {
				for ctx.Err() == nil {
					resp, err := binding.Invoke(context.Background(), &redisbinding.InvokeRequest{Operation: redisbinding.GetOperation, Metadata: key(caller)})
					switch {
					case err != nil:
						failed.Add(1)
					case string(resp.Data) == fmt.Sprint(caller):
						right.Add(1)
					default:
						wrong.Add(1)
					}
				}
			})
		}
		all.Wait()
		network.Set(redistest.Faults{})
		closeIt(t, binding)
		assert.Positive(t, failed.Load())
		if checked {
			assert.Zero(t, wrong.Load(), "values of other keys")
		}
		results.note(fmt.Sprintf("64 callers get a value each, 1 %% of replies with a reply too many before them, %s: %d right, %d failed, %d with another value",
			name, right.Load(), failed.Load(), wrong.Load()))
	}
}
