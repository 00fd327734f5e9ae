package hosting

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// launch is one call of start. It knows what it has made, to take it away again.
type launch struct {
	*containers
	mu    sync.Mutex
	names []string
	watch []*runningContainer
}

func (l *launch) undo(ctx context.Context) {
	for _, r := range l.watch {
		r.release()
	}
	for _, name := range l.names {
		if err := removeContainer(ctx, l.api, name); err != nil {
			l.log.Warn("hosting: a container that did not start is left", "container", name, "error", err)
		}
	}
}

// alone starts a server with a network interface of its own.
func (l *launch) alone(ctx context.Context, s *server) (instance, error) {
	spec, err := l.serverSpec(ctx, s, redisPort)
	if err != nil {
		return nil, err
	}
	spec.publish(redisPort, s.port)
	spec.Aliases = []string{s.name}
	if spec.Network, err = l.network(ctx, s.persistent); err != nil {
		return nil, err
	}
	id, err := l.up(ctx, spec)
	if err != nil {
		return nil, err
	}
	l.place(s, innerPlace{container: id, aliases: spec.Aliases, port: redisPort, outlives: s.persistent})
	return l.published(ctx, newServerContainer(l.api, s, spec, id), redisPort)
}

// together starts servers that share a network interface.
func (l *launch) together(ctx context.Context, group []*server) ([]instance, error) {
	shared := l.holderSpec(group)
	var err error
	if shared.Network, err = l.network(ctx, group[0].persistent); err != nil {
		return nil, err
	}
	var h holder
	if h.id, err = l.up(ctx, shared); err != nil {
		return nil, err
	}
	instances, errs := make([]instance, len(group)), make([]error, len(group))
	var all sync.WaitGroup
	for i, s := range group {
		all.Go(func() {
			spec, err := l.serverSpec(ctx, s, s.port)
			if err != nil {
				errs[i] = err
				return
			}
			spec.Host.NetworkMode = container.NetworkMode("container:" + h.id)
			member, err := l.up(ctx, spec)
			if err != nil {
				errs[i] = err
				return
			}
			l.place(s, innerPlace{container: h.id, aliases: shared.Aliases, port: s.port, outlives: s.persistent})
			r := newServerContainer(l.api, s, spec, member)
			r.addr = localAddress(s.port)
			r.holder = &h
			h.members.Add(1)
			instances[i] = l.watched(r)
		})
	}
	all.Wait()
	return instances, errors.Join(errs...)
}

func newServerContainer(api *client.Client, s *server, spec *containerSpec, id string) *runningContainer {
	return &runningContainer{
		api: api, id: id, name: spec.Name, secrets: s.secrets(), saves: true, persistent: s.persistent,
	}
}

func (l *launch) place(s *server, at innerPlace) {
	l.containers.mu.Lock()
	defer l.containers.mu.Unlock()
	l.placed[s] = at
}

func (l *launch) watched(r *runningContainer) instance {
	r.watch()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watch = append(l.watch, r)
	return r
}

// published finds out at which port of the host the container's inner port is.
func (l *launch) published(ctx context.Context, r *runningContainer, inner int) (instance, error) {
	i := l.watched(r)
	var err error
	if r.addr, err = publishedAt(ctx, l.api, r.id, inner); errors.Is(err, errNotPublished) {
		select {
		case <-i.done(): // it has ended already, and says why
			return nil, i.err()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return i, err
}

// up makes a container and starts it. One that outlives the run is taken over when it was
// made of the same, and replaced when not.
func (l *launch) up(ctx context.Context, spec *containerSpec) (string, error) {
	id, err := l.bringUp(ctx, spec)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, ErrPortTaken) {
		err = fmt.Errorf("container %s: %w", spec.Name, err)
	}
	return id, err
}

func (l *launch) bringUp(ctx context.Context, spec *containerSpec) (string, error) {
	labels := l.labels(spec.Persistent)
	if spec.Persistent {
		unlock, err := l.run.lockPersistent(ctx, spec.Name)
		if err != nil {
			return "", err
		}
		defer unlock()
		fingerprint, err := spec.fingerprint()
		if err != nil {
			return "", err
		}
		labels[configurationLabel] = fingerprint
		if id, err := l.takeOver(ctx, spec, fingerprint); id != "" || err != nil {
			return id, err
		}
	}
	for _, port := range spec.hostPorts() {
		if err := checkPort(port); err != nil {
			return "", err
		}
	}
	id, err := l.create(ctx, spec, labels)
	if err != nil {
		return "", err
	}
	_, err = l.api.ContainerStart(ctx, id, client.ContainerStartOptions{})
	return id, portError(err, spec.hostPorts())
}

// create makes a container with its files in it.
func (l *launch) create(ctx context.Context, spec *containerSpec, labels map[string]string) (string, error) {
	files, err := spec.archive()
	if err != nil || ctx.Err() != nil {
		return "", errors.Join(err, ctx.Err())
	}
	ctx, cancel := wholly(ctx) // or there would be a container that nobody knows of
	defer cancel()
	made, err := l.api.ContainerCreate(ctx, spec.options(labels))
	if err != nil {
		return "", err
	}
	l.mu.Lock()
	l.names = append(l.names, made.ID)
	l.mu.Unlock()
	if len(spec.Files) > 0 {
		_, err = l.api.CopyToContainer(ctx, made.ID, client.CopyToContainerOptions{DestinationPath: "/", Content: files})
	}
	return made.ID, err
}

// takeOver finds the container of an earlier run: its id when it runs again, "" when there
// is none now.
func (l *launch) takeOver(ctx context.Context, spec *containerSpec, fingerprint string) (string, error) {
	found, err := l.api.ContainerInspect(ctx, spec.Name, client.ContainerInspectOptions{})
	if err != nil {
		return "", exceptGone(err)
	}
	old := found.Container
	same := old.Config != nil && old.Config.Labels[configurationLabel] == fingerprint
	switch {
	case same && old.State.Status == container.StateRunning:
		return old.ID, nil
	case same && old.State.Status == container.StateExited:
		_, err = l.api.ContainerStart(ctx, old.ID, client.ContainerStartOptions{})
		if !errdefs.IsNotFound(err) { // something that it needs has gone, such as a network
			return old.ID, portError(err, spec.hostPorts())
		}
	}
	l.log.Info("hosting: replacing the container of an earlier run", "container", spec.Name)
	return "", endContainer(ctx, l.api, old.ID)
}

// portWords is how engines say that a port is taken.
var portWords = regexp.MustCompile(`(?i)port is already allocated|address already in use`)

// portError is an error of the engine, or ErrPortTaken if that is what it means.
func portError(err error, ports []int) error {
	if err == nil || len(ports) == 0 || !portWords.MatchString(err.Error()) {
		return err
	}
	for _, port := range ports {
		if regexp.MustCompile(`:` + strconv.Itoa(port) + `\b`).MatchString(err.Error()) {
			return portTaken(port)
		}
	}
	return portTaken(ports[0])
}
