// Package soak breaks servers and networks under load, on loopback only, and shows
// what callers of a binding see of it: 64 of them work on shared keys while a server
// is killed, a network cuts connections, a certificate is replaced. Every call is
// recorded, and in the end package history decides whether what the callers saw is
// possible; whether the service is back, without a single error; and whether
// goroutines and connections are as before.
//
// `go test ./internal/soak` is a smoke test of a few scenarios. `make soak-short` gives
// each scenario a second. `make soak` takes some minutes and writes the tables of
// docs/reliability.md.
package soak
