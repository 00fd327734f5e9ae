package hosting

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/moby/moby/client"
)

// sweepContainers removes what a run that died has left in its engine. It fails when the
// engine does not answer now; then the run's folder is needed again.
func sweepContainers(ctx context.Context, r *run) error {
	host, err := os.ReadFile(engineFile(r))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it had none
	}
	if err != nil {
		return err
	}
	api, err := connectEngine(ctx, string(host))
	if err != nil {
		return fmt.Errorf("the container engine of an earlier run, %s: %w", host, err)
	}
	defer func() { _ = api.Close() }()

	return removeLabelled(ctx, api, r.id)
}

// removeLabelled removes the containers and networks of a run.
func removeLabelled(ctx context.Context, api *client.Client, run string) error {
	mine := make(client.Filters).Add("label", runLabel+"="+run)
	found, err := api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine})
	if err != nil {
		return err
	}
	errs := make([]error, len(found.Items))
	var all sync.WaitGroup
	for i, left := range found.Items {
		all.Go(func() {
			_ = stopContainer(ctx, api, left.ID) // it is removed in any case
			errs[i] = removeContainer(ctx, api, left.ID)
		})
	}
	all.Wait()
	networks, err := api.NetworkList(ctx, client.NetworkListOptions{Filters: mine})
	errs = append(errs, err)
	for _, network := range networks.Items {
		errs = append(errs, removeNetwork(ctx, api, network.ID))
	}
	return errors.Join(errs...)
}
