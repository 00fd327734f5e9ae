// Tls shows the Redis binding over TLS, to a server that wants a client
// certificate, and what the error says when its CA is not known.
//
//	go run ./examples/tls
//
// needs no Redis: it makes a CA and certificates, valid for an hour, and starts
// an embedded Redis in memory (miniredis) with them. To use a real one, name
// the PEM files; only those that the server calls for are needed:
//
//	REDIS_HOST=redis.example.com:6380 CA_CERT=ca.pem \
//	CLIENT_CERT=client.pem CLIENT_KEY=client-key.pem \
//	SERVER_NAME=redis.example.com go run ./examples/tls
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
	metadata, stop, err := connection()
	if err != nil {
		return err
	}
	defer stop()

	binding, err := redisbinding.NewRedisBinding(metadata)
	if err != nil {
		return err
	}
	defer binding.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := binding.Ping(ctx); err != nil {
		return err
	}
	fmt.Println("with caCert:    connected over TLS to", metadata["redisHost"])

	if metadata["caCert"] == "" {
		return nil // the system knows the server's CA
	}
	delete(metadata, "caCert")
	trusting, err := redisbinding.NewRedisBinding(metadata)
	if err == nil {
		fmt.Println("without caCert: connected as well, for the system knows the server's CA")
		return trusting.Close()
	}
	fmt.Println("without caCert:", err)
	return nil
}

// connection returns the metadata for the Redis that the environment names, or,
// when it names none, for an embedded one, which stop ends.
func connection() (metadata map[string]string, stop func(), err error) {
	host := os.Getenv("REDIS_HOST")
	if host == "" {
		return startRedis()
	}
	metadata = map[string]string{
		"redisHost":  host,
		"enableTLS":  "true",
		"serverName": os.Getenv("SERVER_NAME"),
	}
	for field, variable := range map[string]string{
		"caCert":     "CA_CERT",
		"clientCert": "CLIENT_CERT",
		"clientKey":  "CLIENT_KEY",
	} {
		if file := os.Getenv(variable); file != "" {
			pem, err := os.ReadFile(file)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", variable, err)
			}
			metadata[field] = string(pem)
		}
	}
	return metadata, func() {}, nil
}
