package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/errgroup"

	"github.com/redisbinding/redisbinding/internal/resp"
)

// LocalLag is how long a change may go unnoticed by [WithLocal] when the connection
// that would tell of it has died without a sign, or another server has taken over.
const LocalLag = 3 * time.Second

const (
	// trackingCheck is how often a quiet connection is asked for a sign of life, and
	// how long that may take.
	trackingCheck = time.Second
	// trackingPause is the pause before following anew; it doubles up to
	// trackingLongest.
	trackingPause   = 50 * time.Millisecond
	trackingLongest = 10 * time.Second
	// invalidations is the channel that Redis tells of changes on.
	invalidations = "__redis__:invalidate"
)

// tracker hears of every change in Redis, from all primaries, and turns the local
// cache off while it does not.
type tracker struct {
	cache  *Cache
	local  *local
	cancel context.CancelFunc
	ended  chan struct{}
}

func startTracker(c *Cache, l *local) *tracker {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tracker{cache: c, local: l, cancel: cancel, ended: make(chan struct{})}
	go t.run(ctx)
	return t
}

func (t *tracker) close() {
	t.cancel()
	<-t.ended
}

func (t *tracker) run(ctx context.Context) {
	defer close(t.ended)
	pause := trackingPause
	for warned := false; ; {
		err := t.follow(ctx, func() {
			t.cache.logger.InfoContext(ctx, "cache: values are kept in process", slog.String("cache", t.cache.name))
			pause, warned = trackingPause, false
		})
		if ctx.Err() != nil {
			return
		}
		if !warned {
			t.cache.warn(ctx, "no value is kept in process, because changes in Redis cannot be followed", t.cache.connection.hide(explain(err)))
			warned = true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, trackingLongest)
		}
	}
}

// follow hears of changes until something goes wrong: then the local cache is off at
// once, before all else has come to its end. ready is called once all primaries tell
// of changes, and it is on.
func (t *tracker) follow(ctx context.Context, ready func()) error {
	client, err := t.cache.connection.client(ctx)
	if err != nil {
		return err
	}
	primaries, err := primariesOf(ctx, client)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	turn := t.local.switching()
	follow := func(part func() error) {
		group.Go(func() error {
			defer turn.off()
			return part()
		})
	}
	telling := make(chan struct{}, len(primaries))
	for _, p := range primaries {
		follow(func() error { return t.listen(ctx, p, telling) })
	}
	follow(func() error {
		for range primaries {
			select {
			case <-telling:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if turn.on() {
			ready()
		}
		return watch(ctx, client, primaries)
	})
	return group.Wait()
}

// errPrimaries is why changes are followed anew.
var errPrimaries = errors.New("another server is a primary now")

// watch returns when there are other primaries.
func watch(ctx context.Context, client redis.UniversalClient, primaries map[string]primary) error {
	ticker := time.NewTicker(trackingCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		now, err := primariesOf(ctx, client)
		if err != nil {
			return err
		}
		for id := range now {
			if _, known := primaries[id]; !known {
				return errPrimaries
			}
		}
	}
}

// primary is a server that tells of changes.
type primary struct {
	options *redis.Options // of a client of it
	runID   string         // empty when the address says which server it is
}

// primariesOf returns the primaries that a client is connected to, by what tells
// them apart: of a cluster the address; else the ID of its run, as a name or a
// sentinel may lead elsewhere later.
func primariesOf(ctx context.Context, client redis.UniversalClient) (map[string]primary, error) {
	switch client := client.(type) {
	case *redis.Client:
		// It does not wait for longer: go-redis minds no cancellation.
		id, err := runID(ctx, client.WithTimeout(trackingCheck))
		return map[string]primary{id: {client.Options(), id}}, err
	case *redis.ClusterClient:
		return primariesOfCluster(ctx, client)
	default:
		return nil, fmt.Errorf("they can be through *redis.Client and *redis.ClusterClient, and this is %T", client)
	}
}

// primariesOfCluster returns all primaries, also those without slots: what a slot has
// that is about to move to one of them can be read and written there already.
func primariesOfCluster(ctx context.Context, client *redis.ClusterClient) (map[string]primary, error) {
	var mu sync.Mutex
	primaries := map[string]primary{}
	var one *redis.Client
	err := client.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		primaries[node.Options().Addr], one = primary{options: node.Options()}, node
		return nil
	})
	if err != nil {
		return nil, err
	}
	if one == nil {
		return nil, errors.New("the cluster has no primaries")
	}
	nodes, err := one.WithTimeout(trackingCheck).ClusterNodes(ctx).Result()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(nodes) {
		if addr := emptyPrimary(line); addr != "" {
			if len(primaries) >= resp.MaxNodes {
				return nil, errors.New("the cluster has too many primaries")
			}
			options := *one.Options()
			options.Addr = addr
			primaries[addr] = primary{options: &options}
		}
	}
	return primaries, nil
}

