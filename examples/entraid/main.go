// Entraid shows a service that authenticates with Microsoft Entra ID and not
// with a password: its calls go on while tokens come and go, and while Entra is
// down as long as the token lives. After that the error says why, and all heals
// by itself when Entra is back.
//
//	go run ./examples/entraid
//
// needs neither Azure nor a Redis: it starts a stand-in for Entra, whose tokens
// live for two seconds, and an embedded Redis in memory (miniredis) that lets in
// who has the newest one. To connect to a cache in Azure:
//
//	AZURE_TENANT_ID=... AZURE_CLIENT_ID=... AZURE_CLIENT_SECRET=... \
//	REDIS_HOST=example.westeurope.redis.azure.net:10000 REDIS_TYPE=cluster \
//	go run ./examples/entraid
//
// REDIS_TYPE follows from the clustering policy of the cache: cluster for OSS,
// node (as without it) for Enterprise. The AZURE variables are an application's,
// and azidentity's to read; without them a workload identity is used, a managed
// identity, or who has logged in with az login.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

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
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	metadata := map[string]string{
		"redisHost":  os.Getenv("REDIS_HOST"),
		"redisType":  os.Getenv("REDIS_TYPE"),
		"enableTLS":  "true",
		"useEntraID": "true",
	}
	options := []redisbinding.Option{redisbinding.WithLogger(newLogger())}

	var azure *standIn
	if metadata["redisHost"] == "" {
		var err error
		if azure, err = startAzure(); err != nil {
			return err
		}
		defer azure.stop()
		metadata["redisHost"], metadata["redisType"] = azure.redis.Addr(), "node"
		metadata["caCert"] = azure.caCert
		options = append(options, redisbinding.WithTokenCredential(azure.credential))
	}

	binding, err := redisbinding.NewRedisBinding(metadata, options...)
	if err != nil {
		return err
	}
	defer binding.Close()

	visits := &counter{binding: binding}
	if azure == nil { // whose tokens live for an hour or more
		if visits.add(ctx); visits.err == nil {
			fmt.Println(metadata["redisHost"]+":", visits)
		}
		return visits.err
	}

	for token := 1; token <= 3; token++ {
		err := poll(ctx, func() bool { visits.add(ctx); return azure.tokensUsed() >= token })
		if err != nil {
			return err
		}
		fmt.Printf("token %d: %v\n", token, visits)
	}

	fmt.Println("Entra goes down")
	azure.authority.SetDown(true)
	var down error
	err = poll(ctx, func() bool { visits.add(ctx); down = binding.Ping(ctx); return down != nil })
	if err != nil {
		return err
	}
	fmt.Println("token 3, to its end:", visits)
	fmt.Println("Ping:", down)

	fmt.Println("Entra is back")
	azure.authority.SetDown(false)
	back := time.Now()
	if err := poll(ctx, func() bool { return binding.Ping(ctx) == nil }); err != nil {
		return err
	}
	visits.add(ctx)
	fmt.Printf("healed after %.1fs: %v\n", time.Since(back).Seconds(), visits)
	return visits.err
}

// poll does something some times a second until it returns true.
func poll(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
