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

	"golang.org/x/sync/errgroup"
)

// App is an app that runs. [Builder.Start] makes it. Its methods may be called from
// several goroutines.
type App struct {
	builder   *Builder
	options   options
	resources []resource
	path      string
	log       *slog.Logger
	console   *console // nil: nobody looks
	run       *run
	engine    engine
	members   map[resource]*member

	watching context.CancelFunc
	watchers sync.WaitGroup
	stopping sync.Once
	stopped  chan struct{} // closed once all has stopped
	result   error
}

// Format writes the name, whatever the verb: fmt would show the passwords of the app.
func (a *App) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.builder.name) }

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
	// What is declared from now on is for the next start.
	a.resources = slices.Clone(b.resources)
	for _, r := range a.resources {
		a.members[r] = newMember(a, r)
	}
	if a.path, err = b.path(); err != nil {
		return nil, fmt.Errorf("hosting: the app's folder: %w", err)
	}
	home, err := openHome(b.options.home, b.name, a.path)
	if err != nil {
		return nil, fmt.Errorf("hosting: %w", err)
	}
	if err := a.sweep(ctx, home); err != nil {
		return nil, err
	}
	if a.run, err = home.startRun(); err != nil {
		return nil, fmt.Errorf("hosting: %w", err)
	}
	a.run.startTimeout = b.options.startTimeout
	var why string
	if a.engine, why, err = chooseEngine(ctx, b.options.runtime, a.run, a.log); err != nil {
		return nil, fmt.Errorf("hosting: %w", err)
	}
	a.say(why)
	if err := a.support(ctx); err != nil {
		return nil, err
	}
	if err := a.engine.retire(ctx, a.persistent()); err != nil {
		return nil, fmt.Errorf("hosting: what earlier runs have left running: %w", err)
	}
	if err := a.startMembers(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// persistent are the names of the servers that outlive the app.
func (a *App) persistent() (names []string) {
	for _, r := range a.resources {
		if redis, ok := r.(*Redis); ok && redis.lifetime == PersistentLifetime {
			names = append(names, redis.name)
		}
	}
	return names
}

// sweep clears away what runs of the app have left behind that died. It is not interrupted: servers
// are saving their data.
func (a *App) sweep(ctx context.Context, h *home) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	runs, err := h.dead()
	if err != nil {
		a.log.Warn("hosting: cannot look for what earlier runs have left", "error", err)
	}
	if len(runs) > 0 {
		a.say("clearing away what an earlier run has left")
	}
	var all sync.WaitGroup
	for _, r := range runs {
		all.Go(func() {
			ctx, cancel := wholly(ctx)
			defer cancel()
			sweepProcesses(ctx, r.dir)
			if err := sweepContainers(ctx, r); err != nil {
				a.log.Warn("hosting: cannot clear away the containers of an earlier run", "run", r.id, "error", err)
				r.leave() // for a run that can
				return
			}
			a.log.Info("hosting: cleared away what an earlier run has left", "run", r.id)
			r.end()
		})
	}
	all.Wait()
	return nil
}

// support asks the engine whether it can do what the resources need, and omits those that
// need not be there.
func (a *App) support(ctx context.Context) error {
	var errs []error
	for _, r := range a.resources {
		m, err := a.members[r], r.support(a.engine)
		switch {
		case errors.Is(err, ErrUnsupported) && m.optional():
			m.omit(ctx, err)
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
			if ctx.Err() == nil && m.optional() {
				m.omit(ctx, err)
				return nil
			}
			if ctx.Err() == nil { // or else it only shares another's fate
				m.show(stateFailed, firstLine(err.Error()))
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

// say shows a line of the app's own.
func (a *App) say(text string) {
	if a.console != nil {
		a.console.say(text)
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
	for _, other := range a.resources {
		healthy := a.members[other].waits
		if slices.ContainsFunc(healthy, func(w Resource) bool { return w.resource() == r }) {
			return true
		}
	}
	return false
}

// HealthChecks returns the health checks of the resources that have one, by name:
// "{resource}_check", as in Aspire. It is a map that cache.HealthHandler takes. A check
// takes 2 seconds at most.
func (a *App) HealthChecks() map[string]func(context.Context) error {
	checks := map[string]func(context.Context) error{}
	for _, m := range a.members {
		if m.health != nil {
			checks[m.checkName()] = m.health.within
		}
	}
	return checks
}
