package redisbinding

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// Every field of the table has a test here of what it does to a real client, or
// of doing nothing where it says so. Where a field bounds something, all other
// bounds are a minute or none, so that nothing else can have ended the wait.

// long is a time-out that no test waits for.
const long = "1m"

// bounds that cannot be what ends a wait, with more fields as needed.
func unhurried(srv *redistest.Server, more ...string) map[string]string {
	metadata := map[string]string{"redisHost": srv.Addr, "dialTimeout": long, "readTimeout": long, "writeTimeout": long, "poolTimeout": long}
	for i := 0; i < len(more); i += 2 {
		metadata[more[i]] = more[i+1]
	}
	return metadata
}

// Every field, with a value that means something, on every kind of server.
func TestEveryFieldOnEverySetup(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"redisPort": "", "redisDB": "2", "redisMaxRetries": "2", "redisMinRetryInterval": "1ms", "redisMaxRetryInterval": "20ms",
		"dialTimeout": "4s", "readTimeout": "4s", "writeTimeout": "4s", "poolSize": "3", "poolTimeout": "4s", "maxConnAge": "1m",
		"minIdleConns": "2", "idleCheckFrequency": "10ms", "idleTimeout": "30s", "ttlInSeconds": "100", "redeliverInterval": "30s",
		"processingTimeout": "0", "azureEnvironment": "AzurePublicCloud", "azureTenantID": "t", "azureClientID": "c", "useEntraID": "false",
		"azureRedisScope": "s", "azureObjectID": "o", "pipelining": "OFF",
	}
	for _, setup := range redistest.Setups(t) {
		t.Run(setup.Name, func(t *testing.T) {
			t.Parallel()
			for field, value := range values {
				t.Run(field, func(t *testing.T) {
					fields := setup.Fields(field, value)
					if field == "redisPort" { // for addresses without a port; sentinels and nodes have several
						if len(setup.Servers) > 1 {
							fields["redisHost"], _, _ = strings.Cut(fields["redisHost"], ",")
						}
						host, port, _ := strings.Cut(fields["redisHost"], ":")
						fields["redisHost"], fields["redisPort"] = host, port
					}
					if field == "redisDB" && setup.Name == "acl" {
						setup.Servers[0].Do(t, "acl", "setuser", fields["redisUsername"], "+select")
						defer setup.Servers[0].Do(t, "acl", "setuser", fields["redisUsername"], "-select")
					}
					binding := newBinding(t, fields)
					key := strings.ReplaceAll(t.Name(), "/", ":")
					invoke(t, binding, create(key, "41"))
					assert.Equal(t, "42", string(invoke(t, binding, request(IncrementOperation, key)).Data))
					assert.Equal(t, "42", string(invoke(t, binding, request(GetOperation, key)).Data))
					invoke(t, binding, request(DeleteOperation, key))
					assert.Nil(t, invoke(t, binding, request(GetOperation, key, "delete", "1")).Data)
				})
			}
			// The rest is what makes the set-up, and the fields whose tests are below.
			for _, field := range fieldNames {
				_, tried := values[field]
				_, setsUp := setup.Metadata[field]
				elsewhere := []string{"redisType", "failover", "redisUsername", "redisPassword", "sentinelMasterName",
					"sentinelUsername", "sentinelPassword", "enableTLS", "caCert", "serverName", "insecureSkipTLSVerify", "clientCert",
					"clientKey", "azureClientSecret", "azureCertificate", "azureCertificateFile", "azureCertificatePassword"}
				assert.True(t, tried || setsUp || slices.Contains(elsewhere, field), "%s is not tried", field)
			}
		})
	}
}

func TestFieldRedisHostIPv6(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--bind", "127.0.0.1", "::1")
	for _, metadata := range []map[string]string{
		{"redisHost": "[::1]:" + srv.Port},
		{"redisHost": "[::1]", "redisPort": srv.Port},
		{"redisHost": "::1", "redisPort": srv.Port},
	} {
		require.NoError(t, newBinding(t, metadata).Ping(t.Context()), metadata)
	}
}

