// Sidecar serves the Redis bindings of a component file over HTTP, on the routes
// and with the answers of daprd, so that Dapr's SDKs and curl can use them.
//
//	go run ./examples/sidecar
//
// needs no Redis: it serves component.yaml, with an embedded Redis in memory
// (miniredis) unless REDIS_HOST names one. To use a component file of your own:
//
//	go run ./examples/sidecar -components redis.yaml -secrets secrets.json
//
// README.md has what to send to it.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redisbinding/redisbinding"
)

//go:embed component.yaml
var exampleComponents []byte

func main() {
	redisbinding.LogRedisTo(slog.Default()) // at debug level, in place of standard error
	var options options
	flag.StringVar(&options.components, "components", "", "the component `file`; without it an example on embedded Redis")
	flag.StringVar(&options.secrets, "secrets", "env", "where secretKeyRef finds secrets: env, a JSON `file`, or a folder")
	flag.StringVar(&options.listen, "listen", "127.0.0.1:3500", "the `address` to listen on")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "there are flags only, got %q: -h lists them\n", flag.Arg(0))
		os.Exit(2)
	}
	options.token = os.Getenv("DAPR_API_TOKEN")
	if err := run(options); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct{ components, secrets, listen, token string }

// run serves until the process is told to stop.
func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if o.components == "" && os.Getenv("REDIS_HOST") == "" {
		address, end, err := startEmbedded()
		if err != nil {
			return err
		}
		defer end()
		if err := os.Setenv("REDIS_HOST", address); err != nil {
			return err
		}
		fmt.Println("redis", address+", embedded and in memory")
	}
	components, err := load(o)
	if err != nil {
		return err
	}
	bindings := map[string]redisbinding.OutputBinding{}
	defer func() {
		for _, binding := range bindings {
			_ = binding.Close()
		}
	}()
	for _, c := range components {
		binding, err := redisbinding.NewRedisBinding(c.Metadata, redisbinding.WithLogger(slog.Default()))
		if err != nil {
			return fmt.Errorf("component %s: %w", c.Name, err)
		}
		bindings[c.Name] = binding
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	handler := redisbinding.Handler(bindings, redisbinding.WithAPIToken(o.token))
	return serve(ctx, listener, guard(handler, listener.Addr(), o.token))
}

// load reads the component file.
func load(o options) ([]redisbinding.Component, error) {
	file := exampleComponents
	if o.components != "" {
		var err error
		if file, err = os.ReadFile(o.components); err != nil {
			return nil, err
		}
	}
	secrets := redisbinding.EnvSecrets()
	if o.secrets != "env" {
		switch info, err := os.Stat(o.secrets); {
		case err != nil:
			return nil, fmt.Errorf("-secrets takes env, a JSON file or a folder: %w", err)
		case info.IsDir():
			secrets = redisbinding.FolderSecrets(o.secrets)
		default:
			secrets = redisbinding.FileSecrets(o.secrets)
		}
	}
	components, err := redisbinding.LoadComponents(bytes.NewReader(file), secrets)
	if err == nil && len(components) == 0 {
		err = fmt.Errorf("no component of type bindings.redis in %s", o.components)
	}
	return components, err
}

// serve serves until ctx ends, and then lets requests under way come to their end.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := newServer(handler, patience)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Println("listening on http://" + listener.Addr().String())

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var err error
	if err = server.Shutdown(ending); err != nil {
		err = fmt.Errorf("requests were cut off: %w", errors.Join(err, server.Close()))
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err == nil {
		fmt.Println("stopped")
	}
	return err
}
