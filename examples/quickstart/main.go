// Quickstart shows the four operations of the Redis binding: create, get,
// increment and delete, with a TTL and a get that deletes.
//
//	go run ./examples/quickstart
//
// needs no Redis: it starts an embedded one in memory (miniredis). To use a
// real one:
//
//	REDIS_HOST=localhost:6379 go run ./examples/quickstart
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
	host, stop, err := redisHost()
	if err != nil {
		return err
	}
	defer stop()

	binding, err := redisbinding.NewRedisBinding(map[string]string{"redisHost": host})
	if err != nil {
		return err
	}
	defer binding.Close()

	const greeting, visits, empty = "quickstart:greeting", "quickstart:visits", "quickstart:empty"
	requests := []*redisbinding.InvokeRequest{
		{Operation: redisbinding.CreateOperation, Metadata: map[string]string{"key": greeting}, Data: []byte(`{"hello":"world"}`)},
		{Operation: redisbinding.GetOperation, Metadata: map[string]string{"key": greeting}},
		{Operation: redisbinding.IncrementOperation, Metadata: map[string]string{"key": visits}},
		{Operation: redisbinding.IncrementOperation, Metadata: map[string]string{"key": visits, "ttlInSeconds": "60"}},
		{Operation: redisbinding.GetOperation, Metadata: map[string]string{"key": greeting, "delete": "true"}},
		{Operation: redisbinding.GetOperation, Metadata: map[string]string{"key": greeting}},
		{Operation: redisbinding.CreateOperation, Metadata: map[string]string{"key": empty, "ttlInSeconds": "90s"}},
		{Operation: redisbinding.GetOperation, Metadata: map[string]string{"key": empty}},
		{Operation: redisbinding.DeleteOperation, Metadata: map[string]string{"key": empty}},
		{Operation: redisbinding.DeleteOperation, Metadata: map[string]string{"key": visits}},
	}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, req := range requests {
		resp, err := binding.Invoke(ctx, req)
		if err != nil {
			return err
		}
		fmt.Println(describe(req, resp))
	}
	return nil
}

// redisHost returns REDIS_HOST, or, when that is empty, the address of an
// embedded Redis, which stop ends.
func redisHost() (host string, stop func(), err error) {
	if host := os.Getenv("REDIS_HOST"); host != "" {
		fmt.Println("redis      " + host)
		return host, func() {}, nil
	}
	server, err := miniredis.Run()
	if err != nil {
		return "", nil, err
	}
	fmt.Println("redis      " + server.Addr() + ", embedded and in memory")
	return server.Addr(), server.Close, nil
}

// describe puts an operation and its answer on one line.
func describe(req *redisbinding.InvokeRequest, resp *redisbinding.InvokeResponse) string {
	what := string(req.Operation)
	if req.Metadata["delete"] == "true" {
		what += "+del"
	}
	line := fmt.Sprintf("%-10s %s", what, req.Metadata["key"])

	switch {
	case req.Operation == redisbinding.CreateOperation:
		line += " = " + show(req.Data)
	case req.Operation == redisbinding.DeleteOperation:
		// Nothing to add: deleting succeeds whether the key exists or not.
	case resp.Data == nil: // a missing key answers nil, an empty value does not
		line += " -> no such key"
	default:
		line += " -> " + show(resp.Data)
	}
	if ttl := req.Metadata["ttlInSeconds"]; ttl != "" {
		line += "  (ttlInSeconds " + ttl + ")"
	}
	return line
}

func show(data []byte) string {
	if len(data) == 0 {
		return "(empty)"
	}
	return string(data)
}
