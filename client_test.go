package redisbinding

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	acl, cluster, sentinel := redistest.ACL(t), redistest.Cluster(t), redistest.Sentinel(t)
	for name, metadata := range map[string]map[string]string{
		"refused":                  {"redisHost": "127.0.0.1:1", "minIdleConns": "2"},
		"refused cluster":          {"redisHost": "127.0.0.1:1", "redisType": "cluster"},
		"refused sentinel":         {"redisHost": "127.0.0.1:1", "failover": "true", "sentinelMasterName": "m", "poolSize": "1"},
		"password":                 acl.Fields("redisPassword", "hunter2", "minIdleConns", "2"),
		"cluster with a password":  cluster.Fields("redisPassword", "hunter2", "redisUsername", "nobody"),
		"primary's password":       sentinel.Fields("redisPassword", "hunter2"),
		"unknown sentinel primary": sentinel.Fields("sentinelMasterName", "nobody"),
	} {
		t.Run(name, func(t *testing.T) {
			requireNoGoroutines := redistest.WatchGoroutines(t)
			connections := func() (n int) {
				for _, s := range append(append(acl.Servers, cluster.Servers...), append(sentinel.Servers, sentinel.Sentinels...)...) {
					for _, client := range clientsOf(t, s) {
						if strings.Contains(client, "user=app") || strings.Contains(client, "user=default") && strings.Contains(client, "cmd=hello") {
							n++
						}
					}
				}
				return n
			}
			open := connections()
			_, err := NewRedisBinding(metadata)
			require.Error(t, err)
			requireNoGoroutines()
			assert.Eventually(t, func() bool { return connections() <= open }, 10*time.Second, time.Millisecond)
		})
	}
}

func TestLazyConnect(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Kill()
	binding := newBinding(t, map[string]string{"redisHost": srv.Addr}, WithLazyConnect())
	assert.ErrorIs(t, binding.Ping(t.Context()), syscall.ECONNREFUSED)
	srv.Restart(t)
	assert.NoError(t, binding.Ping(t.Context()))
	_, err := NewRedisBinding(map[string]string{"redisHost": "h", "redisDB": "x"}, WithLazyConnect())
	assert.Error(t, err, "the metadata is checked all the same")
}

// A server that goes away is an error at once, and the first call after it is
// back works: after few failures, and after more than the pool has places.
func TestServerGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	plain, other := redistest.Start(t), redistest.Start(t)
	secure, certs := redistest.StartTLS(t)
	tlsFields := map[string]string{"redisHost": secure.Addr, "enableTLS": "true", "caCert": string(certs.CA),
		"clientCert": string(certs.Cert), "clientKey": string(certs.Key)}
	cluster, sentinel := redistest.StartCluster(t), redistest.StartSentinel(t)
	for _, test := range []struct {
		name     string
		metadata map[string]string
		servers  []*redistest.Server
	}{
		{"plain", map[string]string{"redisHost": plain.Addr}, []*redistest.Server{plain}},
		{"plain, idle connections", map[string]string{"redisHost": other.Addr, "minIdleConns": "3"}, []*redistest.Server{other}},
		{"tls", tlsFields, []*redistest.Server{secure}},
		{"cluster", cluster.Fields(), cluster.Servers},
		{"sentinels", sentinel.Fields(), append(sentinel.Sentinels, sentinel.Servers...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.metadata["poolSize"] = "5"
			binding := newBinding(t, test.metadata)
			for _, failures := range []int{1, 40} {
				openConns(t, binding, 5) // they die with the server
				for _, s := range test.servers {
					s.Kill()
				}
				for range failures {
					_, err := binding.Invoke(t.Context(), request(GetOperation, "k"))
					require.ErrorIs(t, err, syscall.ECONNREFUSED)
					require.ErrorContains(t, err, "127.0.0.1:")
				}
				for _, s := range test.servers {
					s.Restart(t)
				}
				waitForServers(t, test.name, test.servers)
				invoke(t, binding, create("k", "v"))
			}
		})
	}
}

