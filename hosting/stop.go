package hosting

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Stop stops the resources in reverse order, those first that others do not need,
// gracefully, so that data is saved. One that has not stopped within the time of
// [WithStopTimeout], or when ctx ends, is killed, and the error says so. Afterwards no
// container, process, port or file of the run is left, but for what has a [PersistentLifetime].
// It may be called again, and returns the same.
func (a *App) Stop(ctx context.Context) error {
	a.stopping.Do(func() {
		a.result = a.stop(ctx)
		a.builder.started.Store(false)
		close(a.stopped)
	})
	<-a.stopped
	return a.result
}

func (a *App) stop(ctx context.Context) error {
	if a.watching != nil {
		a.watching()
		a.watchers.Wait()
	}
	var (
		stops sync.WaitGroup
		mu    sync.Mutex
		errs  []error
	)
	for _, m := range a.members {
		dependants := a.dependants(m)
		stops.Go(func() {
			defer close(m.gone)
			for _, other := range dependants {
				<-other.gone
			}
			if err := m.stop(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, &ResourceError{m.resource.Name(), err})
			}
		})
	}
	stops.Wait()
	if a.engine != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.options.stopTimeout)
		defer cancel()
		if err := a.engine.close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("hosting: %w", err))
		}
	}
	if a.run != nil {
		a.run.end()
	}
	if a.console != nil {
		a.console.close()
	}
	return errors.Join(errs...)
}

// dependants are the resources that need this one.
func (a *App) dependants(m *member) (all []*member) {
	for _, r := range a.builder.resources {
		addressed, healthy := r.dependencies()
		if slices.ContainsFunc(slices.Concat(addressed, healthy), func(w Resource) bool { return w.resource() == m.resource }) {
			all = append(all, a.members[r])
		}
	}
	return all
}

func (m *member) stop(ctx context.Context) error {
	var errs []error
	if len(m.instances) > 0 {
		m.show(stateStopping, "")
		ctx, cancel := context.WithTimeout(ctx, m.app.options.stopTimeout)
		defer cancel()
		var (
			stops sync.WaitGroup
			mu    sync.Mutex
		)
		for _, i := range m.instances {
			stops.Go(func() {
				if err := i.stop(ctx); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
				}
			})
		}
		stops.Wait()
	}
	for _, f := range m.forget {
		f()
	}
	switch {
	case m.lasts:
		m.show(stateLeft, "")
	case len(m.instances) > 0:
		m.show(stateStopped, "")
	}
	return errors.Join(errs...)
}
