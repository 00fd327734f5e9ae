package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// queued counts the calls that wait to be sent.
func queued(binding *RedisBinding) (n int) {
	if !binding.client.pipelining {
		return int(binding.client.redis.PoolStats().PendingRequests)
	}
	binding.client.lanes.each(func(l *lane) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := l.first; c != nil; c = c.next {
			n++
		}
	})
	return n
}

// Every caller gets the reply to its own command, whoever leaves meanwhile.
func TestRepliesGoToTheirCallers(t *testing.T) {
	t.Parallel()
	const callers, rounds, keys = 100, 100, 500
	for _, setup := range []*redistest.Setup{redistest.Plain(t), redistest.TLS(t), redistest.Cluster(t)} {
		t.Run(setup.Name, func(t *testing.T) {
			t.Parallel()
			binding := newBinding(t, setup.Fields("poolSize", "4"))
			for i := range keys {
				invoke(t, binding, create(fmt.Sprint("own", i), fmt.Sprint("value", i)))
			}
			var ended atomic.Int32
			together(callers, func(int) {
				for range rounds {
					ctx, cancel := context.WithCancel(t.Context())
					if rand.N(3) == 0 {
						time.AfterFunc(rand.N(2*time.Millisecond), cancel)
					}
					i := rand.N(keys)
					resp, err := binding.Invoke(ctx, request(GetOperation, fmt.Sprint("own", i)))
					if errors.Is(err, context.Canceled) {
						ended.Add(1)
					} else if assert.NoError(t, err) {
						assert.Equal(t, fmt.Sprint("value", i), string(resp.Data))
					}
					cancel()
				}
			})
			assert.NotZero(t, ended.Load(), "calls that were cancelled")
			assert.NotZero(t, binding.client.lanes.pipelined.Load())
		})
	}
}

// Nobody waits for ever, however many there are.
func TestManyCallersAllFinish(t *testing.T) {
	t.Parallel()
	setup := redistest.Plain(t)
	binding := patient(t, setup, "poolSize", "2")
	const callers, rounds = 2000, 3
	soon(t, func() {
		together(callers, func(int) {
			for range rounds {
				_, err := binding.Invoke(context.Background(), request(IncrementOperation, "all"))
				assert.NoError(t, err)
			}
		})
	})
	assert.Equal(t, strconv.Itoa(callers*rounds), setup.Servers[0].Do(t, "get", "all"))
}

// A call that is cancelled before it was sent never is, and the others are.
func TestCancelledInTheQueueIsNeverSent(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plain", "cluster"} {
		servers := redistest.StartProxied(t, kind)
		binding := patient(t, servers.Setup, "poolSize", "2")
		servers.Pause()
		resume := sync.OnceFunc(servers.Resume)
		defer resume()
		wait := occupyEach(t, binding, 2)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var leave, stay sync.WaitGroup
		for i := range 20 {
			leave.Go(func() {
				_, err := binding.Invoke(ctx, create(fmt.Sprint("{k}leave", i), "v"))
				assert.ErrorIs(t, err, context.Canceled)
			})
			stay.Go(func() { invoke(t, binding, create(fmt.Sprint("{k}stay", i), "v")) })
		}
		require.Eventually(t, func() bool { return queued(binding) == 40 }, 10*time.Second, time.Millisecond)
		before := servers.Sent("set")
		cancel()
		soon(t, leave.Wait)
		_, err := binding.Invoke(ctx, create("{k}leave", "v"))
		assert.ErrorIs(t, err, context.Canceled)
		resume()
		wait()
		stay.Wait()
		assert.Equal(t, before+20, servers.Sent("set"))
		for i := range 20 {
			assert.Equal(t, "v", servers.Get(t, fmt.Sprint("{k}stay", i)))
			assert.Nil(t, servers.Get(t, fmt.Sprint("{k}leave", i)))
		}
	}
}

