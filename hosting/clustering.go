package hosting

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// makeCluster makes a cluster of servers that are empty, as CLUSTER ADDSLOTS, MEET and REPLICATE
// do: the first are the primaries. It returns when all of them agree.
func makeCluster(ctx context.Context, spec connectionSpec, addrs []string) error {
	nodes := make([]*redis.Client, len(addrs))
	ids := make([]string, len(addrs))
	for i, addr := range addrs {
		client, err := adminClient(spec, addr)
		if err != nil {
			return err
		}
		defer client.Close()
		nodes[i] = client
		err = eventually(ctx, func() (err error) {
			ids[i], err = client.ClusterMyID(ctx).Result()
			return err
		})
		if err != nil {
			return err
		}
	}
	for i, node := range nodes {
		if i < clusterPrimaries {
			from, to := i*clusterSlots/clusterPrimaries, (i+1)*clusterSlots/clusterPrimaries-1
			if err := node.ClusterAddSlotsRange(ctx, from, to).Err(); err != nil {
				return err
			}
		}
		// Nodes with equal epochs would have to settle first which is which.
		if err := node.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
	}
	for _, addr := range addrs[1:] {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		if err := nodes[0].ClusterMeet(ctx, host, port).Err(); err != nil {
			return err
		}
	}
	for i, node := range nodes {
		if err := eventually(ctx, func() error { return knows(ctx, node, ids) }); err != nil {
			return err
		}
		if i >= clusterPrimaries {
			if err := node.ClusterReplicate(ctx, ids[i%clusterPrimaries]).Err(); err != nil {
				return err
			}
		}
	}
	for _, node := range nodes {
		if err := eventually(ctx, func() error { return settled(ctx, node, len(nodes)-clusterPrimaries) }); err != nil {
			return err
		}
	}
	return nil
}

func adminClient(spec connectionSpec, addr string) (*redis.Client, error) {
	spec.addrs, spec.cluster, spec.master = []string{addr}, false, ""
	o, err := spec.universalOptions()
	if err != nil {
		return nil, err
	}
	return redis.NewClient(o.Simple()), nil
}

// knows tells whether a node has heard of the others.
func knows(ctx context.Context, node *redis.Client, ids []string) error {
	text, err := node.ClusterNodes(ctx).Result()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !strings.Contains(text, id) {
			return errors.New("a node does not know all the others")
		}
	}
	return nil
}

// settled tells whether a node sees all slots served, and all replicas, itself in step if it is one.
func settled(ctx context.Context, node *redis.Client, replicas int) error {
	info, err := node.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, "cluster_state:ok") {
		return errors.New("a node does not see all slots served")
	}
	text, err := node.ClusterNodes(ctx).Result()
	if err != nil {
		return err
	}
	if strings.Count(text, "slave ") != replicas || strings.Contains(text, "handshake") || strings.Contains(text, "fail") {
		return errors.New("a node does not see all the others as they are")
	}
	replication, err := node.Info(ctx, "replication").Result()
	if err == nil && strings.Contains(replication, "role:slave") && !strings.Contains(replication, "master_link_status:up") {
		err = errors.New("a replica is not in step with its primary")
	}
	return err
}
