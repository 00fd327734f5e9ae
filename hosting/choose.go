package hosting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// chooseEngine finds the runtime that was asked for, or the first that is there.
func chooseEngine(ctx context.Context, kind RuntimeKind, r *run, log *slog.Logger) (engine, error) {
	source := "WithRuntime"
	if kind == "" {
		source = "the environment variable " + RuntimeVariable
		kind = RuntimeKind(strings.ToLower(os.Getenv(RuntimeVariable)))
	}
	makers := map[RuntimeKind]func() (engine, error){
		ContainerRuntime: func() (engine, error) { return orNil(newContainers(ctx, r, log)) },
		ProcessRuntime:   func() (engine, error) { return orNil(newProcesses(r, log)) },
		EmbeddedRuntime:  func() (engine, error) { return &embedded{run: r}, nil },
	}
	if kind == AutomaticRuntime || kind == "" {
		for _, kind := range []RuntimeKind{ContainerRuntime, ProcessRuntime} {
			e, err := makers[kind]()
			if err == nil || !errors.Is(err, ErrNoRuntime) {
				return e, err
			}
			log.Debug("hosting: not used", "runtime", string(kind), "reason", err)
		}
		log.Info("hosting: neither a container engine nor a redis-server: Redis runs inside the program, and keeps nothing")
		kind = EmbeddedRuntime
	}
	if makeEngine := makers[kind]; makeEngine != nil {
		return makeEngine()
	}
	return nil, fmt.Errorf("%s takes %q, %q, %q or %q, got %q", source,
		AutomaticRuntime, ContainerRuntime, ProcessRuntime, EmbeddedRuntime, kind)
}

// orNil is no interface that holds nil.
func orNil[T engine](e T, err error) (engine, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

// firstLine is what of an error fits into a table.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