// Replies that do not come keep those waiting who want them, and no others.
func TestSlowReplyHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv)
	binding := newBinding(t, unhurried(srv, "redisHost", proxy.Addr, "poolSize", "8"))
	var slow sync.WaitGroup
	defer slow.Wait()
	for i := range 4 { // more than the lane makes round trips when they are fast
		begun, release := proxy.HoldNextReply(t)
		slow.Go(func() {
			assert.Equal(t, "1", string(invoke(t, binding, request(IncrementOperation, fmt.Sprint("slow", i))).Data))
		})
		defer release()
		soon(t, func() { <-begun })
		for _, callers := range loads {
			soon(t, func() {
				together(callers, func(j int) { invoke(t, binding, create(fmt.Sprint("fast", j), "v")) })
			})
		}
	}
}

// What waits goes on its own way after a while, also when all connections were
// busy before, and nothing could.
func TestPatienceAfterAFullPool(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, unhurried(srv, "poolSize", "8"))
	binding.client.lanes.limits.apart = time.Hour // the server is near, however busy the machine is
	srv.Pause()
	wait := occupyEach(t, binding, 8)
	last := occupy(t, binding, 1)
	require.Eventually(t, func() bool { return queued(binding) == 1 }, 10*time.Second, time.Millisecond)
	srv.Resume()
	wait()
	last()
	for range 5 {
		invoke(t, binding, request(GetOperation, "k")) // the server is near again
	}
	srv.Pause()
	wait = occupy(t, binding, 20)
	assert.Eventually(t, func() bool { return binding.client.calls.state.Load() == 20 && queued(binding) == 0 }, 10*time.Second, time.Millisecond)
	srv.Resume()
	wait()
}

// keysOf returns n keys that the node of a cluster has.
func keysOf(t *testing.T, binding *RedisBinding, addr string, n int) (keys []string) {
	t.Helper()
	for i := 0; len(keys) < n; i++ {
		key := fmt.Sprint("node", i)
		node, err := binding.client.cluster.MasterForKey(t.Context(), key)
		require.NoError(t, err)
		if node.Options().Addr == addr {
			keys = append(keys, key)
		}
	}
	return keys
}

// A silent node of a cluster fails the calls to it, and holds up none to the others.
func TestSilentNodeHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	const each = 22 // of three nodes: 66 callers
	servers := redistest.StartProxied(t, "cluster")
	forEveryPath(t, func(t *testing.T, pipelining string) {
		for _, readTimeout := range []string{long, "2s"} {
			// There are more callers than connections.
			binding := patient(t, servers.Setup, "pipelining", pipelining, "poolSize", "4", "readTimeout", readTimeout)
			var keys []string
			for _, proxy := range servers.Proxies {
				keys = append(keys, keysOf(t, binding, proxy.Addr, each)...)
			}
			servers.Servers[0].Pause()
			var silent sync.WaitGroup
			for i := range each {
				silent.Go(func() {
					_, err := binding.Invoke(context.Background(), create(keys[i], "v"))
					assert.True(t, err == nil && readTimeout == long || isTimeout(err) && readTimeout != long, "%v", err)
				})
			}
			for range 10 {
				soon(t, func() {
					together(2*each, func(i int) { invoke(t, binding, create(keys[each+i], "v")) })
				})
			}
			if readTimeout != long { // they have to time out first
				soon(t, silent.Wait)
			}
			servers.Servers[0].Resume()
			silent.Wait()
			together(3*each, func(i int) { invoke(t, binding, create(keys[i], "v")) })
		}
	})
}

