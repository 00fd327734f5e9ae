package hosting

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ExistingRedis is a Redis that the app neither starts nor stops.
type ExistingRedis struct {
	named
	Connection
}

func (r *ExistingRedis) resource() resource { return r }
func (r *ExistingRedis) kind() string       { return "connection string" }

func (r *ExistingRedis) dependencies() (addressed, healthy []Resource) { return nil, nil }

func (r *ExistingRedis) check() []error {
	spec := connectionSpec{name: r.name, given: r.configured()}
	if spec.given == "" {
		return []error{fmt.Errorf("there is no connection string: set the environment variable %s, for instance to localhost:6379", strings.ReplaceAll(r.variable(), "-", "_"))}
	}
	if _, err := spec.universalOptions(); err != nil {
		return []error{fmt.Errorf("the environment variable %s: %w", r.variable(), err)}
	}
	return nil
}

func (r *ExistingRedis) variable() string { return "ConnectionStrings__" + r.name }

// configured is the connection string of the environment.
func (r *ExistingRedis) configured() string {
	// The latter for shells, which set no variable with a hyphen.
	for _, wanted := range []string{r.variable(), strings.ReplaceAll(r.variable(), "-", "_")} {
		for _, variable := range os.Environ() {
			if name, value, _ := strings.Cut(variable, "="); strings.EqualFold(name, wanted) && value != "" {
				return value
			}
		}
	}
	return ""
}

func (r *ExistingRedis) support(engine) error { return nil }

func (r *ExistingRedis) prepare(context.Context, *App, *member) error { return nil }

func (r *ExistingRedis) start(_ context.Context, a *App, m *member) error {
	spec := connectionSpec{name: r.name, given: r.configured()}
	if spec.given == "" {
		return errors.New("its connection string has gone from the environment")
	}
	// Nobody waits: that it does not answer is worth a warning, and no reason not to start.
	m.tolerated = !a.waitedFor(r)
	m.lasts = true
	m.connected(&r.Connection, spec)
	return nil
}
