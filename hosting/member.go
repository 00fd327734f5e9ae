package hosting

import (
	"context"
	"strings"
	"sync"
)

// member is a resource of an app that runs.
type member struct {
	resource resource
	app      *App

	needs, waits       []Resource    // what has to have an address first, and to be healthy
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

func newMember(a *App, r resource) *member {
	m := &member{
		resource:  r,
		app:       a,
		addressed: make(chan struct{}),
		healthy:   make(chan struct{}),
		gone:      make(chan struct{}),
		view:      view{name: r.Name(), kind: r.kind()},
	}
	m.needs, m.waits = r.dependencies()
	m.show(stateWaiting, "")
	return m
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
	case m.tolerated:
		// Nobody waits: it is asked when all the others are there.
	default:
		if err := m.health.wait(ctx, a.options.startTimeout, m.instances); err != nil {
			return err
		}
		m.show(stateHealthy, "")
	}
	close(m.healthy)
	a.watchers.Go(func() { m.watch(watch) })
	return nil
}

// await waits for the resources that this one needs.
func (m *member) await(ctx context.Context) error {
	for _, r := range m.needs {
		if err := m.awaitOne(ctx, r, m.app.members[r.resource()].addressed); err != nil {
			return err
		}
	}
	for _, r := range m.waits {
		if err := m.awaitOne(ctx, r, m.app.members[r.resource()].healthy); err != nil {
			return err
		}
	}
	return nil
}

func (m *member) awaitOne(ctx context.Context, r Resource, event <-chan struct{}) error {
	m.show(stateWaiting, "for "+r.Name())
	select {
	case <-event:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// optional tells whether the app starts without the resource where it cannot be had.
func (m *member) optional() bool {
	u, ok := m.resource.(*UI)
	return ok && u.optional
}

// omit leaves the resource out, with what there is of it. Nobody waits for it any more.
func (m *member) omit(ctx context.Context, err error) {
	if stopped := m.stopInstances(ctx); stopped != nil {
		m.app.log.Warn("hosting: it does not stop", "resource", m.resource.Name(), "error", stopped)
	}
	for _, f := range m.forget {
		f()
	}
	m.omitted, m.instances, m.health, m.forget = true, nil, nil, nil
	m.view.address, m.view.links = "", nil
	m.show(stateOmitted, firstLine(err.Error()))
	m.app.log.Warn("hosting: omitted", "resource", m.resource.Name(), "reason", err.Error())
	select {
	case <-m.addressed:
	default:
		close(m.addressed)
	}
	close(m.healthy)
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

// serves publishes the address of what serves HTTP.
func (m *member) serves(to *published[string], address string) {
	to.set(address)
	m.forget = append(m.forget, func() { to.set("") })
	m.view.address, m.view.links = address, []string{urlOf(to)}
}

// urlOf is where something serves HTTP, "" when it does not.
func urlOf(address *published[string]) string {
	if at := address.get(); at != "" {
		return "http://" + at + "/"
	}
	return ""
}

// firstLine is what of an error fits into a table.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