// waitForServers waits until servers that depend on each other are of one mind again.
func waitForServers(t *testing.T, kind string, servers []*redistest.Server) {
	require.Eventually(t, func() bool {
		for _, s := range servers {
			switch kind {
			case "cluster":
				if !strings.Contains(s.Do(t, "cluster", "info").(string), "cluster_state:ok") {
					return false
				}
			case "sentinels":
				reply, err := s.Client().Do(context.Background(), "role").Slice()
				if err != nil || reply[0] == "slave" && reply[3] != "connected" {
					return false
				}
			}
		}
		return true
	}, 30*time.Second, 10*time.Millisecond)
}

// A server that is silent is an error within the time-outs.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, map[string]string{"redisHost": srv.Addr, "readTimeout": "1s", "poolSize": "2"})
	for range 2 {
		srv.Pause()
		for range 2 {
			_, err := binding.Invoke(t.Context(), request(GetOperation, "k"))
			require.True(t, isTimeout(err), "%v", err)
		}
		srv.Resume()
		invoke(t, binding, request(GetOperation, "k"))
	}
}

// A cluster's primary that dies is replaced, and found without being told MOVED.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	setup := redistest.StartCluster(t)
	binding := newBinding(t, setup.Fields("redisMaxRetries", "2"))
	for i := range 30 {
		invoke(t, binding, create(fmt.Sprint("before", i), "v"))
	}
	setup.Servers[0].Kill()
	assert.Eventually(t, func() bool {
		for i := range 30 {
			if _, err := binding.Invoke(context.Background(), create(fmt.Sprint("after", i), "v")); err != nil {
				return false
			}
		}
		return true
	}, 30*time.Second, 50*time.Millisecond)
}

// A context ends a call to a silent server, on every kind of client.
func TestContextEndsInvoke(t *testing.T) {
	t.Parallel()
	for _, setup := range []*redistest.Setup{
		{Name: "plain", Metadata: map[string]string{}, Servers: []*redistest.Server{redistest.Start(t)}},
		redistest.StartCluster(t), redistest.StartSentinel(t),
	} {
		t.Run(setup.Name, func(t *testing.T) {
			t.Parallel()
			fields := setup.Fields("readTimeout", long, "writeTimeout", long, "poolTimeout", long, "dialTimeout", long, "poolSize", "2")
			if setup.Name == "plain" {
				fields["redisHost"] = setup.Servers[0].Addr
			}
			binding := newBinding(t, fields)
			invoke(t, binding, create("k", "v"))
			for _, s := range setup.Servers {
				s.Pause()
			}
			defer func() {
				for _, s := range setup.Servers {
					s.Resume()
				}
			}()
			// More callers than connections: some wait for a reply, others for a connection.
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					want := context.Canceled
					if i%2 == 0 {
						time.AfterFunc(20*time.Millisecond, cancel)
					} else {
						ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
						defer cancel()
						want = context.DeadlineExceeded
					}
					resp, err := binding.Invoke(ctx, request(IncrementOperation, "n"))
					assert.ErrorIs(t, err, want)
					assert.True(t, strings.HasPrefix(fmt.Sprint(err), "redisbinding: increment: context "), "%v", err)
					assert.Nil(t, resp)
				})
			}
			soon(t, wg.Wait)
		})
	}
}

// What a caller does with its data after Invoke has returned never reaches the server.
func TestDataMayBeReusedAfterCancellation(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, unhurried(srv))
	data := bytes.Repeat([]byte{'a'}, 32<<20) // more than the buffers between here and there can take
	srv.Pause()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for busy(binding) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := binding.Invoke(ctx, &InvokeRequest{Operation: CreateOperation, Data: data, Metadata: map[string]string{"key": "k"}})
	require.ErrorIs(t, err, context.Canceled)
	for i := range data {
		data[i] = 'b'
	}
	srv.Resume()
	assert.Nil(t, invoke(t, binding, request(GetOperation, "k")).Data, "what was not sent completely is dropped with its connection")
}

