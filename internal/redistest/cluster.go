package redistest

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// StartCluster starts a cluster of three primaries with one replica each, for
// this test only. The primaries are the first three of the servers until a
// failover.
func StartCluster(t testing.TB) *Setup {
	t.Helper()
	return startSetup(t, "cluster", startCluster)
}

func startCluster(s *Setup, dir string) error {
	var addrs []string
	for range 6 {
		node, err := s.addServer(dir, options{cluster: true})
		if err != nil {
			return err
		}
		addrs = append(addrs, node.Addr)
	}
	return s.makeCluster(addrs)
}

// makeCluster makes a cluster of the servers, three or six, which are at addrs for
// each other and for clients. args are further arguments of redis-cli.
func (s *Setup) makeCluster(addrs []string, args ...string) error {
	args = append(args, "--cluster", "create")
	args = append(args, addrs...)
	args = append(args, "--cluster-replicas", strconv.Itoa(len(addrs)/3-1), "--cluster-yes")
	// It waits without end for nodes that do not join.
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("redis-cli --cluster create: %w\n%s", err, out)
	}
	for _, node := range s.Servers {
		if err := waitForNode(node, len(addrs)); err != nil {
			return err
		}
	}
	for _, replica := range s.Servers[3:] {
		if err := waitForReplica(replica); err != nil {
			return err
		}
	}

	s.Metadata = map[string]string{
		"redisHost": strings.Join(addrs[:3], ","),
		"redisType": "cluster",
	}
	return nil
}

// waitForNode waits until the node of a cluster of so many, three of them
// primaries, knows the others and their roles.
func waitForNode(node *Server, nodes int) error {
	ctx := context.Background()
	return poll(func() error {
		info, err := node.Client().ClusterInfo(ctx).Result()
		if err != nil {
			return err
		}
		known, err := node.Client().ClusterNodes(ctx).Result()
		if err != nil {
			return err
		}
		if !strings.Contains(info, "cluster_state:ok") ||
			strings.Count(known, "master") != 3 || strings.Count(known, "slave") != nodes-3 ||
			strings.Count(known, " connected") != nodes || strings.Contains(known, "fail") {
			return fmt.Errorf("a node does not know the whole cluster:\n%s%s", info, known)
		}
		return nil
	})
}

// MoveSlot begins to move the slot of a key, which is not there, from one node of a cluster
// to another one, until the end that it returns: who asks for the key is sent on with ASK.
func (s *Setup) MoveSlot(t testing.TB, key string) (end func()) {
	t.Helper()
	slot := s.Servers[0].Do(t, "CLUSTER", "KEYSLOT", key)
	var from, to *Server
	for _, node := range s.Servers {
		role, _ := node.Do(t, "ROLE").([]any)
		switch err := node.Client().Get(context.Background(), key).Err(); {
		case len(role) == 0 || role[0] != "master":
		case errors.Is(err, redis.Nil):
			from = node
		default: // MOVED
			to = node
		}
	}
	if from == nil || to == nil {
		t.Fatalf("%s is no key that is missing in a cluster", key)
	}
	to.Do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.Do(t, "CLUSTER", "MYID"))
	from.Do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.Do(t, "CLUSTER", "MYID"))
	return func() {
		from.Do(t, "CLUSTER", "SETSLOT", slot, "STABLE")
		to.Do(t, "CLUSTER", "SETSLOT", slot, "STABLE")
	}
}