func TestFieldRedisHostSeveral(t *testing.T) {
	t.Parallel()
	// The first addresses may be dead.
	for _, setup := range []*redistest.Setup{redistest.Cluster(t), redistest.Sentinel(t)} {
		binding := newBinding(t, setup.Fields("redisHost", "127.0.0.1:1,127.0.0.1:2,"+setup.Metadata["redisHost"]))
		for range 20 {
			require.NoError(t, binding.Ping(t.Context()))
		}
		invoke(t, binding, create("several", setup.Name))
	}
}

func TestFieldRedisUsername(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--user", "app", "on", ">pw", "~*", "+get", "+ping", "--requirepass", "admin")
	newBinding(t, map[string]string{"redisHost": srv.Addr, "redisUsername": "app", "redisPassword": "pw"})
	assert.Contains(t, clientsOf(t, srv)[0], "user=app")
	// Without one it is the user "default".
	newBinding(t, map[string]string{"redisHost": srv.Addr, "redisPassword": "admin"})
	assert.Contains(t, strings.Join(clientsOf(t, srv), ""), "user=default")
}

func TestFieldSentinelUsername(t *testing.T) {
	t.Parallel()
	redistest.Requires(t, "6.2", "an ACL user of a sentinel")
	setup := redistest.Sentinel(t)
	for _, s := range setup.Sentinels {
		s.Do(t, "acl", "setuser", "watcher", "on", ">pw", "allchannels", "+@all")
		defer s.Do(t, "acl", "deluser", "watcher")
	}
	newBinding(t, setup.Fields("sentinelUsername", "watcher", "sentinelPassword", "pw"))
	assert.Eventually(t, func() bool {
		for _, s := range setup.Sentinels {
			if strings.Contains(strings.Join(clientsOf(t, s), ""), "user=watcher") {
				return true // the subscription
			}
		}
		return false
	}, 10*time.Second, time.Millisecond)
}

func TestFieldsTLS(t *testing.T) {
	t.Parallel()
	setup := redistest.TLS(t) // wants a client certificate, is at 127.0.0.1, its CA is a private one
	certs := redistest.NewCertificates(t)
	invoke(t, newBinding(t, setup.Fields()), create("tls", "v"))
	// serverName is verified in place of the host.
	invoke(t, newBinding(t, setup.Fields("serverName", "localhost")), create("tls", "v"))
	// insecureSkipTLSVerify accepts what serverName and caCert would refuse.
	invoke(t, newBinding(t, setup.Fields("insecureSkipTLSVerify", "true", "serverName", "elsewhere", "caCert", string(certs.OtherCA))),
		create("tls", "v"))
	// Without caCert it is the system's CAs that count, and they do not know this one.
	_, err := NewRedisBinding(setup.Fields("caCert", ""))
	assert.ErrorContains(t, err, "set caCert to the CA that signed the server's certificate")
	// A certificate from another CA is refused by the server.
	_, err = NewRedisBinding(setup.Fields("clientCert", string(certs.Cert), "clientKey", string(certs.Key)))
	assert.Error(t, err)
}

func TestFieldRedisDB(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	invoke(t, newBinding(t, map[string]string{"redisHost": srv.Addr, "redisDB": "3"}), create("k", "v"))
	assert.Contains(t, srv.Do(t, "info", "keyspace"), "db3:keys=1")
	_, err := NewRedisBinding(map[string]string{"redisHost": srv.Addr, "redisDB": "99"})
	assert.ErrorContains(t, err, "DB index is out of range")
	// Ignored with redisType cluster, behind sentinels too.
	setup := redistest.Sentinel(t)
	setup.FlushAll(t)
	invoke(t, newBinding(t, setup.Fields("redisDB", "3", "redisType", "cluster")), create("k", "v"))
	assert.Contains(t, setup.Servers[0].Do(t, "info", "keyspace"), "db0:keys=1")
}

func TestFieldRedisMaxRetries(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv)
	for _, retries := range []int{0, 3} {
		binding := newBinding(t, map[string]string{"redisHost": proxy.Addr, "redisMaxRetries": strconv.Itoa(retries),
			"redisMinRetryInterval": "-1", "redisMaxRetryInterval": "-1"})
		proxy.SwallowReplies(true)
		for command, req := range map[string]*InvokeRequest{"set": create("k", "v"), "get": request(GetOperation, "k"), "del": request(DeleteOperation, "k")} {
			before := proxy.Sent(command)
			_, err := binding.Invoke(t.Context(), req)
			require.Error(t, err)
			assert.Equal(t, retries+1, proxy.Sent(command)-before, "%s with redisMaxRetries %d", command, retries)
		}
		proxy.SwallowReplies(false)
	}
}

