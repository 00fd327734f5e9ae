// Hosting starts a Redis, Redis Commander to look into it, and a small web application
// that uses it, and shows where they are until Ctrl-C.
//
//	go run ./examples/hosting
//
// takes Docker or Podman, or else redis-server; with neither, Redis runs inside the program,
// and the guest book is empty each time. Redis Commander comes as a container, or from npm where there
// is Node; without these it is left out.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/hosting"
)

func main() {
	redisbinding.LogRedisTo(slog.Default()) // at debug level, in place of standard error

	app := hosting.NewBuilder("guestbook")
	cache := app.AddRedis("cache").
		WithDataVolume(hosting.Optional()).
		WithRedisCommander(func(ui *hosting.UI) { ui.WithOptional() })
	app.AddProject("web", "./examples/hosting/web").
		WithReference(cache).
		WaitFor(cache).
		WithHTTPEndpoint(0, "PORT").
		WithHTTPHealthCheck("/health")

	if err := app.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