// emptyPrimary returns the address in a line of CLUSTER NODES, when it is that of a
// primary that is well and has no slots.
func emptyPrimary(line string) string {
	const addr, flags, state, slots = 1, 2, 7, 8
	fields := strings.Fields(line)
	if len(fields) < slots || fields[state] != "connected" {
		return ""
	}
	is := strings.Split(fields[flags], ",")
	if !slices.Contains(is, "master") || slices.ContainsFunc(is, func(flag string) bool {
		return flag == "fail" || flag == "handshake" || flag == "noaddr"
	}) {
		return ""
	}
	for _, slot := range fields[slots:] {
		if !strings.HasPrefix(slot, "[") { // what moves is in brackets
			return ""
		}
	}
	at, _, _ := strings.Cut(fields[addr], "@")
	if strings.HasPrefix(at, ":") { // it does not know itself yet
		return ""
	}
	return at
}

// runID returns what tells a server from all others, and from itself once it has
// been started again.
func runID(ctx context.Context, server interface {
	Info(ctx context.Context, section ...string) *redis.StringCmd
}) (string, error) {
	info, err := server.Info(ctx, "server").Result()
	if err != nil {
		return "", err
	}
	id := infoField(info, "run_id")
	if id == "" {
		return "", errors.New("INFO tells no run_id: is this Redis?")
	}
	return id, nil
}

// listen hears of the changes of one server, until something goes wrong. It says when the
// server tells of them.
func (t *tracker) listen(ctx context.Context, server primary, telling chan<- struct{}) error {
	client := redis.NewClient(t.options(server))
	defer client.Close()
	changes := client.Subscribe(ctx, invalidations)
	defer changes.Close()
	defer context.AfterFunc(ctx, func() { _ = changes.Close() })() // Receive minds no cancellation

	asked, told := false, false
	for {
		message, err := resp.Receive(ctx, changes, trackingCheck)
		var network net.Error
		switch {
		case err != nil && !asked && errors.As(err, &network) && network.Timeout():
			asked = true
			err = changes.Ping(ctx)
		case err == nil:
			asked = false
		}
		if err != nil {
			return err
		}
		switch message := message.(type) {
		case *redis.Subscription:
			if !told { // there is room for one of each server
				telling <- struct{}{}
				told = true
			}
		case *redis.Message:
			if len(message.PayloadSlice) == 0 {
				return errFlushed
			}
			t.changed(message.PayloadSlice)
		}
	}
}

// options are those of a connection that is told of changes: of all keys with the
// prefix, whoever reads or writes them. It speaks RESP2, where what it is told goes
// to a channel, its own.
func (t *tracker) options(server primary) *redis.Options {
	o := *server.options
	o.Protocol = 2
	o.MaxRetries = -1 // it is made anew
	o.DialerRetries = 1
	o.MinIdleConns = 0
	o.PoolSize, o.MaxIdleConns, o.MaxActiveConns = 1, 0, 0
	o.PushNotificationProcessor = nil
	o.ClientSideCacheConfig, o.ClientSideCache = nil, nil
	// RESP2 has none. That of the client, which is shared, is one that go-redis changes
	// while it connects.
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	before := o.OnConnect
	o.OnConnect = func(ctx context.Context, conn *redis.Conn) error {
		if before != nil {
			if err := before(ctx, conn); err != nil {
				return err
			}
		}
		if server.runID != "" {
			if id, err := runID(ctx, conn); err != nil || id != server.runID {
				return errors.Join(err, errPrimaries)
			}
		}
		self, err := conn.ClientID(ctx).Result()
		if err != nil {
			return err
		}
		args := []any{"client", "tracking", "on", "redirect", self, "bcast"}
		if t.cache.instance != "" {
			args = append(args, "prefix", t.cache.instance)
		}
		return conn.Do(ctx, args...).Err()
	}
	return &o
}

// errFlushed is why all is dropped: Redis names no keys when all are gone (FLUSHALL),
// which go-redis takes for an error by itself.
var errFlushed = errors.New("all keys were deleted")

// changed drops what was kept of keys.
func (t *tracker) changed(keys []string) {
	for _, key := range keys {
		key = strings.TrimPrefix(key, t.cache.instance)
		if tag, ok := strings.CutPrefix(key, tagPrefix); ok {
			t.local.invalidateTag(tag)
		}
		t.local.invalidate(key)
	}
}