// busy counts the connections that are being written to, or read from.
func busy(binding *RedisBinding) (n int) {
	for _, c := range binding.client.dialer.conns.all() {
		if c.busy.Load() > 0 {
			n++
		}
	}
	return n
}

// Connections that the server has closed are noticed before a command is lost on them.
func TestServerClosesIdleConnections(t *testing.T) {
	t.Parallel()
	for _, setup := range []*redistest.Setup{redistest.Plain(t), redistest.TLS(t)} {
		binding := newBinding(t, setup.Fields())
		for range 3 {
			openConns(t, binding, 3)
			setup.Servers[0].Do(t, "client", "kill", "type", "normal", "skipme", "yes")
			invoke(t, binding, request(IncrementOperation, "closed"))
		}
	}
}

// A command whose reply is lost has been carried out: sent again, it would lose
// a value or count twice.
func TestNeverTwice(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--rename-command", "GETDEL", ""}} {
		srv := redistest.Start(t, args...)
		proxy := redistest.StartProxy(t, srv)
		binding := newBinding(t, map[string]string{"redisHost": proxy.Addr, "redisMaxRetries": "5",
			"redisMinRetryInterval": "1ms", "redisMaxRetryInterval": "1ms"})
		invoke(t, binding, create("k", "v"))
		invoke(t, binding, request(GetOperation, "none", "delete", "1")) // learns whether there is GETDEL
		getDel := "getdel"
		if args != nil {
			getDel = "eval"
		}
		getDels, incrs := proxy.Sent(getDel), proxy.Sent("incr")
		proxy.SwallowReplies(true)

		_, err := binding.Invoke(t.Context(), request(GetOperation, "k", "delete", "true"))
		require.Error(t, err, "not an empty success")
		assert.Equal(t, getDels+1, proxy.Sent(getDel))
		evals := proxy.Sent("eval")

		_, err = binding.Invoke(t.Context(), request(IncrementOperation, "n"))
		require.Error(t, err)
		assert.Equal(t, incrs+1, proxy.Sent("incr"))
		_, err = binding.Invoke(t.Context(), request(IncrementOperation, "m", "ttlInSeconds", "60"))
		require.Error(t, err)
		assert.Equal(t, evals+1, proxy.Sent("eval"))

		proxy.SwallowReplies(false)
		assert.Equal(t, "1", srv.Do(t, "get", "n"))
		assert.Equal(t, "1", srv.Do(t, "get", "m"))
	}
}

// listen serves every connection to an address in turn, until the end of the test.
func listen(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var server sync.WaitGroup
	server.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		server.Wait()
	})
	return listener.Addr().String()
}

// dialTimeout is no end of a caller's context.
func TestDialTimeoutIsNoContext(t *testing.T) {
	t.Parallel()
	hangUp := make(chan struct{})
	addr := listen(t, func(net.Conn) { <-hangUp }) // without TLS
	defer close(hangUp)
	binding := newBinding(t, map[string]string{"redisHost": addr, "enableTLS": "true", "dialTimeout": "20ms"}, WithLazyConnect())
	for range 20 {
		_, err := binding.Invoke(context.Background(), request(GetOperation, "k"))
		require.ErrorContains(t, err, "no answer within dialTimeout (20ms)")
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	}
}

