package cache

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// checked is a client of one server, which is closed at the end of the test. The options
// may be nil.
func checked(t *testing.T, addr string, opts *redis.Options) *redis.Client {
	t.Helper()
	if opts == nil {
		opts = &redis.Options{}
	}
	opts.Addr = addr
	client := redis.NewClient(opts)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func checkedCluster(t *testing.T, setup *redistest.Setup, opts *redis.ClusterOptions) *redis.ClusterClient {
	t.Helper()
	opts.Addrs = strings.Split(setup.Metadata["redisHost"], ",")
	client := redis.NewClusterClient(opts)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func TestCheckServers(t *testing.T) {
	t.Parallel()
	t.Run("plain", func(t *testing.T) {
		assert.NoError(t, New(checked(t, redistest.Plain(t).Servers[0].Addr, nil)).HealthCheck(t.Context()))
	})
	t.Run("acl", func(t *testing.T) {
		setup := redistest.ACL(t)
		opts := &redis.Options{Username: setup.Metadata["redisUsername"], Password: setup.Metadata["redisPassword"]}
		assert.NoError(t, New(checked(t, setup.Servers[0].Addr, opts)).HealthCheck(t.Context()))
		opts = &redis.Options{Username: setup.Metadata["redisUsername"], Password: "wrong-password"}
		err := New(checked(t, setup.Servers[0].Addr, opts)).HealthCheck(t.Context())
		require.ErrorContains(t, err, "cache: health: WRONGPASS ")
		assert.NotContains(t, err.Error(), "wrong-password")
	})
	t.Run("cluster", func(t *testing.T) {
		assert.NoError(t, New(checkedCluster(t, redistest.Cluster(t), &redis.ClusterOptions{})).HealthCheck(t.Context()))
	})
	t.Run("another client", func(t *testing.T) {
		ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": redistest.Plain(t).Servers[0].Addr}})
		defer func() { assert.NoError(t, ring.Close()) }()
		assert.NoError(t, New(ring).HealthCheck(t.Context()))
	})
}

func TestCheckServersThatAreDown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := checked(t, server.Addr, &redis.Options{DialerRetries: 1})
	require.NoError(t, New(client).HealthCheck(t.Context()))
	server.Kill()
	err := New(client).HealthCheck(t.Context())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.ErrorContains(t, err, "cache: health: ")
	server.Restart(t)
	assert.NoError(t, New(client).HealthCheck(t.Context()))
}

// A server repeats arguments of what it does not know. PING has none, but the end of the
// text shows that it would have been cut off.
func TestCheckServersRedacts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--rename-command", "PING", "")
	err := New(checked(t, server.Addr, nil)).HealthCheck(t.Context())
	assert.EqualError(t, err, "cache: health: ERR unknown command 'ping'")
	var reply redis.Error
	assert.ErrorAs(t, err, &reply)
}

func TestCheckServersObeysItsContext(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := checked(t, server.Addr, &redis.Options{ReadTimeout: -1, WriteTimeout: -1})
	require.NoError(t, New(client).HealthCheck(t.Context())) // there is a connection
	server.Pause()
	defer server.Resume()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := New(client).HealthCheck(ctx)
	var network net.Error
	assert.True(t, errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout(), err)

	ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
	go cancel()
	assert.ErrorIs(t, New(client).HealthCheck(ctx), context.Canceled)
}

func TestCheckServersObeysItsContextInClusters(t *testing.T) {
	t.Parallel()
	setup := redistest.StartCluster(t)
	client := checkedCluster(t, setup, &redis.ClusterOptions{ReadTimeout: -1})
	require.NoError(t, New(client).HealthCheck(t.Context()))
	setup.Pause()
	defer setup.Resume()
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	assert.ErrorIs(t, New(client).HealthCheck(ctx), context.Canceled)
}