// A server that says it will be able to soon gets even an increment again.
func TestFieldRedisMaxRetriesAfterRefusal(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv)
	binding := newBinding(t, map[string]string{"redisHost": proxy.Addr, "redisMaxRetries": "50",
		"redisMinRetryInterval": "20ms", "redisMaxRetryInterval": "20ms"})
	srv.Do(t, "replicaof", "127.0.0.1", "1") // a replica refuses writes: READONLY
	done := make(chan error, 1)
	go func() {
		_, err := binding.Invoke(context.Background(), request(IncrementOperation, "n"))
		done <- err
	}()
	require.Eventually(t, func() bool { return proxy.Sent("incr") >= 3 }, 10*time.Second, time.Millisecond)
	srv.Do(t, "replicaof", "no", "one")
	require.NoError(t, <-done)
	assert.Equal(t, "1", srv.Do(t, "get", "n"))
}

func TestFieldsRetryInterval(t *testing.T) {
	t.Parallel()
	c := &client{minPause: 10 * time.Millisecond, maxPause: 60 * time.Millisecond}
	for attempt, ms := range []int{10, 20, 40, 60, 60} {
		want := time.Duration(ms) * time.Millisecond
		for range 100 {
			got := c.backoff(attempt)
			assert.GreaterOrEqual(t, got, want)
			assert.LessOrEqual(t, got, min(want*3/2, c.maxPause))
		}
	}
	assert.Equal(t, 60*time.Millisecond, c.backoff(1000))
	assert.Zero(t, (&client{}).backoff(3), `"-1" is no pause`)

	// On a real client: five pauses cannot take less than they add up to.
	binding := newBinding(t, map[string]string{"redisHost": "127.0.0.1:1", "redisMaxRetries": "5",
		"redisMinRetryInterval": "10ms", "redisMaxRetryInterval": "20ms"}, WithLazyConnect())
	start := time.Now()
	_, err := binding.Invoke(t.Context(), request(IncrementOperation, "k"))
	require.Error(t, err)
	assert.GreaterOrEqual(t, time.Since(start), 90*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = binding.Invoke(ctx, request(GetOperation, "k"))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestFieldDialTimeout(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	secure, certs := redistest.StartTLS(t)
	srv.Pause() // takes connections and says nothing
	secure.Pause()
	defer srv.Resume()
	defer secure.Resume()
	// It bounds all of the start...
	_, err := NewRedisBinding(unhurried(srv, "dialTimeout", "50ms"))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "check redisHost")
	// ...and connecting, TLS included.
	binding := newBinding(t, unhurried(secure, "dialTimeout", "500ms", "enableTLS", "1", "caCert", string(certs.CA),
		"clientCert", string(certs.Cert), "clientKey", string(certs.Key)), WithLazyConnect())
	_, err = binding.Invoke(t.Context(), request(GetOperation, "k"))
	assert.ErrorContains(t, err, "TLS handshake with "+secure.Addr+": no answer within dialTimeout (500ms)")
	assert.True(t, isTimeout(err))
	assert.NotErrorIs(t, err, context.DeadlineExceeded, "no context has ended")
	// -1 has no meaning for it; see TestMetadataValidations.
}

func TestFieldReadTimeout(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, unhurried(srv, "readTimeout", "500ms"))
	patient := newBinding(t, unhurried(srv, "readTimeout", "-1"))
	srv.Pause()
	done := make(chan error, 1)
	go func() {
		_, err := patient.Invoke(context.Background(), request(GetOperation, "k"))
		done <- err
	}()
	_, err := binding.Invoke(context.Background(), request(GetOperation, "k"))
	assert.True(t, isTimeout(err), "%v", err)
	assert.ErrorContains(t, err, srv.Addr)
	_, err = binding.Invoke(t.Context(), request(GetOperation, "k"))
	assert.True(t, isTimeout(err), "%v", err)
	select {
	case err := <-done:
		t.Error("readTimeout -1 timed out:", err)
	default:
	}
	srv.Resume()
	assert.NoError(t, <-done)
}