// Many callers of a dead server share the attempts to connect.
func TestDeadServerIsNotHammered(t *testing.T) {
	t.Parallel()
	var accepted atomic.Int32
	hangUp := make(chan struct{}) // when closed, at once
	addr := listen(t, func(net.Conn) {
		accepted.Add(1)
		<-hangUp // without TLS
	})
	binding := newBinding(t, map[string]string{"redisHost": addr, "enableTLS": "true", "poolSize": "100"},
		WithLazyConnect(), WithoutPipelining())
	var first sync.WaitGroup
	first.Go(func() { hangUp <- struct{}{} })
	require.Error(t, binding.Ping(t.Context())) // now it is known to be down
	first.Wait()
	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() { assert.Error(t, binding.Ping(t.Context())) })
	}
	require.Eventually(t, func() bool { return binding.client.redis.PoolStats().PendingRequests == 100 }, 10*time.Second, time.Millisecond)
	close(hangUp)
	callers.Wait()
	assert.Less(t, accepted.Load(), int32(50), "of 101 calls")
}

func TestClose(t *testing.T) {
	t.Parallel()
	for _, setup := range redistest.Setups(t) {
		t.Run(setup.Name, func(t *testing.T) {
			requireNoGoroutines := redistest.WatchGoroutines(t)
			binding, err := NewRedisBinding(setup.Fields("minIdleConns", "2"))
			require.NoError(t, err)
			openConns(t, binding, 2)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() { assert.NoError(t, binding.Close()) })
			}
			wg.Wait()
			requireNoGoroutines()
			assert.Zero(t, opened(binding))

			for _, operation := range binding.Operations() {
				_, err := binding.Invoke(t.Context(), request(operation, "k"))
				assert.Equal(t, ErrClosed, err)
				_, err = binding.Invoke(context.Background(), request(operation, "k"))
				assert.Equal(t, ErrClosed, err)
			}
			assert.Equal(t, ErrClosed, binding.Ping(t.Context()))
			assert.NoError(t, binding.Close())
		})
	}
	var never RedisBinding
	assert.Equal(t, "Redis binding (closed)", never.String())
	_, err := never.Invoke(t.Context(), request(GetOperation, "k"))
	assert.Equal(t, ErrClosed, err)
	assert.Equal(t, ErrClosed, never.Ping(t.Context()))
	assert.NoError(t, never.Close())
}

func TestCloseWaitsForCalls(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, unhurried(srv))
	srv.Pause()
	calls := make(chan error, 2)
	go func() {
		_, err := binding.Invoke(context.Background(), create("k", "v"))
		calls <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		_, err := binding.Invoke(ctx, create("l", "v"))
		calls <- err
	}()
	require.Eventually(t, func() bool { return binding.client.calls.state.Load() == 2 }, 10*time.Second, time.Millisecond)
	closed := make(chan error, 1)
	go func() { closed <- binding.Close() }()
	require.Eventually(t, binding.client.calls.closed, 10*time.Second, time.Millisecond)
	_, err := binding.Invoke(t.Context(), create("m", "v"))
	assert.Equal(t, ErrClosed, err, "new calls are turned away meanwhile")
	select {
	case err := <-closed:
		t.Error("Close did not wait:", err)
	default:
	}
	srv.Resume()
	assert.NoError(t, <-calls)
	assert.NoError(t, <-calls)
	assert.NoError(t, <-closed)
	assert.Equal(t, "v", srv.Do(t, "get", "k"))
}

// A call that nothing bounds would keep Close waiting for ever.
func TestCloseCutsOffUnboundedCalls(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, unhurried(srv, "readTimeout", "-1"))
	srv.Pause()
	defer srv.Resume()
	calls := make(chan error, 2)
	for _, ctx := range []context.Context{context.Background(), t.Context()} {
		go func() {
			_, err := binding.Invoke(ctx, create("k", "v"))
			calls <- err
		}()
	}
	busy := func() bool { return binding.client.redis.PoolStats().IdleConns == 0 && opened(binding) >= 2 }
	require.Eventually(t, busy, 10*time.Second, time.Millisecond)
	assert.NoError(t, binding.Close())
	sent := 0
	for range 2 {
		err := <-calls
		assert.ErrorIs(t, err, ErrClosed)
		if !SafeToRetry(err) {
			sent++
		}
	}
	assert.Equal(t, 1, sent, "the other one waits for a new connection")
}

