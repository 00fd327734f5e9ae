package hosting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// App is an app that runs. [Builder.Start] makes it. Its methods may be called from
// several goroutines.
type App struct {
	builder *Builder
	options options
	path    string
	log     *slog.Logger
	console *console // nil: nobody looks
	run     *run
	engine  engine
	members map[resource]*member

	watching context.CancelFunc
	watchers sync.WaitGroup
	stopping sync.Once
	stopped  chan struct{} // closed once all has stopped
	result   error
}

// startApp starts all resources of a builder whose declaration has been checked.
func startApp(ctx context.Context, b *Builder, output io.Writer) (_ *App, err error) {
	a := &App{builder: b, options: b.options, log: b.options.logger, members: map[resource]*member{}, stopped: make(chan struct{})}
	if output != nil {
		a.console = newConsole(output)
	}
	defer func() {
		if err != nil {
			_ = a.Stop(context.WithoutCancel(ctx)) // what has started; the error is that of starting
		}
	}()
	for _, r := range b.resources {
		a.members[r] = newMember(a, r)
	}
	if a.path, err = b.path(); err != nil {
		return nil, fmt.Errorf("hosting: the app's folder: %w", err)
	}
	home, err := openHome(b.options.home, b.name, a.path)
	if err != nil {
		return nil, fmt.Errorf("hosting: %w", err)
	}
	a.sweep(ctx, home)
	if a.run, err = home.startRun(); err != nil {
		return nil, fmt.Errorf("hosting: %w", err)
	}
	if a.engine, err = chooseEngine(ctx, b.options.runtime, a.run, a.log); err != nil {
		return nil, fmt.Errorf("hosting: %w", err)
	}
	if err := a.support(); err != nil {
		return nil, err
	}
	if err := a.startMembers(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// sweepTimeout bounds the end of what a run that died has left behind.
const sweepTimeout = 10 * time.Second

// sweep clears away what runs of the app have left behind that died.
func (a *App) sweep(ctx context.Context, h *home) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	runs, err := h.dead()
	if err != nil {
		a.log.Warn("hosting: cannot look for what earlier runs have left", "error", err)
	}
	for _, r := range runs {
		sweepProcesses(ctx, r.dir)
		if err := sweepContainers(ctx, r); err != nil {
			// The folder stays, for a run that can.
			a.log.Warn("hosting: cannot clear away the containers of an earlier run", "run", r.id, "error", err)
			_ = r.lock.Unlock()
			continue
		}
		a.log.Info("hosting: cleared away what an earlier run has left", "run", r.id)
		r.end()
	}
}

// support asks the engine whether it can do what the resources need, and omits those that
// need not be there.
func (a *App) support() error {
	var errs []error
	for _, r := range a.builder.resources {
		err := r.support(a.engine)
		var left *omission
		switch {
		case errors.As(err, &left):
			m := a.members[r]
			m.omitted = true
			m.show(stateOmitted, left.Error())
			a.log.Warn("hosting: omitted", "resource", r.Name(), "reason", left.Error())
		case err != nil:
			errs = append(errs, &ResourceError{r.Name(), err})
		}
	}
	return errors.Join(errs...)
}

func (a *App) startMembers(ctx context.Context) error {
	watch, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.watching = cancel
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range a.members {
		if m.omitted {
			continue
		}
		group.Go(func() error {
			err := m.bring(ctx, watch)
			if err == nil {
				return nil
			}
			if ctx.Err() == nil { // or else it only shares another's fate
				m.show(stateFailed, "")
			}
			return &ResourceError{m.resource.Name(), err}
		})
	}
	return group.Wait()
}

// line shows a line of a resource's output.
func (a *App) line(name, text string) {
	if a.console != nil {
		a.console.line(name, text)
	}
}

// resolve makes a path absolute.
func (a *App) resolve(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(a.path, path)
}

// waitedFor tells whether another resource waits for the health of this one.
func (a *App) waitedFor(r resource) bool {
	for _, other := range a.builder.resources {
		_, healthy := other.dependencies()
		if slices.ContainsFunc(healthy, func(w Resource) bool { return w.resource() == r }) {
			return true
		}
	}
	return false
}

// HealthChecks returns the health checks of the resources that have one, by name:
// "{resource}_check", as in Aspire. It is a map that cache.HealthHandler takes.
func (a *App) HealthChecks() map[string]func(context.Context) error {
	checks := map[string]func(context.Context) error{}
	for _, m := range a.members {
		if m.health != nil {
			checks[m.checkName()] = m.health
		}
	}
	return checks
}
