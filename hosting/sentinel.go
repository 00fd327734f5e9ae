package hosting

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// SentinelMaster is the name of the primary at the sentinels of [Builder.AddSentinel].
const SentinelMaster = "mymaster"

const sentinels = 3

// Sentinel is a primary with a replica, and three sentinels that watch them and agree on
// another primary when it is gone. The connection is that of the sentinels, and is there
// once the app has started. It keeps nothing when it stops. The [EmbeddedRuntime] has none.
type Sentinel struct {
	named
	Connection
	secured
	image image
}

func newSentinel(name string) *Sentinel {
	return &Sentinel{named: named{name}, image: defaultImage}
}

// WithPassword sets the password, of the servers and of the sentinels, as
// [Redis.WithPassword] does.
func (s *Sentinel) WithPassword(password string) *Sentinel { s.password = &password; return s }

// WithImage sets the image, as [Redis.WithImage] does.
func (s *Sentinel) WithImage(name string) *Sentinel { s.image.setName(name); return s }

// WithTag sets the tag of the image, as [Redis.WithTag] does.
func (s *Sentinel) WithTag(tag string) *Sentinel { s.image.setTag(tag); return s }

// WithTLS makes servers and sentinels speak TLS, as [Redis.WithTLS] does, also among each
// other.
func (s *Sentinel) WithTLS() *Sentinel { s.tls = true; return s }

func (s *Sentinel) resource() resource { return s }
func (s *Sentinel) kind() string       { return "sentinel" }

func (s *Sentinel) dependencies() (addressed, healthy []Resource) { return nil, nil }

func (s *Sentinel) check() []error { return append(s.checkPassword(), s.image.check()...) }

func (s *Sentinel) support(e engine) error { return e.supports(&server{sentinel: true}) }

func (s *Sentinel) prepare(_ context.Context, a *App, m *member) error {
	image := s.image.String()
	m.servers = []*server{
		{name: s.name + ".primary", image: image},
		{name: s.name + ".replica", image: image},
	}
	for n := range sentinels {
		m.servers = append(m.servers, &server{name: s.name + ".sentinel." + strconv.Itoa(n+1), image: image, sentinel: true})
	}
	s.image.warn(a, s.name)
	return a.secure(&s.secured, s.name, m.servers...)
}

func (s *Sentinel) start(ctx context.Context, a *App, m *member) (err error) {
	primary, replica := m.servers[0], m.servers[1]
	m.instances, err = startPeers(ctx, a.engine, m, 0, func() {
		port := strconv.Itoa(primary.port)
		replica.directives = [][]string{{"replicaof", loopback, port}}
		primary.directives = [][]string{{"repl-diskless-sync-delay", "0"}} // the default makes a new replica wait 5 s
		for _, sentinel := range m.servers[2:] {
			sentinel.directives = [][]string{
				{"sentinel", "monitor", SentinelMaster, loopback, port, strconv.Itoa(sentinels/2 + 1)},
				{"sentinel", "down-after-milliseconds", SentinelMaster, "2000"},
				{"sentinel", "failover-timeout", SentinelMaster, "10000"},
			}
			if sentinel.password != "" {
				sentinel.directives = append(sentinel.directives, []string{"sentinel", "auth-pass", SentinelMaster, sentinel.password})
			}
		}
	})
	if err != nil {
		return err
	}
	spec := connectionSpec{
		name:     s.name,
		addrs:    addresses(m.instances[2:]),
		password: primary.password,
		tls:      primary.tls,
		master:   SentinelMaster,
	}
	m.progress("waiting for the sentinels to agree")
	ctx, cancel := context.WithTimeout(ctx, a.options.startTimeout)
	defer cancel()
	if err := introduce(ctx, spec, m.instances[0].address()); err != nil {
		return fmt.Errorf("the sentinels do not know the replica: %w", err)
	}
	for _, addr := range spec.addrs {
		if err := agree(ctx, spec, addr); err != nil {
			return fmt.Errorf("the sentinels do not agree: %w", err)
		}
	}
	m.connected(&s.Connection, spec)
	return nil
}

// introduce has the sentinels look for the replica as soon as it is there: they forget what they
// know but for the primary's address. Those that have looked too early would do so again after ten seconds.
func introduce(ctx context.Context, spec connectionSpec, primary string) error {
	err := asking(ctx, spec, primary, func(server *redis.Client) error {
		info, err := server.Info(ctx, "replication").Result()
		if err == nil && !strings.Contains(info, "connected_slaves:1") {
			err = errors.New("the primary has no replica")
		}
		return err
	})
	for _, addr := range spec.addrs {
		if err == nil {
			err = asking(ctx, spec, addr, func(sentinel *redis.Client) error {
				return sentinel.Do(ctx, "SENTINEL", "RESET", SentinelMaster).Err()
			})
		}
	}
	return err
}

// agree waits until a sentinel knows the others and the replica.
func agree(ctx context.Context, spec connectionSpec, addr string) error {
	return asking(ctx, spec, addr, func(sentinel *redis.Client) error {
		master, err := sentinel.Do(ctx, "SENTINEL", "MASTER", SentinelMaster).Result()
		if err != nil {
			return err
		}
		fields, _ := master.(map[any]any)
		if fields["num-slaves"] != "1" || fields["num-other-sentinels"] != strconv.Itoa(sentinels-1) || fields["flags"] != "master" {
			return errors.New("a sentinel does not know the replica and all the others")
		}
		return nil
	})
}

// asking asks one server until the answer is good or ctx ends.
func asking(ctx context.Context, spec connectionSpec, addr string, ask func(*redis.Client) error) error {
	client, err := adminClient(spec, addr)
	if err != nil {
		return err
	}
	defer client.Close()
	return eventually(ctx, func() error { return ask(client) })
}
