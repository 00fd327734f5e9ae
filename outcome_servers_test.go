package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// What errors say of the execution of commands is compared with what the server has: no
// call that was "not executed" was executed, and every acknowledged call was.
func TestOutcomesAgainstServers(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(t *testing.T, srv *redistest.Server, network *redistest.Network){
		"connections cut": func(_ *testing.T, _ *redistest.Server, network *redistest.Network) { network.Cut() },
		"network dark": func(_ *testing.T, _ *redistest.Server, network *redistest.Network) {
			network.Dark(true)
			time.Sleep(20 * time.Millisecond) // the length of the outage
			network.Dark(false)
		},
		"password changed": func(t *testing.T, srv *redistest.Server, _ *redistest.Network) {
			srv.Do(t, "config", "set", "requirepass", "other")
			srv.Do(t, "client", "kill", "type", "normal", "skipme", "yes")
			time.Sleep(20 * time.Millisecond)
			srv.Do(t, "config", "set", "requirepass", "right")
		},
		"server full": func(t *testing.T, srv *redistest.Server, _ *redistest.Network) {
			srv.Do(t, "config", "set", "maxclients", "1")
			srv.Do(t, "client", "kill", "type", "normal", "skipme", "yes")
			time.Sleep(20 * time.Millisecond)
			srv.Do(t, "config", "set", "maxclients", "1000")
		},
		"read-only server": func(t *testing.T, srv *redistest.Server, _ *redistest.Network) {
			srv.Do(t, "config", "set", "min-replicas-to-write", "1")
			time.Sleep(20 * time.Millisecond)
			srv.Do(t, "config", "set", "min-replicas-to-write", "0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, options := range [][]Option{nil, {WithoutPipelining()}, {WithIntegrityCheck()}} {
				srv := redistest.Start(t, "--requirepass", "right")
				network := redistest.StartNetwork(t, srv, "127.0.0.1:0")
				b, err := NewRedisBinding(map[string]string{"redisHost": network.Addr, "redisPassword": "right", "poolSize": "8"}, options...)
				require.NoError(t, err)
				countOutcomes(t, b, srv, func() { fault(t, srv, network) })
			}
		})
	}
}

// countOutcomes makes calls, each on a key of its own, while the fault is repeated, closes
// the binding under load, and compares what the calls returned with what the server has.
func countOutcomes(t *testing.T, b *RedisBinding, srv *redistest.Server, fault func()) {
	t.Helper()
	const callers, faults = 16, 10
	type called struct {
		key string
		err error
	}
	results := make(chan called, 1000)
	var ended atomic.Bool
	go func() {
		defer close(results)
		together(callers, func(caller int) {
			for i := 0; !ended.Load(); i++ {
				key := fmt.Sprint(caller, ".", i)
				req := request(IncrementOperation, key)
				var err error
				if i%2 == 0 {
					_, err = b.Invoke(context.Background(), req)
				} else {
					err = lastOfBatch(b, request(GetOperation, "x"), req)
				}
				results <- called{key, err}
				time.Sleep(time.Millisecond) // the caller's own work
			}
		})
	}()
	go func() {
		defer ended.Store(true)
		for range faults {
			fault()
			time.Sleep(5 * time.Millisecond) // the length of the calm
		}
		assert.NoError(t, b.Close())
	}()
	var all []called
	for result := range results {
		all = append(all, result)
	}
	counters := countersOf(t, srv)
	var acknowledged, not, maybe, stored int
	for _, result := range all {
		has := counters[result.key]
		switch {
		case result.err == nil:
			acknowledged++
			assert.Equal(t, "1", has, "%s was acknowledged", result.key)
		case SafeToRetry(result.err):
			not++
			assert.Empty(t, has, "%s: %v", result.key, result.err)
		default:
			maybe++
			assert.NotErrorIs(t, result.err, ErrNotExecuted)
			assert.NotEqual(t, http.StatusServiceUnavailable, statusOf(result.err))
			if has != "" {
				stored++
			}
		}
	}
	assert.Positive(t, acknowledged)
	assert.Positive(t, not, "calls that were not executed")
	t.Logf("%d acknowledged, %d not executed, %d unknown, of which %d were executed", acknowledged, not, maybe, stored)
}

