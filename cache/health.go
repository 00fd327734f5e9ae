package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// HealthCheckName is the name of a cache's check in [HealthChecks], as the Redis
// integration of .NET Aspire names it. That of a cache of [Keyed] has its name behind:
// "StackExchange.Redis_sessions"; who opens several with [Open] has to tell theirs apart.
const HealthCheckName = "StackExchange.Redis"

// HealthChecks returns the check of the cache by its name, for [HealthHandler] with those
// of others; none when the setting DisableHealthChecks is true.
func (c *Cache) HealthChecks() HealthChecks {
	name := HealthCheckName
	switch {
	case c.healthDisabled:
		return HealthChecks{}
	case c.keyed:
		name += "_" + c.name
	}
	return HealthChecks{name: c.HealthCheck}
}

// HealthCheck says whether Redis answers: a PING to the server, or to every node of a
// cluster, which must think that the cluster is whole. It returns once ctx ends, or after
// [DefaultHealthTimeout] when that has no deadline. The error names servers: see
// [HealthHandler] for what to show.
func (c *Cache) HealthCheck(ctx context.Context) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultHealthTimeout)
		defer cancel()
	}
	client, err := c.connection.client(ctx)
	if err != nil {
		return fmt.Errorf("cache: health: %w", err)
	}
	return c.connection.hide(checkServers(ctx, client))
}

// checkServers says whether all servers answer a PING, and those of a cluster, the
// replicas among them, that the cluster is whole. Of a cluster the error names each server
// that does not.
//
// It returns once ctx ends, which has a deadline, whatever the servers do. go-redis
// cannot be told to stop waiting for a reply, so a goroutine may wait on: for no longer
// than the deadline was away at the beginning. Only the list of a cluster's nodes, which
// go-redis fetches first, waits as the client's options say.
func checkServers(ctx context.Context, client redis.UniversalClient) error {
	answers := &healthAnswers{of: map[string]error{}}
	done := make(chan error, 1)
	go func() {
		done <- calledSafely(ctx, func(ctx context.Context) error { return askServers(ctx, client, answers) })
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err = errors.Join(err, answers.error()); err == nil {
		return nil
	}
	return explain(fmt.Errorf("cache: health: %w", err))
}

// askServers asks all servers at once. An error that is none of a server it returns.
func askServers(ctx context.Context, client redis.UniversalClient, answers *healthAnswers) error {
	switch client := client.(type) {
	case *redis.ClusterClient:
		err := client.ForEachShard(ctx, func(ctx context.Context, node *redis.Client) error {
			answers.ask(ctx, node.Options().Addr, func(ctx context.Context) error {
				node := inTime(ctx, node)
				if err := node.Ping(ctx).Err(); err != nil {
					return err
				}
				return clusterIsWhole(ctx, node)
			})
			return nil // which would hide those of other nodes
		})
		if err == nil && answers.none() {
			err = errors.New("the cluster has no nodes that serve slots")
		}
		return err
	case *redis.Client:
		return inTime(ctx, client).Ping(ctx).Err()
	default:
		return client.Ping(ctx).Err()
	}
}

// inTime returns the client, whose calls wait no longer for a server than ctx, which has
// a deadline, has time: unless its options say so, go-redis takes no notice of that.
func inTime(ctx context.Context, client *redis.Client) *redis.Client {
	end, _ := ctx.Deadline()
	left := max(time.Until(end), time.Millisecond)                   // 0 would be for ever
	if own := client.Options().ReadTimeout; own > 0 && own <= left { // what is not above 0 is for ever
		return client
	}
	return client.WithTimeout(left)
}

// clusterIsWhole asks a node whether it thinks so. A node that has lost its way to most
// of the others does not, although it answers.
func clusterIsWhole(ctx context.Context, node *redis.Client) error {
	info, err := node.ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	switch state := infoField(info, "cluster_state"); state {
	case "ok":
		return nil
	case "":
		return errors.New("it does not say cluster_state")
	default:
		return fmt.Errorf("it says cluster_state:%s", state)
	}
}

// errNoAnswer is of a server that is still being asked.
var errNoAnswer = errors.New("no answer yet")

// healthAnswers are what servers have answered so far.
type healthAnswers struct {
	mu sync.Mutex
	of map[string]error // by address; nil: all is well
}

// ask keeps what asking the server at an address has come to.
func (a *healthAnswers) ask(ctx context.Context, addr string, ask func(context.Context) error) {
	a.put(addr, errNoAnswer)
	a.put(addr, calledSafely(ctx, ask))
}

func (a *healthAnswers) put(addr string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of[addr] = err
}

func (a *healthAnswers) none() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.of) == 0
}

// error returns the errors of all servers, in the order of their addresses.
func (a *healthAnswers) error() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, addr := range slices.Sorted(maps.Keys(a.of)) {
		if err := a.of[addr]; err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", addr, err))
		}
	}
	return errors.Join(errs...)
}
