// Redisbinding-dapr serves the Redis binding to daprd, as a pluggable component.
//
//	redisbinding-dapr
//
// serves the component type bindings.redisbinding on the socket redisbinding.sock in the
// folder that daprd watches. Start it before daprd, which looks for sockets once, when it
// starts. -h lists the flags. SIGINT and SIGTERM stop it as soon as the calls under way have
// ended; a second one ends it at once. It logs to standard error. The exit code is 0 after
// a stop, 2 for bad flags, and 1 for anything else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/adapters/dapr"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal does what it does to any process
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with what it depends on handed in. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, os.Getenv, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintln(stderr, err)
		return 2
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: c.logLevel}))
	redisbinding.LogRedisTo(logger)

	server, err := dapr.Listen(c.socket(),
		dapr.WithLogger(logger),
		dapr.WithSocketMode(c.mode),
		dapr.WithMaxMessageSize(c.maxMessageSize),
		dapr.WithStopTimeout(c.stopTimeout),
	)
	if err == nil {
		_, _ = fmt.Fprintf(stdout, "component type bindings.%s, version v1, on the socket %s\n", c.name, c.socket())
		err = server.Serve(ctx)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}
