package hosting

import (
	"context"
	"fmt"
	"strconv"
)

const (
	clusterPrimaries = 3
	clusterSlots     = 16384
	// busOffset is how far a node's bus port, where the others reach it, is above its
	// own.
	busOffset = 10000
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

// WithReplicas sets how many replicas each primary has, 0 to 5, overriding the default 0. With
// the [EmbeddedRuntime] any but 0 is an error.
func (c *Cluster) WithReplicas(n int) *Cluster { c.replicas = n; return c }

func (c *Cluster) resource() resource { return c }

func (c *Cluster) kind() string { return "cluster" }

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
		s := &server{name: c.name + "." + strconv.Itoa(n+1), image: c.image.String()}
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
