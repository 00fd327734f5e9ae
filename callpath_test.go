package redisbinding

import (
	"bytes"
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

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// A call goes one of two ways: alone it goes directly, among many it is sent in a
// pipeline. What is promised holds for both, and without pipelining.

// loads are how many callers there are at once: none meets another, and most do.
var loads = []int{1, 64}

// together makes n calls at once and waits for all of them.
func together(n int, call func(i int)) {
	start := make(chan struct{})
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() { <-start; call(i) })
	}
	close(start)
	callers.Wait()
}

// forEveryPath runs a test with and without pipelining.
func forEveryPath(t *testing.T, test func(t *testing.T, pipelining string)) {
	for _, pipelining := range []string{PipeliningAuto, PipeliningOff} {
		t.Run("pipelining "+pipelining, func(t *testing.T) { test(t, pipelining) })
	}
}

// patient is a binding to the set-up with no bounds but those given.
func patient(t *testing.T, setup *redistest.Setup, fields ...string) *RedisBinding {
	t.Helper()
	all := append([]string{"readTimeout", long, "writeTimeout", long, "poolTimeout", long, "dialTimeout", long}, fields...)
	binding := newBinding(t, setup.Fields(all...))
	// What another test has left for the servers to do may take longer than the bounds.
	require.Eventually(t, func() bool { return binding.Ping(context.Background()) == nil }, 10*time.Second, time.Millisecond)
	for i := range 16 { // each node has a connection, and a cluster's slots are known
		invoke(t, binding, create(fmt.Sprint("warm", i), "v"))
	}
	return binding
}

func TestPausedServer(t *testing.T) {
	t.Parallel()
	testPaused(t, redistest.StartProxied(t, "plain").Setup)
}

func TestPausedTLS(t *testing.T) {
	t.Parallel()
	secure, certs := redistest.StartTLS(t)
	testPaused(t, &redistest.Setup{Name: "tls", Servers: []*redistest.Server{secure}, Metadata: map[string]string{"redisHost": secure.Addr, "enableTLS": "true",
		"caCert": string(certs.CA), "clientCert": string(certs.Cert), "clientKey": string(certs.Key)}})
}

func TestPausedSentinel(t *testing.T) {
	t.Parallel()
	testPaused(t, redistest.StartProxied(t, "sentinel").Setup)
}

func TestPausedCluster(t *testing.T) {
	t.Parallel()
	testPaused(t, redistest.StartProxied(t, "cluster").Setup)
}

// testSilent pauses servers that the test has to itself.
func testPaused(t *testing.T, setup *redistest.Setup) {
	forEveryPath(t, func(t *testing.T, pipelining string) {
		t.Run("context", func(t *testing.T) { testSilentContext(t, setup, pipelining) })
		t.Run("readTimeout", func(t *testing.T) { testSilentRead(t, setup, pipelining) })
		t.Run("poolTimeout", func(t *testing.T) { testSilentPool(t, setup, pipelining) })
		t.Run("writeTimeout", func(t *testing.T) { testSilentWrite(t, setup, pipelining) })
	})
}

// A context ends its call and nobody else's.
func testSilentContext(t *testing.T, setup *redistest.Setup, pipelining string) {
	requireNoGoroutines := redistest.WatchGoroutines(t)
	binding := patient(t, setup, "pipelining", pipelining, "poolSize", "4")
	for _, callers := range loads {
		openConns(t, binding, min(callers, 4))
		key := func(name string, i int) string { return fmt.Sprint(name, pipelining, callers, ".", i) }
		setup.Pause()
		resume := sync.OnceFunc(setup.Resume)
		defer resume()
		var others sync.WaitGroup
		for i := range callers / 8 {
			others.Go(func() { invoke(t, binding, create(key("other", i), "v")) })
		}
		together(callers, func(i int) {
			requests := []*InvokeRequest{request(GetOperation, key("get", i)), create(key("set", i), strings.Repeat("v", 10<<10)),
				request(IncrementOperation, key("n", i)), request(GetOperation, key("getdel", i), "delete", "1")}
			for _, want := range []error{context.DeadlineExceeded, context.Canceled} {
				for _, req := range requests {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
					if want == context.Canceled {
						cancel()
						ctx, cancel = context.WithCancel(t.Context())
						time.AfterFunc(10*time.Millisecond, cancel)
					}
					_, err := binding.Invoke(ctx, req) // returns before the servers go on
					assert.ErrorIs(t, err, want, "%s", req.Operation)
					cancel()
				}
			}
		})
		resume()
		others.Wait()
		together(callers, func(i int) { // nothing is left of it
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := binding.Invoke(ctx, create(key("after", i), "v"))
			assert.NoError(t, err)
			n := invoke(t, binding, request(GetOperation, key("n", i))).Data
			assert.Contains(t, []string{"", "1", "2"}, string(n), "of two increments")
		})
		for i := range callers / 8 {
			assert.Equal(t, "v", string(invoke(t, binding, request(GetOperation, key("other", i))).Data))
		}
	}
	assert.NoError(t, binding.Close())
	requireNoGoroutines()
}

