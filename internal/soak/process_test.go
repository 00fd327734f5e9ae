package soak

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/history"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

// hour is a TTL that does not pass.
const hour = "3600"

func testServerIsKilledAndRestarted(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	(&scenario{
		name:     "server killed (kill -9) and restarted after 200 ms, appendfsync always",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": server.Addr},
		servers:  []*redistest.Server{server},
		sees:     []string{"connection refused", "connection lost", "hung up on", "LOADING"},
		must:     []string{"connection refused"},
		fault: func(ctx context.Context, s *scenario) string {
			kills := repeat(ctx, func() {
				server.Kill()
				time.Sleep(200 * time.Millisecond)
				server.Restart(t)
				s.load.back(time.Now())
				time.Sleep(100 * time.Millisecond)
			})
			return fmt.Sprintf("%d times", kills)
		},
	}).run(t)
}

func testServerIsStopped(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("where no process can be stopped")
	}
	server := redistest.Start(t)
	(&scenario{
		name:     "server stopped (SIGSTOP) for 1 s, time-outs 300 ms; a third of the calls in a hurry",
		load:     load{ttl: hour, hurry: 250 * time.Millisecond},
		metadata: map[string]string{"redisHost": server.Addr, "readTimeout": "300ms", "dialTimeout": "300ms", "poolTimeout": "300ms"},
		servers:  []*redistest.Server{server},
		sees:     []string{"time-out", "dialTimeout", "poolTimeout", "deadline of the call"},
		must:     []string{"time-out"},
		fault: func(ctx context.Context, s *scenario) string {
			stops := repeat(ctx, func() {
				server.Pause()
				time.Sleep(time.Second)
				server.Resume()
				s.load.back(time.Now())
				time.Sleep(100 * time.Millisecond)
			})
			return fmt.Sprintf("%d times", stops)
		},
	}).run(t)
}

func testPrimaryIsKilled(t *testing.T) {
	setup := redistest.StartSentinel(t)
	(&scenario{
		name:     "primary killed, sentinels elect its replica",
		load:     load{ttl: hour},
		metadata: setup.Metadata,
		servers:  setup.Servers,
		keeps:    history.Forgetful,
		sees:     []string{"connection refused", "connection lost", "hung up on", "READONLY", "time-out", "LOADING", "MASTERDOWN"},
		fault: func(ctx context.Context, s *scenario) string {
			primary, replica := setup.Servers[0], setup.Servers[1]
			worst := time.Duration(0)
			elections := repeat(ctx, func() {
				primary.Kill()
				untilNamed(t, setup, replica, 1)
				worst = max(worst, s.load.back(time.Now()))
				untilNamed(t, setup, replica, len(setup.Sentinels)) // or some name the old one, when it is back
				primary.Restart(t)
				primary, replica = replica, primary
				if ctx.Err() == nil { // there is another one
					untilSentinelsAgree(t, setup, primary)
				}
			})
			if *report != "" { // on a machine that has nothing else to do
				assert.Less(t, worst, time.Second)
			}
			return fmt.Sprintf("%d times; all callers back at most %d ms after a sentinel has named the new primary", elections, worst.Milliseconds())
		},
	}).run(t)
}

// untilRole waits until the server has the role, a replica in step with its primary.
func untilRole(t *testing.T, server *redistest.Server, want string) {
	t.Helper()
	require.Eventually(t, func() bool {
		role, err := server.Client().Do(context.Background(), "ROLE").Slice()
		return err == nil && role[0] == want && (want == "master" || role[3] == "connected")
	}, 30*time.Second, time.Millisecond)
}

// untilNamed waits until so many sentinels say that the server is the primary.
func untilNamed(t *testing.T, setup *redistest.Setup, server *redistest.Server, by int) {
	t.Helper()
	require.Eventually(t, func() bool {
		named := 0
		for _, sentinel := range setup.Sentinels {
			addr, err := sentinel.Client().Do(context.Background(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster").StringSlice()
			if err == nil && addr[1] == server.Port {
				named++
			}
		}
		return named >= by
	}, 30*time.Second, time.Millisecond)
}

// untilSentinelsAgree waits until another election may be held.
func untilSentinelsAgree(t *testing.T, setup *redistest.Setup, primary *redistest.Server) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, sentinel := range setup.Sentinels {
			reply, err := sentinel.Client().Do(context.Background(), "SENTINEL", "MASTER", "mymaster").Result()
			master, _ := reply.(map[any]any)
			if err != nil || master["port"] != primary.Port || master["flags"] != "master" || master["num-slaves"] != "1" {
				return false
			}
			reply, err = sentinel.Client().Do(context.Background(), "SENTINEL", "REPLICAS", "mymaster").Result()
			replicas, _ := reply.([]any)
			if err != nil || len(replicas) != 1 {
				return false
			}
			replica, _ := replicas[0].(map[any]any)
			if replica["flags"] != "slave" || replica["master-link-status"] != "ok" {
				return false
			}
		}
		return true
	}, 60*time.Second, 10*time.Millisecond)
}

