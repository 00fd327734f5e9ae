// Package benchmarks measures the binding side by side with its peers: go-redis
// as it is, its two automatic pipelines, and rueidis.
//
//	go test -run '^$' -bench Table -benchtime 1x -timeout 60m .
//
// On a shared machine a number is worth little by itself, as the machine is
// faster in one minute than in the next. So the peers take turns: in a round each
// of them runs for a slice of time, in an order that changes from round to round,
// and the binding is compared with what a peer did in the same round. What is
// reported is the median over the rounds.
//
// The benchmarks are Table (the binding compared, in full), Distance (servers
// that are far away), Cluster, TLS, ManyCallers (10,000 of them, their memory and
// how alike they fare) and Batch (against redis-benchmark), and Cache, of package
// cache (against the commands it sends written by hand, otter, which it keeps entries in
// process with, and go-redis/cache; not against eko/gocache, which could not be
// fetched where this was written). The flags -peers,
// -callers, -sizes, -ops, -rounds and -slice select what is measured, and for how
// long; with -out the tables and plots are written to a folder, too. They follow
// the package:
//
//	go test -run '^$' -bench Table -benchtime 1x . -callers 64 -sizes 128 -ops mixed
package benchmarks
