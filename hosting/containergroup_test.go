package hosting

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testGroup(t *testing.T, n int, each func(*server)) []*server {
	t.Helper()
	ports, err := freePorts(2 * n)
	require.NoError(t, err)
	group := make([]*server, n)
	for i := range group {
		group[i] = testServer("cluster-" + strconv.Itoa(i+1))
		group[i].port = ports[i]
		each(group[i])
		if !group[i].sentinel {
			group[i].directives = append(group[i].directives, []string{"cluster-port", strconv.Itoa(ports[n+i])})
		}
	}
	return group
}

// The servers of a cluster reach each other, and are reached, at the same addresses, also
// when one of them has ended, whichever that is.
func TestContainerGroup(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	group := testGroup(t, 6, func(s *server) {
		s.directives = [][]string{{"cluster-enabled", "yes"}}
	})
	instances := up(t, test.containers, group...)
	clients := make([]*redis.Client, len(group))
	for i, s := range group {
		assert.Equal(t, fmt.Sprintf("127.0.0.1:%d", s.port), instances[i].address())
		clients[i] = dial(t, instances[i], s)
	}
	for _, s := range group[1:] {
		bus, err := strconv.Atoi(s.directives[1][1])
		require.NoError(t, err)
		require.NoError(t, clients[0].Do(t.Context(), "cluster", "meet", "127.0.0.1", s.port, bus).Err())
	}
	for _, c := range clients {
		require.Eventually(t, func() bool {
			info, err := c.ClusterInfo(t.Context()).Result()
			require.NoError(t, err)
			return strings.Contains(info, "cluster_known_nodes:6")
		}, time.Minute, 10*time.Millisecond)
	}

	require.NoError(t, instances[0].stop(within(t)))
	for _, c := range clients[1:] {
		require.NoError(t, c.Ping(t.Context()).Err())
	}
	for _, i := range instances[1:] {
		require.NoError(t, i.stop(within(t)))
	}

	// They can be started again.
	for n, i := range up(t, test.containers, group...) {
		dial(t, i, group[n])
		require.NoError(t, i.stop(within(t)))
	}
	require.NoError(t, test.close(within(t)))
	assert.Empty(t, test.left(t))
}

func TestContainerSentinel(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	group := testGroup(t, 2, func(*server) {})
	group[0].directives = nil
	group[1].sentinel = true
	group[1].directives = [][]string{
		{"sentinel", "monitor", "main", "127.0.0.1", strconv.Itoa(group[0].port), "1"},
		{"sentinel", "auth-pass", "main", testPassword},
	}
	instances := up(t, test.containers, group...)
	dial(t, instances[0], group[0])
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: instances[1].address(), Password: testPassword})
	defer sentinel.Close()
	require.Eventually(t, func() bool {
		require.NoError(t, instances[1].err())
		master, err := sentinel.Master(t.Context(), "main").Result()
		return err == nil && master["flags"] == "master"
	}, time.Minute, 10*time.Millisecond)
	// It has to write this into its configuration.
	require.NoError(t, sentinel.Set(t.Context(), "main", "down-after-milliseconds", "12345").Err())
}

func TestContainerGroupPersistent(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	group := testGroup(t, 2, func(s *server) { s.persistent = true })
	group[0].directives, group[1].directives = nil, nil
	instances := up(t, test.containers, group...)
	var ids []string
	for n, i := range instances {
		ids = append(ids, i.(*runningContainer).id)
		test.discard(t, i)
		dial(t, i, group[n])
		require.NoError(t, i.stop(within(t)))
	}
	require.NoError(t, test.close(within(t)))
	require.Len(t, test.left(t), 4, "with what holds their network, and the network")
	holder := test.placed[group[0]].container
	t.Cleanup(func() { assert.NoError(t, removeContainer(within(t), test.docker.API, holder)) })

	// They run, and are taken over; they do not, and are started.
	for range 2 {
		second := test.again(t)
		for n, i := range up(t, second, group...) {
			assert.Equal(t, ids[n], i.(*runningContainer).id)
			dial(t, i, group[n])
			require.NoError(t, i.stop(within(t)))
		}
		for _, id := range append(ids, holder) {
			require.NoError(t, stopContainer(within(t), test.docker.API, id))
		}
	}
}