// lastOfBatch sends the requests as a batch, and returns the error of the last one.
func lastOfBatch(b *RedisBinding, reqs ...*InvokeRequest) error {
	_, err := b.InvokeBatch(context.Background(), reqs)
	var failed BatchErrors
	errors.As(err, &failed)
	for _, e := range failed {
		if e.Index == len(reqs)-1 {
			return e.Err
		}
	}
	return nil
}

// countersOf returns the values of all keys of the server.
func countersOf(t *testing.T, srv *redistest.Server) map[string]string {
	t.Helper()
	counters := map[string]string{}
	keys, err := srv.Client().Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	for some := range slices.Chunk(keys, 1000) {
		values, err := srv.Client().MGet(t.Context(), some...).Result()
		require.NoError(t, err)
		for i, key := range some {
			counters[key], _ = values[i].(string)
		}
	}
	return counters
}

// A server that does not get further than the handshake executes nothing.
func TestRefusedWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ command, reply string }{
		{"AUTH", "LOADING Redis is loading the dataset in memory"},
		{"AUTH", "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."},
		{"SELECT", "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."},
		{"SELECT", "NOPERM User app has no permissions to run the 'select' command"},
		{"SELECT", ""}, // the connection ends
		{"AUTH", ""},
	} {
		t.Run(strings.TrimSpace(test.command+" "+test.reply), func(t *testing.T) {
			t.Parallel()
			fake, err := server.NewServer("127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(fake.Close)
			var executed atomic.Int32
			answers := map[string]server.Cmd{
				"HELLO": func(c *server.Peer, _ string, _ []string) { c.WriteError("ERR unknown command 'HELLO'") },
			}
			for _, command := range []string{"AUTH", "SELECT", "SET", "GET", "INCR"} {
				answers[command] = func(c *server.Peer, _ string, _ []string) {
					switch {
					case command != "AUTH" && command != "SELECT":
						executed.Add(1)
						c.WriteOK()
					case command != test.command:
						c.WriteOK()
					case test.reply == "":
						c.Close()
					default:
						c.WriteError(test.reply)
					}
				}
			}
			for command, answer := range answers {
				require.NoError(t, fake.Register(command, answer))
			}
			b := newBinding(t, map[string]string{"redisHost": fake.Addr().String(), "redisPassword": "p", "redisDB": "1"}, WithLazyConnect())
			for range 3 {
				_, err = b.Invoke(t.Context(), request(IncrementOperation, "n"))
				assert.ErrorContains(t, err, test.reply)
				assert.True(t, SafeToRetry(err), "%v", err)
				requireNoneSucceeded(t, b, test.reply, create("a", "1"), request(GetOperation, "a"), request(IncrementOperation, "n"))
			}
			assert.Zero(t, executed.Load())
		})
	}
}

// A nil that answers something else than the get does not say that the key is missing.
func TestNilOfTopologyIsNoMissingKey(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"cluster", "sentinel"} {
		for _, nothing := range []string{"$-1\r\n", "*-1\r\n", "_\r\n"} {
			t.Run(kind+strings.TrimSpace(nothing), func(t *testing.T) {
				t.Parallel()
				replies := "-ERR unknown command 'HELLO'\r\n" + strings.Repeat("\x00"+nothing, 20)
				hostile := redistest.StartHostile(t, kind, false, []byte(replies))
				b := newBinding(t, hostileMetadata(kind, hostile.Addr), WithLazyConnect())
				get := request(GetOperation, "k")
				resp, err := b.Invoke(t.Context(), get)
				require.Error(t, err)
				assert.Nil(t, resp)
				responses, err := b.InvokeBatch(t.Context(), []*InvokeRequest{get})
				require.Error(t, err)
				assert.Nil(t, responses[0])
				hostile.Honest()
				assert.Equal(t, redistest.HostileValue("k"), string(invoke(t, b, get).Data))
			})
		}
	}
}
