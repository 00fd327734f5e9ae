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
// [WithStopTimeout], or when ctx ends, is killed, and the error says so. A ctx that has ended before is
// taken for none: it may be the one whose end is the reason to stop. Afterwards no
// container, process, port or file of the run is left, but for what has a [PersistentLifetime]. Where
// that cannot be had, because the container engine has gone, the error says so, and the next run of
// the app clears it away. Stop may be called again, and returns the same.
func (a *App) Stop(ctx context.Context) error {
	a.stopping.Do(func() {
		if ctx.Err() != nil {
			ctx = context.WithoutCancel(ctx)
		}
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
	a.watchers.Wait() // one may have asked a server for its health that has just ended
	if a.engine != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.options.stopTimeout)
		defer cancel()
		if err := a.engine.close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("hosting: %w", err))
		}
	}
	if a.run != nil {
		// What was killed is gone; other errors are about what may still be there.
		if slices.ContainsFunc(errs, func(err error) bool { return !errors.Is(err, errKilled) }) {
			a.run.leave()
		} else {
			a.run.end()
		}
	}
	if a.console != nil {
		a.console.close()
	}
	return errors.Join(errs...)
}

// dependants are the resources that need this one.
func (a *App) dependants(m *member) (all []*member) {
	for _, other := range a.members {
		if slices.ContainsFunc(slices.Concat(other.needs, other.waits), func(r Resource) bool { return r.resource() == m.resource }) {
			all = append(all, other)
		}
	}
	return all
}

func (m *member) stop(ctx context.Context) error {
	m.mu.Lock()
	last := m.view.state
	m.view.links = nil // they lead nowhere
	m.mu.Unlock()
	if len(m.instances) > 0 && last != stateFailed && last != stateEnded {
		m.show(stateStopping, "")
	}
	err := m.stopInstances(ctx)
	for _, f := range m.forget {
		f()
	}
	switch {
	case last == stateFailed || last == stateEnded || last == stateOmitted:
	case m.lasts:
		m.show(stateLeft, "")
	default:
		m.show(stateStopped, "")
	}
	return err
}

// stopInstances stops what was started, all of it at a time.
func (m *member) stopInstances(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.app.options.stopTimeout)
	defer cancel()
	errs := make([]error, len(m.instances))
	var stops sync.WaitGroup
	for n, i := range m.instances {
		stops.Go(func() { errs[n] = i.stop(ctx) })
	}
	stops.Wait()
	return errors.Join(errs...)
}