// contexts are those that do not end a call by themselves.
func contexts(t *testing.T) []context.Context {
	return []context.Context{context.Background(), t.Context()}
}

func testSilentRead(t *testing.T, setup *redistest.Setup, pipelining string) {
	binding := patient(t, setup, "pipelining", pipelining, "poolSize", "32", "readTimeout", "1500ms", "dialTimeout", "4s")
	for _, callers := range loads {
		openConns(t, binding, min(callers, 8))
		setup.Pause()
		soon(t, func() {
			together(callers, func(i int) {
				for _, ctx := range contexts(t) {
					_, err := binding.Invoke(ctx, request(IncrementOperation, fmt.Sprint("read", i)))
					assert.True(t, isTimeout(err), "%v", err)
					assert.NotErrorIs(t, err, context.DeadlineExceeded)
				}
			})
		})
		setup.Resume()
		together(callers, func(i int) {
			_, err := binding.Invoke(t.Context(), create(fmt.Sprint("read", i), "1"))
			assert.NoError(t, err)
		})
	}
}

func testSilentWrite(t *testing.T, setup *redistest.Setup, pipelining string) {
	binding := patient(t, setup, "pipelining", pipelining, "poolSize", "16", "writeTimeout", "300ms")
	// More than one for each call, and for a cluster's looking for its nodes: a new
	// connection would have to greet the server first.
	require.Eventually(t, func() bool {
		together(64, func(int) { _ = binding.client.redis.Set(context.Background(), "{k}", "v", 0).Err() })
		for _, n := range openedByAddr(binding) {
			if n >= 16 {
				return true
			}
		}
		return false
	}, 10*time.Second, time.Millisecond)
	setup.Pause()
	resume := sync.OnceFunc(setup.Resume)
	defer resume()
	data := bytes.Repeat([]byte("v"), 16<<20) // more than the buffers on the way can take
	var others sync.WaitGroup
	for i := range 3 { // alone first, then with so many under way that it goes in a lane
		for _, ctx := range contexts(t) {
			req := &InvokeRequest{Operation: CreateOperation, Data: data, Metadata: map[string]string{"key": "{k}write"}}
			soon(t, func() {
				_, err := binding.Invoke(ctx, req)
				assert.True(t, isTimeout(err), "%v", err)
			})
		}
		if i < 2 {
			others.Go(func() { invoke(t, binding, request(GetOperation, "{k}other")) })
			require.Eventually(t, func() bool { return busy(binding) > i }, 10*time.Second, time.Millisecond)
		}
	}
	resume()
	others.Wait()
	assert.Nil(t, invoke(t, binding, request(GetOperation, "{k}write")).Data)
}

// occupyEach has a call wait on each of n connections to the paused server with the
// keys tagged {k}, until the test resumes it.
func occupyEach(t *testing.T, binding *RedisBinding, n int) (wait func()) {
	t.Helper()
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() {
			_, err := binding.Invoke(context.Background(), request(GetOperation, "{k}"))
			assert.NoError(t, err)
		})
		require.Eventually(t, func() bool { return busy(binding) > i }, 10*time.Second, time.Millisecond)
	}
	return calls.Wait
}