// What is left behind by a check comes to its end, even when the server never says
// anything and nothing but the check has a time-out.
func TestCheckServersLeavesNothingForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails when a goroutine stays
		heard := make(chan struct{}, 100)
		client := redis.NewClient(&redis.Options{
			Addr:        "127.0.0.1:6379", // no name: go-redis looks it up, and net keeps its resolver beyond the bubble
			ReadTimeout: -1, WriteTimeout: -1, MaxRetries: -1, DisableIdentity: true, Protocol: 2,
			Dialer: func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				go func() {
					for _, err := far.Read(make([]byte, 100)); err == nil; _, err = far.Read(make([]byte, 100)) {
						heard <- struct{}{}
					}
				}()
				return near, nil
			},
		})
		start := time.Now()
		assert.Error(t, New(client).HealthCheck(context.Background()))
		<-heard
		assert.Equal(t, DefaultHealthTimeout, time.Since(start), "without a deadline")

		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		go func() {
			<-heard // it waits for the answer
			cancel()
		}()
		assert.ErrorIs(t, New(client).HealthCheck(ctx), context.Canceled)
		assert.Equal(t, DefaultHealthTimeout, time.Since(start), "no time has passed")
		time.Sleep(2 * time.Minute) // what was left behind closes its connection
		synctest.Wait()
		require.Zero(t, client.PoolStats().TotalConns)
		require.NoError(t, client.Close())
	})
}

func TestCheckServersOfABrokenCluster(t *testing.T) {
	t.Parallel()
	setup := redistest.StartCluster(t)
	client := checkedCluster(t, setup, &redis.ClusterOptions{DialerRetries: 1, ReadTimeout: 50 * time.Millisecond})
	require.NoError(t, New(client).HealthCheck(t.Context()))

	primary, other := setup.Servers[0], setup.Servers[1]
	primary.Do(t, "CLUSTER", "DELSLOTS", "0")
	var err error
	require.Eventually(t, func() bool {
		err = New(client).HealthCheck(t.Context())
		return err != nil
	}, 10*time.Second, time.Millisecond)
	assert.EqualError(t, err, "cache: health: "+primary.Addr+": it says cluster_state:fail", "the others do not know yet")

	// Silent nodes are named, until the cluster itself takes them for gone.
	other.Pause()
	defer other.Resume()
	require.Eventually(t, func() bool {
		err = New(client).HealthCheck(t.Context())
		return strings.Contains(err.Error(), other.Addr+": ")
	}, 10*time.Second, time.Millisecond)
	assert.ErrorContains(t, err, primary.Addr+": it says cluster_state:fail")
}

func TestCheckServersOfAnEmptyCluster(t *testing.T) {
	t.Parallel()
	client := redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) { return nil, nil },
	})
	defer func() { assert.NoError(t, client.Close()) }()
	assert.EqualError(t, New(client).HealthCheck(t.Context()), "cache: health: the cluster has no nodes that serve slots")

	server := redistest.Start(t)                                             // knows nothing of clusters
	nodes := []redis.ClusterNode{{Addr: server.Addr}, {Addr: "127.0.0.1:1"}} // a primary and a replica
	client = redis.NewClusterClient(&redis.ClusterOptions{
		DialerRetries: 1,
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{End: 16383, Nodes: nodes}}, nil
		},
	})
	defer func() { assert.NoError(t, client.Close()) }()
	err := New(client).HealthCheck(t.Context())
	assert.ErrorContains(t, err, ":"+server.Port+": ERR This instance has cluster support disabled")
	assert.ErrorContains(t, err, ":1: dial tcp ")
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
}

// A hook of the client, say, may panic where nobody could recover it.
func TestCheckServersPanic(t *testing.T) {
	t.Parallel()
	client := checked(t, "127.0.0.1:1", &redis.Options{
		CredentialsProvider: func() (string, string) { panic("no credentials") },
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			near, _ := net.Pipe()
			return near, nil
		},
	})
	assert.EqualError(t, New(client).HealthCheck(t.Context()), "cache: health: panic: no credentials")
}