func TestFieldWriteTimeout(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, unhurried(srv, "writeTimeout", "50ms"))
	srv.Pause()
	defer srv.Resume()
	// More than the buffers between here and there can take.
	_, err := binding.Invoke(t.Context(), create("k", strings.Repeat("v", 64<<20)))
	assert.True(t, isTimeout(err), "%v", err)
}

// occupy has n calls wait for a server that is paused, until the test resumes it.
func occupy(t *testing.T, binding *RedisBinding, n int) (wait func()) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			_, err := binding.Invoke(context.Background(), request(GetOperation, "k"))
			assert.NoError(t, err)
		})
	}
	return wg.Wait
}

func TestFieldPoolSize(t *testing.T) {
	t.Parallel()
	for _, pipelining := range []string{PipeliningAuto, PipeliningOff} {
		t.Run(pipelining, func(t *testing.T) {
			srv := redistest.Start(t)
			binding := newBinding(t, unhurried(srv, "poolSize", "3", "pipelining", pipelining))
			srv.Pause()
			wait := occupy(t, binding, 20)
			require.Eventually(t, func() bool { return busy(binding) == 3 }, 10*time.Second, time.Millisecond)
			srv.Resume()
			wait()
			assert.Len(t, clientsOf(t, srv), 3)
		})
	}
}

func TestFieldPoolTimeout(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, unhurried(srv, "poolSize", "1", "poolTimeout", "20ms"))
	srv.Pause()
	wait := occupy(t, binding, 1)
	require.Eventually(t, func() bool { return binding.client.redis.PoolStats().IdleConns == 0 }, 10*time.Second, time.Millisecond)
	_, err := binding.Invoke(t.Context(), request(GetOperation, "k"))
	assert.ErrorIs(t, err, redis.ErrPoolTimeout)
	assert.ErrorContains(t, err, "(all connections were busy for poolTimeout: raise poolSize or poolTimeout)")
	srv.Resume()
	wait()
}

// A connection idle for longer than idleTimeout is not used, even when no check has come by.
func TestFieldIdleTimeoutBetweenChecks(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	for _, frequency := range []string{long, "-1"} {
		binding := newBinding(t, unhurried(srv, "idleTimeout", "20ms", "idleCheckFrequency", frequency))
		first := binding.client.redis.PoolStats().Misses
		pause := time.Millisecond
		assert.Eventually(t, func() bool {
			time.Sleep(pause) // between uses, ever longer
			pause *= 2
			invoke(t, binding, request(GetOperation, "k"))
			return binding.client.redis.PoolStats().Misses > first
		}, 10*time.Second, time.Millisecond)
	}
}

func TestFieldMaxConnAge(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	for _, test := range []struct {
		age      string
		replaced bool
	}{{"10ms", true}, {"0", false}} {
		binding := newBinding(t, unhurried(srv, "maxConnAge", test.age))
		first := binding.client.redis.PoolStats().Misses
		opened := func() bool {
			invoke(t, binding, request(GetOperation, "k"))
			return binding.client.redis.PoolStats().Misses > first
		}
		if test.replaced {
			assert.Eventually(t, opened, 10*time.Second, time.Millisecond)
			continue
		}
		for range 20 {
			assert.False(t, opened())
		}
	}
}

func TestFieldMinIdleConns(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	newBinding(t, unhurried(srv, "minIdleConns", "3"), WithLazyConnect())
	assert.Eventually(t, func() bool { return len(clientsOf(t, srv)) == 3 }, 10*time.Second, time.Millisecond)
}

