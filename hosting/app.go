package hosting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
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

// member is a resource of an app that runs.
type member struct {
	resource resource
	app      *App

	addressed, healthy chan struct{} // closed when it is so
	gone               chan struct{} // closed when it has stopped

	// What prepare and start set.
	servers   []*server
	program   string
	instances []instance
	health    health   // nil: it has none
	tolerated bool     // the app starts whether it is healthy or not
	lasts     bool     // it is left running
	forget    []func() // called when it has stopped
	omitted   bool

	mu   sync.Mutex
	view view
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

func newMember(a *App, r resource) *member {
	m := &member{
		resource:  r,
		app:       a,
		addressed: make(chan struct{}),
		healthy:   make(chan struct{}),
		gone:      make(chan struct{}),
		view:      view{name: r.Name(), kind: r.kind()},
	}
	m.show(stateWaiting, "")
	return m
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

// bring starts the resource after those that it needs, and returns when it is healthy, or
// runs if it has no check.
func (m *member) bring(ctx, watch context.Context) error {
	a := m.app
	if err := m.resource.prepare(ctx, a, m); err != nil {
		return err
	}
	m.show(stateWaiting, "")
	if err := m.await(ctx); err != nil {
		return err
	}
	m.show(stateStarting, "")
	if err := m.resource.start(ctx, a, m); err != nil {
		return err
	}
	close(m.addressed)
	m.show(stateStarting, "")
	switch {
	case m.health == nil:
		m.show(stateRunning, "")
		close(m.healthy)
	case m.tolerated:
		close(m.healthy) // nobody waits: it is asked when all the others are there
	default:
		if err := m.health.wait(ctx, a.options.startTimeout, m.instances); err != nil {
			return err
		}
		m.show(stateHealthy, "")
		close(m.healthy)
	}
	a.watchers.Go(func() { m.watch(watch) })
	return nil
}

// await waits for the resources that this one needs.
func (m *member) await(ctx context.Context) error {
	addressed, healthy := m.resource.dependencies()
	for _, r := range addressed {
		if err := m.awaitOne(ctx, m.app.members[r.resource()].addressed); err != nil {
			return err
		}
	}
	for _, r := range healthy {
		other := m.app.members[r.resource()]
		if other.omitted {
			continue
		}
		if err := m.awaitOne(ctx, other.healthy); err != nil {
			return err
		}
	}
	return nil
}

func (*member) awaitOne(ctx context.Context, event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watch reports when the resource ends by itself, or its health changes.
func (m *member) watch(ctx context.Context) {
	ended := make(chan instance)
	for _, i := range m.instances {
		m.app.watchers.Go(func() {
			select {
			case <-i.done():
				select {
				case ended <- i:
				case <-ctx.Done():
				}
			case <-ctx.Done():
			}
		})
	}
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	if m.tolerated {
		m.ask(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case i := <-ended:
			m.end(i)
			if m.health == nil || len(m.instances) == 1 {
				return
			}
		case <-ticker.C:
			m.ask(ctx)
		}
	}
}

// end reports an instance that has ended by itself.
func (m *member) end(i instance) {
	reason := "it has ended"
	if err := i.err(); err != nil {
		reason = err.Error()
	}
	m.app.log.Error("hosting: a resource has ended", "resource", m.resource.Name(), "address", i.address(), "reason", reason)
	m.app.line(m.resource.Name(), reason)
	m.show(stateEnded, firstLine(reason))
}

// ask asks for the health of the resource, and reports when it has changed.
func (m *member) ask(ctx context.Context) {
	if m.health == nil {
		return
	}
	err := m.health.within(ctx)
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	before := m.view.state
	m.mu.Unlock()
	switch {
	case err == nil && before != stateHealthy:
		m.app.log.Info("hosting: healthy", "resource", m.resource.Name(), "check", m.checkName())
		m.show(stateHealthy, "")
	case err != nil && before != stateUnhealthy:
		m.app.log.Warn("hosting: not healthy", "resource", m.resource.Name(), "check", m.checkName(), "error", err)
		m.show(stateUnhealthy, firstLine(err.Error()))
	}
}

// checkName is the name of the health check.
func (m *member) checkName() string { return m.resource.Name() + "_check" }

// connected publishes the connection of a Redis that has started. nodes are what there is to ask
// for its health, where that is more than the connection's addresses.
func (m *member) connected(c *Connection, spec connectionSpec, nodes ...string) {
	asked := spec
	if len(nodes) > 0 {
		asked.addrs = nodes
	}
	check, end, err := pings(asked)
	if err != nil {
		check = func(context.Context) error { return err } // it was parsed before
	} else {
		m.forget = append(m.forget, end)
	}
	m.health = check
	m.forget = append(m.forget, func() { c.spec.set(connectionSpec{}) })
	m.view.address = joined(spec)
	c.spec.set(spec)
}

// joined are the addresses of a connection, for people.
func joined(spec connectionSpec) string {
	o, err := spec.universalOptions()
	if err != nil {
		return ""
	}
	return strings.Join(o.Addrs, " ")
}

// progress says what takes time.
func (m *member) progress(detail string) { m.show(stateStarting, detail) }

func (m *member) show(s state, detail string) {
	m.mu.Lock()
	m.view.state, m.view.detail = s, detail
	v := m.view
	m.mu.Unlock()
	m.app.log.Debug("hosting: "+string(s), "resource", v.name, "detail", detail, "address", v.address)
	if m.app.console != nil {
		m.app.console.set(v)
	}
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
