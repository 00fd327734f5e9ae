package hosting

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// networkName is that of the network of the run, in which names are unique, which they are
// not among several runs of the app; or of the app's, for what outlives the run.
func (c *containers) networkName(outlives bool) string {
	if outlives {
		return c.run.home.id
	}
	return c.run.home.id + "-" + c.run.id
}

// network makes a network when it is not there, and returns its name. That of the app stays.
func (c *containers) network(ctx context.Context, outlives bool) (string, error) {
	name := c.networkName(outlives)
	// Engines do not mind two of the same name.
	c.mu.Lock()
	defer c.mu.Unlock()
	if outlives {
		unlock, err := c.run.lockPersistent(ctx, ".network")
		if err != nil {
			return "", err
		}
		defer unlock()
	}
	_, err := c.api.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if errdefs.IsNotFound(err) {
		ctx, cancel := wholly(ctx)
		defer cancel()
		_, err = c.api.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge", Labels: c.labels(outlives)})
	}
	if err != nil {
		return "", fmt.Errorf("network %s: %w", name, err)
	}
	return name, nil
}

// aliased makes a container known in a network under other names than its own.
func aliased(aliases []string) *network.EndpointSettings {
	return &network.EndpointSettings{Aliases: aliases}
}

// removeNetwork removes a network, and from it the containers that stay.
func removeNetwork(ctx context.Context, api *client.Client, name string) error {
	found, err := api.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if err != nil {
		return exceptGone(err)
	}
	var errs []error
	for member := range found.Network.Containers {
		_, err := api.NetworkDisconnect(ctx, name, client.NetworkDisconnectOptions{Container: member, Force: true})
		errs = append(errs, exceptGone(err))
	}
	_, err = api.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
	return errors.Join(append(errs, exceptGone(err))...)
}

// exceptGone is for whoever wants something away.
func exceptGone(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