// Keys that move to another node are found there, and counted once, in the midst
// of moving and afterwards.
func TestSlotsMove(t *testing.T) {
	t.Parallel()
	servers := redistest.StartProxied(t, "cluster")
	forEveryPath(t, func(t *testing.T, pipelining string) {
		for _, callers := range loads {
			binding := patient(t, servers.Setup, "pipelining", pipelining, "redisMaxRetries", "0")
			tag := fmt.Sprint("{", pipelining, callers, "}")
			slot := servers.Servers[0].Do(t, "cluster", "keyslot", tag)
			node, err := binding.client.cluster.MasterForKey(t.Context(), tag)
			require.NoError(t, err)
			from := 0
			for servers.Proxies[from].Addr != node.Options().Addr {
				from++
			}
			source, target := servers.Servers[from], servers.Servers[(from+1)%3]
			sourceID, targetID := source.Do(t, "cluster", "myid"), target.Do(t, "cluster", "myid")
			count := func(want int) {
				together(callers, func(i int) {
					for range 2 {
						invoke(t, binding, create(tag+"v"+strconv.Itoa(i), strings.Repeat("v", i)))
						invoke(t, binding, request(IncrementOperation, tag))
					}
					assert.Len(t, invoke(t, binding, request(GetOperation, tag+"v"+strconv.Itoa(i))).Data, i)
				})
				assert.Equal(t, strconv.Itoa(want), string(invoke(t, binding, request(GetOperation, tag)).Data))
			}
			count(2 * callers)
			target.Do(t, "cluster", "setslot", slot, "importing", sourceID)
			source.Do(t, "cluster", "setslot", slot, "migrating", targetID)
			count(4 * callers)
			keys := source.Do(t, "cluster", "getkeysinslot", slot, 1000).([]any)
			source.Do(t, append([]any{"migrate", target.Host, target.Port, "", 0, 10000, "keys"}, keys...)...)
			count(6 * callers) // ASK
			for _, s := range []*redistest.Server{target, source} {
				s.Do(t, "cluster", "setslot", slot, "node", targetID)
			}
			count(8 * callers) // MOVED
		}
	})
}

// Close with calls in the queue: it waits for those that end by themselves and
// fails those that would not, and leaves nothing.
func TestCloseWithCallsInTheQueue(t *testing.T) {
	t.Parallel()
	const callers = 64
	for _, kind := range []string{"plain", "cluster"} {
		servers := redistest.StartProxied(t, kind)
		for _, readTimeout := range []string{long, "-1"} {
			t.Run(kind+", readTimeout "+readTimeout, func(t *testing.T) {
				requireNoGoroutines := redistest.WatchGoroutines(t)
				binding := patient(t, servers.Setup, "poolSize", "2", "readTimeout", readTimeout)
				servers.Pause()
				resume := sync.OnceFunc(servers.Resume)
				defer resume()
				errs := make(chan error, callers)
				for i := range callers {
					go func() {
						_, err := binding.Invoke(contexts(t)[i%2], create("{k}"+strconv.Itoa(i), "v"))
						errs <- err
					}()
					if i < 2 { // one on each connection, and the others wait
						require.Eventually(t, func() bool { return busy(binding) > i }, 10*time.Second, time.Millisecond)
					}
				}
				if binding.client.pipelining || kind == "plain" { // else go-redis does not say
					require.Eventually(t, func() bool { return queued(binding) == callers-2 }, 10*time.Second, time.Millisecond)
				}
				closed := make(chan error)
				go func() { closed <- binding.Close() }()
				if readTimeout == long {
					require.Eventually(t, binding.client.calls.closed, 10*time.Second, time.Millisecond)
					resume()
				}
				soon(t, func() {
					sent := 0
					for range callers {
						switch err := <-errs; {
						case readTimeout == long:
							assert.NoError(t, err)
						case SafeToRetry(err):
							assert.Equal(t, ErrClosed, err)
						default:
							assert.ErrorIs(t, err, ErrClosed)
							sent++
						}
					}
					if readTimeout != long {
						assert.Equal(t, 1, sent, "the other connection is new, and not ready")
					}
					assert.NoError(t, <-closed)
				})
				requireNoGoroutines()
			})
		}
	}
}