// A caller that has left leaves its command behind for a moment; Close ends that too.
func TestCloseEndsWhatCancelledCallsLeft(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	requireNoGoroutines := redistest.WatchGoroutines(t)
	binding, err := NewRedisBinding(unhurried(srv))
	require.NoError(t, err)
	srv.Pause()
	defer srv.Resume()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = binding.Invoke(ctx, request(GetOperation, "k"))
	require.ErrorIs(t, err, context.Canceled)
	assert.NoError(t, binding.Close())
	requireNoGoroutines()
}

// Whatever go-redis logs goes where the application wants it, or nowhere.
func TestLogRedisTo(t *testing.T) {
	defer LogRedisTo(nil)
	var info, debug lockedBuffer
	LogRedisTo(testLogger(&info))
	makeRedisLog(t)
	assert.Empty(t, info.String(), "debug is off")
	LogRedisTo(slog.New(slog.NewTextHandler(&debug, &slog.HandlerOptions{Level: slog.LevelDebug})))
	makeRedisLog(t)
	assert.Contains(t, debug.String(), "level=DEBUG msg=\"redis: connection pool: failed to dial")
}

// soon fails the test when f has not returned after far longer than it can take.
func soon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("takes too long")
	}
}

// A pause before a retry is no reason for Close to wait.
func TestCloseCutsOffRetryPauses(t *testing.T) {
	t.Parallel()
	binding := newBinding(t, map[string]string{"redisHost": "127.0.0.1:1", "readTimeout": "-1", "redisMaxRetries": "5",
		"redisMinRetryInterval": long, "redisMaxRetryInterval": long}, WithLazyConnect())
	call := make(chan error, 1)
	go func() {
		_, err := binding.Invoke(context.Background(), request(GetOperation, "k"))
		call <- err
	}()
	require.Eventually(t, func() bool { return binding.client.redis.PoolStats().Misses == 1 }, 10*time.Second, time.Millisecond)
	soon(t, func() {
		assert.NoError(t, binding.Close())
		assert.Equal(t, ErrClosed, <-call)
	})
}

// Retries are redisMaxRetries on every kind of client, at no level times those of another.
func TestRetriesDoNotMultiply(t *testing.T) {
	t.Parallel()
	for kind, most := range map[string]int32{"node": 4, "failover": 4, "cluster": 8} { // a cluster's topology is looked for meanwhile
		t.Run(kind, func(t *testing.T) {
			var accepted atomic.Int32
			addr := listen(t, func(net.Conn) { accepted.Add(1) })
			metadata := map[string]string{"redisHost": addr, "redisMaxRetries": "3", "redisMaxRetryInterval": "1ms"}
			switch kind {
			case "failover":
				metadata["failover"], metadata["sentinelMasterName"] = "true", "m"
			case "cluster":
				metadata["redisType"] = "cluster"
			}
			_, err := NewRedisBinding(metadata)
			require.Error(t, err)
			assert.LessOrEqual(t, accepted.Load(), most)
		})
	}
}

// What a server says that hangs up at once is what the error says.
func TestRefusedByServer(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, map[string]string{"redisHost": srv.Addr, "redisMaxRetries": "500", "redisMinRetryInterval": "10ms",
		"redisMaxRetryInterval": "10ms"}, WithLazyConnect())
	srv.Do(t, "config", "set", "maxclients", "1") // the admin client
	_, err := NewRedisBinding(map[string]string{"redisHost": srv.Addr})
	assert.ErrorContains(t, err, "ERR max number of clients reached (the server's maxclients is reached")
	var reply redis.Error
	assert.ErrorAs(t, err, &reply)
	// It has carried nothing out: even an increment may be tried again.
	call := make(chan error, 1)
	go func() {
		_, err := binding.Invoke(context.Background(), request(IncrementOperation, "n"))
		call <- err
	}()
	require.Eventually(t, func() bool { return len(call) > 0 || binding.client.redis.PoolStats().Misses > 3 }, 10*time.Second, time.Millisecond)
	srv.Do(t, "config", "set", "maxclients", "100")
	require.NoError(t, <-call)
	assert.Equal(t, "1", srv.Do(t, "get", "n"))

	addr := listen(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "-DENIED Redis is running in protected mode because ...\r\n")
		_, _ = c.Read(make([]byte, 1024))
	})
	_, err = NewRedisBinding(map[string]string{"redisHost": addr})
	assert.ErrorContains(t, err, "DENIED Redis is running in protected mode because ... (the server runs in protected mode: give it a password")
}

