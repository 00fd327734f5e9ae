package hosting

import (
	"context"
	"errors"
	"fmt"
)

// RuntimeKind says where an app's servers run. See [WithRuntime].
type RuntimeKind string

const (
	// AutomaticRuntime takes the first that is there: a container engine, a
	// redis-server on PATH, and at last Redis in memory. It is the default.
	AutomaticRuntime RuntimeKind = "automatic"
	// ContainerRuntime runs containers in Docker or Podman, or what speaks their
	// API, on this machine. It can do everything.
	ContainerRuntime RuntimeKind = "container"
	// ProcessRuntime runs the redis-server that is on PATH. It can do everything
	// but Redis Insight, which exists as an image only.
	ProcessRuntime RuntimeKind = "process"
	// EmbeddedRuntime runs miniredis inside the program. It needs nothing, keeps
	// nothing, and has neither sentinels nor more than one node in a cluster.
	EmbeddedRuntime RuntimeKind = "embedded"
)

// RuntimeVariable is the environment variable that says which runtime to use where
// the program does not: one of the RuntimeKinds.
const RuntimeVariable = "REDISBINDING_HOSTING_RUNTIME"

var (
	// ErrUnsupported is what errors wrap about something that the runtime in use
	// cannot do.
	ErrUnsupported = errors.New("not supported by the runtime")
	// ErrNoRuntime is what errors wrap when the runtime that was asked for is not
	// there: no container engine answers, or there is no redis-server on PATH.
	ErrNoRuntime = errors.New("the runtime is not there")
	// ErrPortTaken is what errors wrap when somebody else listens on the host port
	// that was asked for.
	ErrPortTaken = errors.New("the port is taken")
)

// engine is a runtime at work for one run of an app.
type engine interface {
	kind() RuntimeKind
	// where says where servers run, behind "Redis runs".
	where() string

	// supports answers nil, or an error that wraps ErrUnsupported. It is asked before
	// anything is started.
	supports(s *server) error
	supportsUI(u *uiServer) error

	// start starts servers that reach each other, and are reached, at 127.0.0.1 and
	// their ports; a single one may have port 0, for any that is free. It returns once
	// they run, which is before they answer. When it fails nothing of them is left. An
	// error wraps ErrPortTaken where that is the reason. progress is told in few words
	// what takes time, such as pulling an image.
	start(ctx context.Context, group []*server, progress func(string)) ([]instance, error)
	startUI(ctx context.Context, u *uiServer, progress func(string)) (instance, error)

	// retire ends the servers that earlier runs have left running because they were
	// persistent, but for those that still are.
	retire(ctx context.Context, persistent []string) error

	// close is called once everything was stopped. It takes away what the run had beside
	// its servers (a network), and releases the engine.
	close(ctx context.Context) error
}

// instance is something that was started. Its methods may be called from several
// goroutines.
type instance interface {
	// address is where it listens: 127.0.0.1 and a port. A command has none.
	address() string
	// done is closed when it has ended, for whatever reason.
	done() <-chan struct{}
	// err says why it has ended, with the end of its log, and nil before that.
	err() error
	// stop ends it gracefully, so that it can save its data, and takes it away. When ctx
	// ends first, it is killed. After it nothing is left. An instance that is to stay
	// (server.persistent) is let go of instead: it runs on.
	stop(ctx context.Context) error
}

// unsupported is an error of supports.
func unsupported(kind RuntimeKind, what, instead string) error {
	return fmt.Errorf("%s: %w %q: %s", what, ErrUnsupported, string(kind), instead)
}
