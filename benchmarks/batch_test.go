package benchmarks

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/redistest"
	"github.com/stretchr/testify/require"
)

// batches is the comparison with redis-benchmark, which pipelines as deeply as it
// is told to, looks at no reply and makes no use of what it gets.
var batches = &experiment{
	name: "batch",
	about: "One server, on the machine of the callers. The binding's InvokeBatch, and redis-benchmark with 50 connections and" +
		" pipelines of 256, on one key as is its default, and on as many keys as the binding.",
	defaults: selection{
		callers:    "1,4",
		sizes:      "128",
		operations: "create,get",
	},
	run: func(tb testing.TB, s settings) []section {
		server := redistest.Start(tb)
		s.slice *= 2 // A caller makes few calls.
		return []section{{
			columns: append(timeColumns[:1:1], allocColumns...),
			rows:    measureBatches(tb, server, s),
		}}
	},
}

func BenchmarkBatch(b *testing.B) { batches.benchmark(b) }

// measureBatches has the binding and redis-benchmark take turns.
func measureBatches(tb testing.TB, server *redistest.Server, s settings) []*row {
	tb.Helper()
	to := target{"redisHost": server.Addr}
	binding, err := redisbinding.NewRedisBinding(to)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = binding.Close() })

	const onOneKey, onManyKeys = "redis-benchmark", "redis-benchmark -r"
	peers := []string{bindingName, onOneKey, onManyKeys}
	var rows []*row
	for _, w := range s.workloads {
		value := bytes.Repeat([]byte{'v'}, w.size)
		to.fill(tb, value)
		for _, w.batch = range []int{256, 10_000} {
			rows = append(rows, takeTurns(tb, w, peers, s.rounds, func(peer int) (*sample, error) {
				switch peers[peer] {
				case onOneKey:
					return runRedisBenchmark(server, w, s.slice)
				case onManyKeys:
					return runRedisBenchmark(server, w, s.slice, "-r", strconv.Itoa(len(keys)))
				default:
					return runSlice(w, batchesOf(binding, w, value), s.warmUp, s.slice)
				}
			}))
		}
	}
	return rows
}

// batchesOf returns what makes the callers of InvokeBatch. Their requests are
// made once.
func batchesOf(binding *redisbinding.RedisBinding, w workload, value []byte) func(number int) step {
	return func(number int) step {
		requests := make([]*redisbinding.InvokeRequest, len(keys)+w.batch)
		for i := range requests {
			requests[i] = &redisbinding.InvokeRequest{
				Operation: redisbinding.OperationKind(w.operation),
				Metadata:  map[string]string{redisbinding.KeyField: keyOf(number, i)},
			}
			if w.operation == create {
				requests[i].Data = value
			}
		}
		return func(ctx context.Context, i int) error {
			from := i * w.batch % len(keys)
			responses, err := binding.InvokeBatch(ctx, requests[from:from+w.batch])
			if err != nil {
				return err
			}
			if len(responses) != w.batch {
				return fmt.Errorf("%d responses to %d requests", len(responses), w.batch)
			}
			for _, r := range responses {
				if w.operation == read && len(r.Data) != len(value) {
					return fmt.Errorf("a value has %d bytes instead of %d", len(r.Data), len(value))
				}
			}
			return nil
		}
	}
}

// runRedisBenchmark has redis-benchmark, which comes with redis-server, send about
// as many commands as take it the slice: SET, and then GET of what that has left.
func runRedisBenchmark(server *redistest.Server, w workload, slice time.Duration, args ...string) (*sample, error) {
	requests := max(20_000, int(slice.Seconds()*250_000))
	out, err := exec.Command("redis-benchmark", append(args, "-h", server.Host, "-p", server.Port, "--csv",
		"-P", "256", "-t", "set,get", "-d", strconv.Itoa(w.size), "-n", strconv.Itoa(requests))...).Output()
	if err != nil {
		return nil, err
	}
	records, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil {
		return nil, err
	}
	commands := map[operation]string{create: "SET", read: "GET"}
	for _, record := range records {
		if record[0] == commands[w.operation] {
			rate, err := strconv.ParseFloat(record[1], 64)
			return &sample{opsPerSecond: rate, allocs: math.NaN(), allocBytes: math.NaN()}, err
		}
	}
	return nil, fmt.Errorf("redis-benchmark says nothing of %s: %s", w.operation, out)
}