func TestFieldsIdle(t *testing.T) {
	t.Parallel()
	for _, target := range targets(t) {
		if target.name == "miniredis" || strings.Contains(target.name, "sentinel") {
			continue // the sentinels have a test of their own
		}
		t.Run(target.name, func(t *testing.T) {
			t.Parallel()
			const conns = 6
			open := func(more map[string]string) *RedisBinding {
				metadata := maps.Clone(target.metadata)
				maps.Copy(metadata, more)
				metadata["poolSize"] = strconv.Itoa(conns)
				binding := newBinding(t, metadata)
				openConns(t, binding, conns)
				return binding
			}
			reaped := open(map[string]string{"idleTimeout": "50ms", "idleCheckFrequency": "5ms"})
			kept := open(map[string]string{"idleTimeout": "50ms", "idleCheckFrequency": "5ms", "minIdleConns": "2"})
			forEver := open(map[string]string{"idleTimeout": "-1", "idleCheckFrequency": "5ms"})
			unchecked := open(map[string]string{"idleTimeout": "50ms", "idleCheckFrequency": "-1"})
			before := opened(unchecked)
			assert.Eventually(t, func() bool { return opened(reaped) == 0 }, 10*time.Second, time.Millisecond)
			assert.Eventually(t, func() bool {
				for _, n := range openedByAddr(kept) {
					if n != 2 {
						return false
					}
				}
				return opened(kept) > 0
			}, 10*time.Second, time.Millisecond)
			// What is kept is used.
			misses := kept.client.redis.PoolStats().Misses
			invoke(t, kept, create("after", "v"))
			assert.Equal(t, misses, kept.client.redis.PoolStats().Misses)
			assert.GreaterOrEqual(t, opened(forEver), conns)
			assert.Equal(t, before, opened(unchecked))
			// Nothing of it keeps a call from working.
			for _, binding := range []*RedisBinding{reaped, kept, forEver, unchecked} {
				invoke(t, binding, create("after", "v"))
			}
		})
	}
}

// opened counts the binding's open connections.
func opened(binding *RedisBinding) (n int) {
	for _, conns := range openedByAddr(binding) {
		n += conns
	}
	return n
}

func openedByAddr(binding *RedisBinding) map[string]int {
	conns := binding.client.dialer.conns
	conns.mu.Lock()
	defer conns.mu.Unlock()
	n := map[string]int{}
	for c := range conns.open {
		n[c.addr]++
	}
	return n
}

// openConns has the binding open n connections, by so many commands that meet,
// each with one of its own.
func openConns(t *testing.T, binding *RedisBinding, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		var wg sync.WaitGroup
		for i := range 4 * n {
			wg.Go(func() {
				_ = binding.client.redis.Set(context.Background(), fmt.Sprint("open", i), "v", 0).Err() // may wait too long for a connection
			})
		}
		wg.Wait()
		return opened(binding) >= n
	}, 10*time.Second, time.Millisecond)
}

// The subscription to a sentinel is no idle connection.
func TestFieldsIdleSparesTheSentinelSubscription(t *testing.T) {
	t.Parallel()
	setup := redistest.Sentinel(t)
	binding := newBinding(t, setup.Fields("idleTimeout", "50ms", "idleCheckFrequency", "5ms"))
	subscriptions := func() (ids []string) {
		for _, s := range setup.Sentinels {
			for _, line := range clientsOf(t, s) {
				otherUser := strings.Contains(line, " user=") && !strings.Contains(line, " user=default")
				if strings.Contains(line, " sub=1 ") && !otherUser { // before Redis 6.0 it names none
					id, _, _ := strings.Cut(line, " ")
					ids = append(ids, s.Addr+id)
				}
			}
		}
		return ids
	}
	var before []string
	require.Eventually(t, func() bool { before = subscriptions(); return len(before) > 0 }, 10*time.Second, 10*time.Millisecond)
	assert.Eventually(t, func() bool { return opened(binding) == 0 }, 10*time.Second, time.Millisecond)
	for _, id := range before {
		assert.Contains(t, subscriptions(), id)
	}
	invoke(t, binding, create("after", "v"))
}

func TestFieldTTLInSeconds(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, unhurried(srv, "ttlInSeconds", "100"))
	invoke(t, binding, create("k", "v"))
	assertTTL(t, srv.Client(), "k", 100*time.Second)
	invoke(t, binding, create("k", "v", "ttlInSeconds", "1h"))
	assertTTL(t, srv.Client(), "k", time.Hour)
	invoke(t, binding, request(IncrementOperation, "n"))
	assert.EqualValues(t, -1, srv.Do(t, "pttl", "n"))
}

func TestFieldsWithoutEffect(t *testing.T) {
	t.Parallel()
	without := mustParse(t, localhost()).UniversalOptions()
	for _, field := range []string{"redeliverInterval", "processingTimeout", "azureTenantID", "azureClientID",
		"azureRedisScope", "azureObjectID"} {
		assert.Equal(t, without, mustParse(t, localhost(field, "7s")).UniversalOptions(), field)
	}
}
