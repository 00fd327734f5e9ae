package hosting

import (
	"context"
	"time"
)

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
			if ctx.Err() != nil { // it was asked to
				return
			}
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
