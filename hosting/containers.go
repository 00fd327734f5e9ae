package hosting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/moby/moby/client"
)

// containers is the engine that runs containers in Docker, Podman, or what speaks their
// API.
type containers struct {
	api *client.Client
	run *run
	log *slog.Logger
	uid int // the caller's
	gid int

	mu sync.Mutex
	// placed are the servers that were started, and where other containers reach them
	// under their names.
	placed map[*server]innerPlace
	// taken are the volumes and folders that servers write to, and their containers.
	taken map[string]string
}

// innerPlace is where a server is in its networks.
type innerPlace struct {
	container string // whose network interface it has
	aliases   []string
	port      int
	outlives  bool // the run, and so is in no network of it
}

var _ engine = (*containers)(nil)

// newContainers finds the container engine of this machine and writes into the run's
// folder which it is, for [sweepContainers]. Its error wraps ErrNoRuntime when there is
// none.
func newContainers(ctx context.Context, r *run, log *slog.Logger) (*containers, error) {
	api, host, err := findEngine(ctx)
	if err != nil {
		return nil, err
	}
	log.Debug("hosting: using a container engine", "host", host, "api", api.ClientVersion())
	return openContainers(api, host, r, log)
}

func openContainers(api *client.Client, host string, r *run, log *slog.Logger) (*containers, error) {
	if err := writeFile(engineFile(r), []byte(host)); err != nil {
		return nil, errors.Join(err, api.Close())
	}
	return &containers{
		api: api, run: r, log: log, uid: os.Getuid(), gid: os.Getgid(), placed: map[*server]innerPlace{}, taken: map[string]string{},
	}, nil
}

// engineFile has the address of the engine that a run uses.
func engineFile(r *run) string { return filepath.Join(r.dir, ".engine") } // no resource has that name

func (*containers) kind() RuntimeKind { return ContainerRuntime }

func (c *containers) where() string { return "in containers at " + c.api.DaemonHost() }

func (*containers) supports(*server) error     { return nil }
func (*containers) supportsUI(*uiServer) error { return nil }

// labels are those of what this run makes.
func (c *containers) labels(outlives bool) map[string]string {
	labels := map[string]string{appLabel: c.run.home.id}
	if !outlives {
		labels[runLabel] = c.run.id
	}
	return labels
}

func (c *containers) start(ctx context.Context, group []*server, progress func(string)) (_ []instance, err error) {
	var had string
	for _, s := range group {
		if s.image == had { // as those of a group mostly have the same
			continue
		}
		if err := c.haveImage(ctx, s.image, progress); err != nil {
			return nil, err
		}
		had = s.image
	}
	l := &launch{containers: c}
	defer func() {
		if err != nil {
			l.undo(ctx)
		}
	}()
	if len(group) == 1 {
		one, err := l.alone(ctx, group[0])
		if err != nil {
			return nil, err
		}
		return []instance{one}, nil
	}
	return l.together(ctx, group)
}

func (c *containers) startUI(ctx context.Context, u *uiServer, progress func(string)) (_ instance, err error) {
	if err := c.haveImage(ctx, u.image, progress); err != nil {
		return nil, err
	}
	network, err := c.network(ctx, false)
	if err != nil {
		return nil, err
	}
	for _, target := range u.targets {
		if err := c.introduce(ctx, target.server, network); err != nil {
			return nil, err
		}
	}
	spec := c.uiSpec(u)
	spec.Network = network
	l := &launch{containers: c}
	defer func() {
		if err != nil {
			l.undo(ctx)
		}
	}()
	id, err := l.up(ctx, spec)
	if err != nil {
		return nil, err
	}
	r := &runningContainer{api: c.api, id: id, name: spec.Name}
	return l.published(ctx, r, u.innerPort())
}

// introduce has a server that outlives the run join the network of the run, which it leaves
// when the network is removed.
func (c *containers) introduce(ctx context.Context, s *server, network string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	placed := c.placed[s]
	if !placed.outlives {
		return nil
	}
	found, err := c.api.NetworkInspect(ctx, network, client.NetworkInspectOptions{})
	if _, in := found.Network.Containers[placed.container]; err == nil && !in {
		_, err = c.api.NetworkConnect(ctx, network, client.NetworkConnectOptions{
			Container: placed.container, EndpointConfig: aliased(placed.aliases),
		})
	}
	if err != nil {
		return fmt.Errorf("connecting %s to the network of the run: %w", s.name, err)
	}
	return nil
}

// retire sees to the processes as well that the app left when it had no containers.
func (c *containers) retire(ctx context.Context, persistent []string) error {
	if err := c.run.retire(ctx, nil); err != nil {
		return err
	}
	mine := make(client.Filters).Add("label", appLabel+"="+c.run.home.id).Add("label", configurationLabel)
	found, err := c.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine})
	if err != nil {
		return err
	}
	for _, old := range found.Items {
		declared := slices.ContainsFunc(persistent, func(name string) bool {
			return slices.Contains(old.Names, "/"+c.containerName(name, true))
		})
		if declared {
			continue
		}
		c.log.Info("hosting: removing the container of an earlier run", "container", old.Names)
		if err := endContainer(ctx, c.api, old.ID); err != nil {
			return err
		}
	}
	if len(persistent) == 0 {
		return removeNetwork(ctx, c.api, c.networkName(true))
	}
	return nil
}

// endContainer stops a container and removes it, whoever waits for that.
func endContainer(ctx context.Context, api *client.Client, id string) error {
	ctx, cancel := wholly(ctx)
	defer cancel()
	if err := stopContainer(ctx, api, id); err != nil {
		return err
	}
	return removeContainer(ctx, api, id)
}

// close removes what has the run's label, which is more than the network when the engine
// was slow to answer.
func (c *containers) close(ctx context.Context) error {
	return errors.Join(removeLabelled(ctx, c.api, c.run.id), c.api.Close())
}