func testSilentPool(t *testing.T, setup *redistest.Setup, pipelining string) {
	for _, size := range []int{1, 2} {
		const callers = 20
		binding := patient(t, setup, "pipelining", pipelining, "poolSize", strconv.Itoa(size), "poolTimeout", "1s")
		openConns(t, binding, size)
		setup.Pause()
		wait := occupyEach(t, binding, size)
		together(callers, func(i int) {
			_, err := binding.Invoke(contexts(t)[i%2], request(GetOperation, "{k}"+strconv.Itoa(i)))
			assert.ErrorIs(t, err, redis.ErrPoolTimeout)
		})
		setup.Resume()
		wait()
	}
}

// What is stored is what a caller has sent, whole, whatever the caller does with
// the data after the context has ended the call.
func TestNothingTornIsStored(t *testing.T) {
	t.Parallel()
	const callers, rounds, size = 32, 12, 64 << 10
	for _, setup := range []*redistest.Setup{redistest.Plain(t), redistest.TLS(t), redistest.Sentinel(t), redistest.Cluster(t)} {
		t.Run(setup.Name, func(t *testing.T) {
			t.Parallel()
			forEveryPath(t, func(t *testing.T, pipelining string) {
				defer setup.FlushAll(t)
				binding := newBinding(t, setup.Fields("pipelining", pipelining, "poolSize", "4"))
				letter := func(i, round int) byte { return byte('a' + (i+round)%20) }
				key := func(i, round int) string { return fmt.Sprint("torn", i, ".", round) }
				var ended, done atomic.Int32
				var stored sync.Map // what Invoke has said to be
				together(callers, func(i int) {
					data := make([]byte, size)
					for round := range rounds {
						copy(data, bytes.Repeat([]byte{letter(i, round)}, size))
						ctx, cancel := context.WithCancel(t.Context())
						switch after := rand.N(5 * time.Millisecond); round % 3 {
						case 1:
							time.AfterFunc(after, cancel)
						case 2:
							cancel()
							ctx, cancel = context.WithTimeout(t.Context(), after)
						}
						_, err := binding.Invoke(ctx, &InvokeRequest{Operation: CreateOperation, Data: data, Metadata: map[string]string{"key": key(i, round)}})
						copy(data, bytes.Repeat([]byte{'!'}, size))
						cancel()
						if err == nil {
							done.Add(1)
							stored.Store(key(i, round), true)
							continue
						}
						ended.Add(1)
						assert.True(t, errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded), "%v", err)
					}
				})
				assert.NotZero(t, ended.Load(), "calls that their contexts have ended")
				assert.NotZero(t, done.Load())
				for i := range callers {
					for round := range rounds {
						value := invoke(t, binding, request(GetOperation, key(i, round))).Data
						if _, must := stored.Load(key(i, round)); must || value != nil {
							assert.True(t, bytes.Equal(bytes.Repeat([]byte{letter(i, round)}, size), value), "%s: %.20q...", key(i, round), value)
						}
					}
				}
			})
		})
	}
}

// again is redisMaxRetries and no time to lose.
var again = []string{"redisMaxRetries", "3", "redisMinRetryInterval", "1ms", "redisMaxRetryInterval", "1ms"}

// lossy are servers whose replies can be lost.
func lossy(t *testing.T) []*redistest.Proxied {
	return []*redistest.Proxied{redistest.StartProxied(t, "plain"), redistest.StartProxied(t, "sentinel"), redistest.StartProxied(t, "cluster")}
}

