// Unittest shows how to test code that uses the Redis binding: a small session
// store (sessions.go) and its tests (sessions_test.go), which need no Redis,
// move the clock instead of waiting, and take Redis away.
//
//	go test ./examples/unittest
//	go run ./examples/unittest
//
// The program shows the session store at work, against an embedded Redis in
// memory (miniredis). To use a real one:
//
//	REDIS_HOST=localhost:6379 go run ./examples/unittest
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/redisbinding/redisbinding"
)

func main() {
	redisbinding.LogRedisTo(slog.Default()) // at debug level, in place of standard error
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	host, wait := os.Getenv("REDIS_HOST"), time.Sleep
	if host == "" {
		server, err := miniredis.Run()
		if err != nil {
			return err
		}
		defer server.Close()
		host, wait = server.Addr(), server.FastForward // whose clock moves only when told to
	}

	binding, err := redisbinding.NewRedisBinding(map[string]string{"redisHost": host})
	if err != nil {
		return err
	}
	defer binding.Close()

	ctx := context.Background()
	sessions := &Sessions{Binding: binding, TTL: 2 * time.Second}
	for _, id := range []string{"example-1", "example-2"} {
		if err := sessions.Start(ctx, id, "ada"); err != nil {
			return err
		}
		fmt.Println("start", id, "ada")
	}

	show := func(did string, do func(context.Context, string) (string, error), id string) {
		user, err := do(ctx, id)
		if err != nil {
			user = err.Error()
		}
		fmt.Println(did, id, "->", user)
	}
	show("user ", sessions.User, "example-1")
	show("end  ", sessions.End, "example-1")
	show("user ", sessions.User, "example-1")

	wait(sessions.TTL + 100*time.Millisecond)
	fmt.Println("... the sessions' TTL of", sessions.TTL, "goes by")
	show("user ", sessions.User, "example-2")
	return nil
}
