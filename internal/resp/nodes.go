package resp

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// MaxNodes is how many nodes of a cluster are known at the same time, those among them
// that were known until a moment ago. Redis says that a cluster has up to about 1000.
const MaxNodes = 4096

// MaxSentinels is how many sentinels are known at the same time. There are few.
const MaxSentinels = 64

// LimitNodes keeps a client from knowing more than [MaxNodes] nodes. go-redis makes a
// client, with a pool, for every address that CLUSTER SLOTS or a redirection names. Call it
// before the client is used.
func LimitNodes(cluster *redis.ClusterClient) {
	n := &nodes{most: MaxNodes, known: map[string]time.Time{}}
	cluster.OnNewNode(func(node *redis.Client) { node.AddHook(n) })
}

var errNodes = errors.New("the server names more nodes than a cluster has: is this Redis?")

// nodes are the addresses of nodes that go-redis has, or soon will have, a client of.
type nodes struct {
	most  int
	mu    sync.Mutex
	known map[string]time.Time // since when they are not named any more, or zero
}

// forgetAfter is after which time go-redis has closed the client of a node that CLUSTER
// SLOTS names no more: a minute, counted from its end.
const forgetAfter = 2 * time.Minute

func (n *nodes) DialHook(next redis.DialHook) redis.DialHook { return next }

func (n *nodes) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		var refused error
		if slots, ok := cmd.(*redis.ClusterSlotsCmd); ok && err == nil {
			refused = n.named(slots.Val(), time.Now())
		} else {
			refused = n.redirected(err)
		}
		if refused == nil {
			return err
		}
		cmd.SetErr(refused)
		return refused
	}
}

func (n *nodes) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err == nil {
			return nil
		}
		for _, cmd := range cmds {
			if refused := n.redirected(cmd.Err()); refused != nil {
				cmd.SetErr(refused)
			}
		}
		return err
	}
}

// named is told what CLUSTER SLOTS names.
func (n *nodes) named(slots []redis.ClusterSlot, now time.Time) error {
	addrs := map[string]time.Time{}
	for _, slot := range slots {
		for _, node := range slot.Nodes {
			if addrs[node.Addr] = (time.Time{}); len(addrs) > n.most {
				return errNodes
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for addr, since := range n.known {
		if _, again := addrs[addr]; again {
			continue
		}
		if since.IsZero() {
			since = now
		}
		if now.Sub(since) < forgetAfter {
			addrs[addr] = since
		}
	}
	if len(addrs) > n.most {
		return errNodes
	}
	n.known = addrs
	return nil
}

// redirected looks whether err sends to one node too many.
func (n *nodes) redirected(err error) error {
	if err == nil || err == redis.Nil { //nolint:errorlint // the one that is frequent
		return nil
	}
	addr, ok := redis.IsMovedError(err)
	if !ok {
		if addr, ok = redis.IsAskError(err); !ok {
			return nil
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known := n.known[addr]; known {
		return nil
	}
	if len(n.known) >= n.most {
		return errNodes
	}
	n.known[addr] = time.Time{}
	return nil
}