// What must not be carried out twice is not sent twice, when many lose their
// replies at once; what may be is, up to redisMaxRetries times more.
func TestNeverTwiceAmongMany(t *testing.T) {
	t.Parallel()
	const callers = 64
	for _, servers := range lossy(t) {
		t.Run(servers.Name, func(t *testing.T) {
			t.Parallel()
			forEveryPath(t, func(t *testing.T, pipelining string) {
				defer servers.FlushAll(t)
				binding := patient(t, servers.Setup, append(again, "pipelining", pipelining)...)
				for i := range callers {
					invoke(t, binding, create(fmt.Sprint("v", i), "v"))
				}
				for _, test := range []struct {
					command string
					most    int // times for each call
					req     func(i int) *InvokeRequest
				}{
					{"incr", 1, func(i int) *InvokeRequest { return request(IncrementOperation, fmt.Sprint("n", i)) }},
					{"incr", 1, func(int) *InvokeRequest { return request(IncrementOperation, "shared") }},
					{"eval", 1, func(i int) *InvokeRequest {
						return request(IncrementOperation, fmt.Sprint("t", i), "ttlInSeconds", "60")
					}},
					{"getdel", 1, func(i int) *InvokeRequest { return request(GetOperation, fmt.Sprint("v", i), "delete", "1") }},
					{"set", 4, func(i int) *InvokeRequest { return create(fmt.Sprint("set", i), "v") }},
					{"get", 4, func(i int) *InvokeRequest { return request(GetOperation, fmt.Sprint("set", i)) }},
					{"del", 4, func(i int) *InvokeRequest { return request(DeleteOperation, fmt.Sprint("set", i)) }},
				} {
					before := servers.Sent(test.command)
					servers.CutAfterLines(0)
					together(callers, func(i int) {
						_, err := binding.Invoke(t.Context(), test.req(i))
						assert.Error(t, err, "not an empty success")
					})
					servers.CutAfterLines(-1)
					sent := servers.Sent(test.command) - before
					assert.LessOrEqual(t, sent, test.most*callers, test.command)
					if test.most > 1 {
						assert.Greater(t, sent, callers, "%s may be sent again", test.command)
					}
				}
				count := func(key string) int {
					n, err := strconv.Atoi(fmt.Sprint(servers.Get(t, key)))
					assert.NoError(t, err, key)
					return n
				}
				assert.LessOrEqual(t, count("shared"), callers)
				for i := range callers {
					if key := fmt.Sprint("n", i); servers.Get(t, key) != nil {
						assert.Equal(t, 1, count(key), key)
					}
					if key := fmt.Sprint("t", i); servers.Get(t, key) != nil {
						assert.Equal(t, 1, count(key), key)
					}
				}
				invoke(t, binding, request(IncrementOperation, "after"))
			})
		})
	}
}

// Of a pipeline that is cut half-way, those have their replies whose replies came.
func TestPipelineCutHalfWay(t *testing.T) {
	t.Parallel()
	const callers = 64
	for _, servers := range lossy(t) {
		t.Run(servers.Name, func(t *testing.T) {
			t.Parallel()
			forEveryPath(t, func(t *testing.T, pipelining string) {
				defer servers.FlushAll(t)
				binding := patient(t, servers.Setup, append(again, "pipelining", pipelining, "poolSize", "4")...)
				for _, replies := range []int{1, 9, 30} {
					key := func(i int) string { return fmt.Sprint("n", replies, ".", i) }
					for i := range callers {
						invoke(t, binding, create(key(i), strconv.Itoa(1000*i)))
					}
					var succeeded [callers]bool
					n := func() (n int) {
						for _, ok := range succeeded {
							if ok {
								n++
							}
						}
						return n
					}
					before := servers.Sent("incr")
					servers.CutAfterLines(replies)
					together(callers, func(i int) {
						resp, err := binding.Invoke(t.Context(), request(IncrementOperation, key(i)))
						if succeeded[i] = err == nil; err == nil {
							assert.Equal(t, strconv.Itoa(1000*i+1), string(resp.Data))
						}
					})
					passed := replies*len(servers.Proxies) - servers.CutAfterLines(-1)
					if len(servers.Proxies) == 1 {
						assert.Equal(t, passed, n(), "as many succeed as there were replies")
					} else { // some were of nodes that were asked for the topology
						assert.LessOrEqual(t, n(), passed)
						assert.Positive(t, n())
					}
					assert.LessOrEqual(t, servers.Sent("incr")-before, callers)
					for i := range callers {
						value := servers.Get(t, key(i))
						if value != strconv.Itoa(1000*i) || succeeded[i] {
							assert.Equal(t, strconv.Itoa(1000*i+1), value)
						}
					}
				}
			})
		})
	}
}