func testClusterMasterIsKilled(t *testing.T) {
	setup := redistest.StartCluster(t)
	(&scenario{
		name:     "cluster: a master killed, its replica takes over",
		load:     load{ttl: hour},
		metadata: setup.Metadata,
		servers:  setup.Servers,
		keeps:    history.Forgetful,
		spares: func(group string) bool {
			slot, err := setup.Servers[0].Client().ClusterKeySlot(t.Context(), group).Result()
			require.NoError(t, err)
			return slot > 16384/3 // those are not the killed master's
		},
		sees: []string{"connection refused", "connection lost", "hung up on", "CLUSTERDOWN", "READONLY", "MOVED", "time-out", "LOADING", "MASTERDOWN"},
		fault: func(ctx context.Context, s *scenario) string {
			master, replica := setup.Servers[0], replicaOf(t, setup, setup.Servers[0])
			worst := time.Duration(0)
			elections := repeat(ctx, func() {
				master.Kill()
				untilRole(t, replica, "master")
				untilClusterIsOK(t, replica)
				worst = max(worst, s.load.back(time.Now()))
				master.Restart(t)
				master, replica = replica, master
				untilRole(t, replica, "slave")
				for _, server := range setup.Servers {
					untilClusterIsOK(t, server)
				}
			})
			return fmt.Sprintf("%d times; all callers back at most %d ms after the cluster was whole", elections, worst.Milliseconds())
		},
	}).run(t)
}

// replicaOf finds the replica of the master.
func replicaOf(t *testing.T, setup *redistest.Setup, master *redistest.Server) *redistest.Server {
	t.Helper()
	for _, server := range setup.Servers {
		role, _ := server.Do(t, "ROLE").([]any)
		if role[0] == "slave" && fmt.Sprint(role[2]) == master.Port {
			return server
		}
	}
	require.Fail(t, "the master has no replica")
	return nil
}

func untilClusterIsOK(t *testing.T, server *redistest.Server) {
	t.Helper()
	require.Eventually(t, func() bool {
		info, err := server.Client().ClusterInfo(context.Background()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	}, 30*time.Second, time.Millisecond)
}

func testSlotsMove(t *testing.T) {
	setup := redistest.StartCluster(t)
	masters := setup.Servers[:3]
	(&scenario{
		name:     "cluster: slots moved to another master and back",
		load:     load{ttl: hour},
		metadata: setup.Metadata,
		servers:  setup.Servers,
		sees:     []string{"MOVED"}, // from one to the other and back, when masters do not agree
		fault: func(ctx context.Context, s *scenario) string {
			moved := 0
			repeat(ctx, func() {
				for _, g := range s.load.groups {
					moveSlot(t, masters, g.name)
					moved++
				}
			})
			asked := replied(t, masters, "ASK")
			assert.Positive(t, asked)
			return fmt.Sprintf("%d slots moved, %d times MOVED, %d times ASK", moved, replied(t, masters, "MOVED"), asked)
		},
	}).run(t)
}

// replied returns how often the servers have replied with the error.
func replied(t *testing.T, servers []*redistest.Server, name string) (n int) {
	t.Helper()
	for _, server := range servers {
		info, _ := server.Do(t, "INFO", "errorstats").(string)
		for line := range strings.Lines(info) {
			var count int
			if _, err := fmt.Sscanf(line, "errorstat_"+name+":count=%d", &count); err == nil {
				n += count
			}
		}
	}
	return n
}

// moveSlot moves the slot of a key, which is missing, from the master that has it to the
// next one, with all keys in it.
func moveSlot(t *testing.T, masters []*redistest.Server, missing string) {
	t.Helper()
	slot, err := masters[0].Client().ClusterKeySlot(t.Context(), missing).Result()
	require.NoError(t, err)
	from := -1
	require.Eventually(t, func() bool { // masters take a moment to agree
		from = slices.IndexFunc(masters, func(m *redistest.Server) bool {
			return errors.Is(m.Client().Get(context.Background(), missing).Err(), redis.Nil) // and not MOVED
		})
		return from >= 0
	}, 10*time.Second, time.Millisecond, "nobody has slot %d", slot)
	source, target := masters[from], masters[(from+1)%len(masters)]
	sourceID, targetID := source.Do(t, "CLUSTER", "MYID"), target.Do(t, "CLUSTER", "MYID")
	target.Do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID)
	source.Do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", targetID)
	for {
		keys, err := source.Client().ClusterGetKeysInSlot(t.Context(), int(slot), 20).Result()
		require.NoError(t, err)
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", target.Host, target.Port, "", 0, 5000, "KEYS"}
		for _, key := range keys {
			args = append(args, key)
		}
		reply := fmt.Sprint(source.Do(t, args...))
		assert.Contains(t, []string{"OK", "NOKEY"}, reply)
	}
	target.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", targetID)
	for _, other := range masters {
		other.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", targetID)
	}
	// Two moves at a time may have masters choose the same epoch, and one of them lose its slot.
	require.Eventually(t, func() bool {
		epochs := map[string]bool{}
		for _, m := range masters {
			info, _ := m.Do(t, "CLUSTER", "INFO").(string)
			_, epoch, _ := strings.Cut(info, "cluster_current_epoch:")
			epoch, _, _ = strings.Cut(epoch, "\r\n")
			epochs[epoch] = true
		}
		return len(epochs) == 1
	}, 30*time.Second, time.Millisecond)
}
