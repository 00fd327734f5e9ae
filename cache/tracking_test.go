package cache

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// When nobody tells of changes nothing is kept: after a lost connection, and where
// Redis cannot.
func TestChangesThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	logger, log := testLogger()
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: time.Minute}) // which nothing waits for
	t.Cleanup(func() { _ = client.Close() })
	c := newLocalCache(t, client, WithLogger(logger))
	keep(t, c, "key", EntryOptions{})
	for range 3 {
		server.Do(t, "CLIENT", "KILL", "TYPE", "pubsub")
		requireDropped(t, c, "key")
		requireTracking(t, c)
		keep(t, c, "key", EntryOptions{})
	}
	server.Do(t, "FLUSHALL")
	requireDropped(t, c, "key")
	requireTracking(t, c)

	keep(t, c, "key", EntryOptions{})
	server.Pause() // a connection that is silent
	requireDropped(t, c, "key")
	server.Resume()
	requireTracking(t, c)
	assert.Contains(t, log.String(), "no value is kept in process, because changes in Redis cannot be followed")
	assert.Contains(t, log.String(), "values are kept in process")

	logger, log = testLogger()
	inMemory := newTestCache(t, clientOf(t, miniredis.RunT(t).Addr()), WithLocal(1<<20), WithLogger(logger))
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "cannot be followed") }, soon, time.Millisecond)
	for range 2 {
		value, err := inMemory.GetOrCreate(t.Context(), "key", constant("v"), EntryOptions{})
		require.NoError(t, err)
		assert.Equal(t, "v", string(value))
	}

	logger, log = testLogger()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": server.Addr}})
	defer func() { _ = ring.Close() }()
	newTestCache(t, ring, WithLocal(1<<20), WithLogger(logger))
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "*redis.Ring") }, soon, time.Millisecond)
}

// A client with go-redis's defaults changes its own options at its first connection;
// the race detector tells when they are read meanwhile.
func TestClientThatIsStillConnecting(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr
	for range 50 {
		client := redis.NewClient(&redis.Options{Addr: addr})
		c := New(client, WithLocal(1<<20))
		var calls sync.WaitGroup
		for i := range 4 {
			calls.Go(func() {
				_, err := c.GetOrCreate(t.Context(), strconv.Itoa(i), constant("v"), EntryOptions{})
				assert.NoError(t, err)
			})
		}
		calls.Wait()
		require.NoError(t, c.Close())
		require.NoError(t, client.Close())
	}
}

// After a failover the new primary is the one that tells of changes.
func TestFailoverIsFollowed(t *testing.T) {
	t.Parallel()
	setup := redistest.StartSentinel(t)
	client := universal(t, setup)
	c := newLocalCache(t, client)
	keep(t, c, "key", EntryOptions{})
	setup.Servers[0].Pause() // it does not know yet, and tells nothing
	defer setup.Servers[0].Resume()
	require.Eventually(t, func() bool {
		_, err := client.Set(t.Context(), "other", "1", 0).Result()
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	requireTracking(t, c)
	keep(t, c, "key", EntryOptions{})
	require.NoError(t, client.Del(t.Context(), "key").Err())
	requireDropped(t, c, "key")
}

// While a slot moves to a node that has none yet, what is written there is heard, too.
func TestSlotThatMovesToAnEmptyNode(t *testing.T) {
	t.Parallel()
	setup := redistest.StartCluster(t)
	extra := redistest.Start(t, "--cluster-enabled", "yes")
	host, port, err := net.SplitHostPort(extra.Addr)
	require.NoError(t, err)
	ctx := t.Context()
	const key = "key"
	writer := universal(t, setup).(*redis.ClusterClient)
	node, err := writer.MasterForKey(ctx, key)
	require.NoError(t, err)
	var source *redistest.Server
	for _, server := range setup.Servers {
		if server.Addr == node.Options().Addr {
			source = server
		}
	}
	require.NotNil(t, source)
	c := newLocalCache(t, universal(t, setup))
	require.NoError(t, c.Set(ctx, key, []byte("old"), EntryOptions{}))
	slot, sourceID, extraID := source.Do(t, "CLUSTER", "KEYSLOT", key), source.Do(t, "CLUSTER", "MYID"), extra.Do(t, "CLUSTER", "MYID")
	source.Do(t, "CLUSTER", "MEET", host, port)
	require.Eventually(t, func() bool {
		for _, server := range setup.Servers {
			nodes := server.Do(t, "CLUSTER", "NODES").(string)
			if emptyPrimary(lineOfNode(nodes, extraID.(string))) != extra.Addr {
				return false
			}
		}
		return strings.Contains(extra.Do(t, "CLUSTER", "INFO").(string), "cluster_state:ok")
	}, time.Minute, 10*time.Millisecond, "the node does not join")

	extra.Do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID)
	source.Do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", extraID)
	source.Do(t, "MIGRATE", host, port, key, 0, 5000)
	keep(t, c, key, EntryOptions{})
	require.NoError(t, writer.HSet(ctx, key, "data", "new").Err())
	require.Eventually(t, func() bool {
		kept := c.local.get(key)
		return kept == nil || string(kept.value) != "old"
	}, soon, time.Millisecond)
}

// lineOfNode returns the line of a node in CLUSTER NODES.
func lineOfNode(nodes, id string) string {
	for line := range strings.Lines(nodes) {
		if strings.HasPrefix(line, id) {
			return line
		}
	}
	return ""
}

// The lines of CLUSTER NODES that tell of a primary without slots.
func TestEmptyPrimary(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"07c3 127.0.0.1:30004@31004,host.example master - 0 1426238317239 4 connected":                "127.0.0.1:30004",
		"07c3 [::1]:30004@31004 myself,master - 0 0 4 connected [93-<-292f8b]":                        "[::1]:30004",
		"07c3 127.0.0.1:30004@31004 master - 0 1426238317239 4 connected 0-5460":                      "",
		"07c3 127.0.0.1:30004@31004 myself,master - 0 1426238317239 4 connected 5461 [5461->-292f8b]": "",
		"07c3 127.0.0.1:30004@31004 slave e7d1 0 1426238317239 4 connected":                           "",
		"07c3 127.0.0.1:30004@31004 master,fail - 1426238317239 1426238317239 4 disconnected":         "",
		"07c3 127.0.0.1:30004@31004 master,fail - 0 1426238317239 4 connected":                        "",
		"07c3 :0@0 master,noaddr - 0 1426238317239 4 connected":                                       "",
		"07c3 :30004@31004 myself,master - 0 0 4 connected":                                           "",
		"": "",
	} {
		assert.Equal(t, want, emptyPrimary(line), line)
	}
}