// keyed starts a server whose GET is what answer does with the key.
func keyed(t *testing.T, answer func(key string)) string {
	t.Helper()
	srv, err := server.NewServer("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	for name, reply := range map[string]func(c *server.Peer, arguments []string){
		"HELLO": func(c *server.Peer, _ []string) { c.WriteError("ERR unknown command 'HELLO'") },
		"PING":  func(c *server.Peer, _ []string) { c.WriteInline("PONG") },
		"GET":   func(c *server.Peer, arguments []string) { answer(arguments[0]); c.WriteBulk("v") },
	} {
		require.NoError(t, srv.Register(name, func(c *server.Peer, _ string, arguments []string) { reply(c, arguments) }))
	}
	return srv.Addr().String()
}

// A call that waits because all places are taken gets the first that is free.
func TestLaneGoesOnWhenAPlaceIsFree(t *testing.T) {
	t.Parallel()
	var binding *RedisBinding
	resume := make(chan struct{})
	addr := keyed(t, func(key string) {
		switch key {
		case "stuck":
			<-resume
		case "awaited": // until another call waits for it
			for binding.client.lanes.waiting() == 0 {
				time.Sleep(100 * time.Microsecond)
			}
		}
	})
	binding = newBinding(t, map[string]string{"redisHost": addr, "poolSize": "2", "poolTimeout": long, "readTimeout": long})
	binding.client.lanes.limits.patience = 100 * time.Millisecond
	binding.client.lanes.limits.trips, binding.client.lanes.limits.apart = 1, time.Hour
	var calls sync.WaitGroup
	get := func(key string) { invoke(t, binding, request(GetOperation, key)) }
	calls.Go(func() { get("stuck") })
	require.Eventually(t, func() bool { return busy(binding) == 1 }, 10*time.Second, time.Millisecond)
	for range 3 {
		soon(t, func() {
			var both sync.WaitGroup
			both.Go(func() { get("awaited") })
			require.Eventually(t, func() bool { return busy(binding) == 2 }, 10*time.Second, time.Millisecond)
			both.Go(func() { get("other") })
			both.Wait()
		})
	}
	close(resume)
	calls.Wait()
}

// Without a time-out, a connection on which nothing comes any more is given up
// together with the calls that it was for.
func TestStuckConnectionsAreGivenUp(t *testing.T) {
	t.Parallel()
	resume := make(chan struct{})
	var stuck atomic.Bool
	stuck.Store(true)
	addr := keyed(t, func(string) {
		if stuck.Load() {
			<-resume
		}
	})
	binding := newBinding(t, map[string]string{"redisHost": addr, "poolSize": "3", "readTimeout": "-1", "poolTimeout": "1s"})
	binding.client.lanes.limits.patience = 100 * time.Millisecond
	binding.client.lanes.limits.trips, binding.client.lanes.limits.apart = 1, time.Hour
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		for range 6 {
			calls.Go(func() {
				_, err := binding.Invoke(ctx, request(GetOperation, "k"))
				assert.ErrorIs(t, err, context.Canceled)
			})
		}
		require.Eventually(t, func() bool { return busy(binding) == 3 }, 10*time.Second, time.Millisecond)
		cancel()
		calls.Wait()
	}
	stuck.Store(false)
	invoke(t, binding, request(GetOperation, "k"))
	close(resume)
}
