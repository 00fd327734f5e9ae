package hosting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// chooseEngine finds the runtime that was asked for, or the first that is there, and says
// which it is.
func chooseEngine(ctx context.Context, kind RuntimeKind, r *run, log *slog.Logger) (_ engine, why string, err error) {
	source := "WithRuntime"
	if kind == "" {
		source = "the environment variable " + RuntimeVariable
		kind = RuntimeKind(strings.ToLower(os.Getenv(RuntimeVariable)))
	}
	var chosen engine
	switch kind {
	case ContainerRuntime:
		chosen, err = orNil(newContainers(ctx, r, log))
	case ProcessRuntime:
		chosen, err = orNil(newProcesses(r, log))
	case EmbeddedRuntime:
		chosen = &embedded{run: r}
	case AutomaticRuntime, "":
		return firstEngine(ctx, r, log)
	default:
		err = fmt.Errorf("%s takes %q, %q, %q or %q, got %q", source,
			AutomaticRuntime, ContainerRuntime, ProcessRuntime, EmbeddedRuntime, kind)
	}
	if err != nil {
		return nil, "", err
	}
	return chosen, "Redis runs " + chosen.where(), nil
}

// firstEngine is the automatic choice.
func firstEngine(ctx context.Context, r *run, log *slog.Logger) (_ engine, why string, err error) {
	containers, err := newContainers(ctx, r, log)
	if err == nil {
		return containers, "Redis runs " + containers.where(), nil
	}
	if !errors.Is(err, ErrNoRuntime) {
		return nil, "", err
	}
	why = "no container engine answers"
	for _, variable := range []string{dockerHostVariable, podmanHostVariable} {
		if host := os.Getenv(variable); host != "" { // somebody expects it to
			why = fmt.Sprintf("%s at %s=%s", why, variable, host)
			log.Warn("hosting: the container engine is not used", "reason", err)
			break
		}
	}
	processes, err := newProcesses(r, log)
	if err == nil {
		return processes, "Redis runs " + processes.where() + ": " + why, nil
	}
	e := &embedded{run: r}
	why = "Redis runs " + e.where() + ": " + why + ", and there is no redis-server"
	log.Info("hosting: " + why)
	return e, why, nil
}

// orNil is no interface that holds nil.
func orNil[T engine](e T, err error) (engine, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}
