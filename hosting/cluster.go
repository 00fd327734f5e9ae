package hosting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	clusterPrimaries = 3
	clusterSlots     = 16384
	// busOffset is how far a node's bus port, where the others reach it, is above its
	// own.
	busOffset = 10000
	// groupAttempts bounds how often servers that need to know their ports ahead are
	// started on others because somebody took one meanwhile.
	groupAttempts = 5
)

// Cluster is a Redis Cluster of an app: three primaries and their replicas, each a server
// of its own on 127.0.0.1. Its connection is there once the app has started. It keeps
// nothing when it stops. The [EmbeddedRuntime] has one node for all slots in its place.
type Cluster struct {
	named
	Connection
	secured
	image    image
	replicas int
}

func newCluster(name string) *Cluster {
	return &Cluster{named: named{name}, image: defaultImage}
}

// WithPassword sets the password, as [Redis.WithPassword] does.
func (c *Cluster) WithPassword(password string) *Cluster { c.password = &password; return c }

// WithImage sets the image, as [Redis.WithImage] does.
func (c *Cluster) WithImage(name string) *Cluster { c.image.setName(name); return c }

// WithTag sets the tag of the image, as [Redis.WithTag] does.
func (c *Cluster) WithTag(tag string) *Cluster { c.image.setTag(tag); return c }

// WithTLS makes the servers speak TLS, as [Redis.WithTLS] does, also among each other.
func (c *Cluster) WithTLS() *Cluster { c.tls = true; return c }

// WithReplicas sets how many replicas each primary has, overriding the default 0. At most
// 5. The [EmbeddedRuntime] has none.
func (c *Cluster) WithReplicas(n int) *Cluster { c.replicas = n; return c }

func (c *Cluster) resource() resource { return c }
func (c *Cluster) kind() string       { return "cluster" }

func (c *Cluster) dependencies() (addressed, healthy []Resource) { return nil, nil }

func (c *Cluster) check() []error {
	errs := append(c.checkPassword(), c.image.check()...)
	if c.replicas < 0 || c.replicas > 5 {
		errs = append(errs, fmt.Errorf("WithReplicas takes 0 to 5, got %d", c.replicas))
	}
	return errs
}

func (c *Cluster) support(e engine) error {
	if e.kind() == EmbeddedRuntime && c.replicas > 0 {
		return unsupported(EmbeddedRuntime, "WithReplicas", insteadOfEmbedded)
	}
	return nil
}

func (c *Cluster) prepare(_ context.Context, a *App, m *member) error {
	nodes := clusterPrimaries * (1 + c.replicas)
	if a.engine.kind() == EmbeddedRuntime {
		nodes = 1
	}
	for n := range nodes {
		s := &server{name: c.name + "-" + strconv.Itoa(n+1), image: c.image.String()}
		if nodes > 1 {
			s.directives = [][]string{
				{"cluster-enabled", "yes"},
				{"cluster-node-timeout", "5000"},
				{"cluster-announce-ip", loopback},
			}
			if c.tls {
				s.directives = append(s.directives, []string{"tls-cluster", "yes"})
			}
		}
		m.servers = append(m.servers, s)
	}
	c.image.warn(a, c.name)
	return a.secure(&c.secured, c.name, m.servers...)
}

func (c *Cluster) start(ctx context.Context, a *App, m *member) error {
	var err error
	if len(m.servers) == 1 {
		m.instances, err = a.engine.start(ctx, m.servers, m.progress)
	} else {
		m.instances, err = startPeers(ctx, a.engine, m, busOffset, nil)
	}
	if err != nil {
		return err
	}
	spec := connectionSpec{
		name:     c.name,
		addrs:    addresses(m.instances[:min(clusterPrimaries, len(m.instances))]),
		password: m.servers[0].password,
		tls:      m.servers[0].tls,
		cluster:  true,
	}
	if len(m.servers) > 1 {
		m.progress("making the cluster")
		ctx, cancel := context.WithTimeout(ctx, a.options.startTimeout)
		defer cancel()
		if err := makeCluster(ctx, spec, addresses(m.instances)); err != nil {
			return fmt.Errorf("making the cluster: %w", err)
		}
	}
	m.connected(&c.Connection, spec, addresses(m.instances)...)
	return nil
}

func addresses(instances []instance) []string {
	addrs := make([]string, len(instances))
	for i, instance := range instances {
		addrs[i] = instance.address()
	}
	return addrs
}

// startPeers starts servers that are told each other's ports, on ports that are free. The port
// beside is by so much higher, and has to be free, too; 0 is none. configure is called when the ports
// are set.
func startPeers(ctx context.Context, e engine, m *member, beside int, configure func()) ([]instance, error) {
	for attempt := 1; ; attempt++ {
		if err := setPorts(m.servers, beside); err != nil {
			return nil, err
		}
		if configure != nil {
			configure()
		}
		instances, err := e.start(ctx, m.servers, m.progress)
		if err == nil || !errors.Is(err, ErrPortTaken) || attempt == groupAttempts {
			return instances, err
		}
	}
}

func setPorts(servers []*server, beside int) error {
	const draws = 50
	var found []int
	for range draws {
		ports, err := freePorts(len(servers))
		if err != nil {
			return err
		}
		for _, port := range ports {
			high := port + beside
			if high <= 65535 && (beside == 0 || checkPort(high) == nil) && !slices.Contains(found, port) {
				found = append(found, port)
			}
		}
		if len(found) >= len(servers) {
			for i, s := range servers {
				s.port = found[i]
			}
			return nil
		}
	}
	return errors.New("there are not enough free ports below 55536 on " + loopback)
}

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

// eventually asks until the answer is good or ctx ends.
func eventually(ctx context.Context, ask func() error) error {
	ticker := time.NewTicker(healthPause)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
