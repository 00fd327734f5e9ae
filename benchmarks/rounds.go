package benchmarks

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// row is what all peers did under one workload.
type row struct {
	workload
	peers   []string
	samples map[string][]*sample // by peer, one a round
}

// measure has the peers take turns under each of the workloads.
func measure(tb testing.TB, to target, s settings) []*row {
	tb.Helper()
	peers := openPeers(tb, to, s.peers)
	var rows []*row
	for _, w := range s.workloads {
		value := bytes.Repeat([]byte{'v'}, w.size)
		if w.operation != remove {
			to.fill(tb, value)
		}
		r := &row{workload: w, peers: s.peers, samples: map[string][]*sample{}}
		for round := range s.rounds {
			for i := range peers {
				p := peers[(round+i)%len(peers)]
				got, err := runSlice(w, stepsOf(p, w.operation, value), s.warmUp, s.slice)
				require.NoError(tb, err, "%s: %s of %s by %d callers", p.name, w.operation, formatSize(w.size), w.callers)
				r.samples[p.name] = append(r.samples[p.name], got)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// stepsOf returns what makes the callers that do the operation on a peer.
func stepsOf(p peer, o operation, value []byte) func(number int) step {
	return func(number int) step {
		c := p.caller()
		return func(ctx context.Context, i int) error {
			// Half of the callers begin with a get, if it is both.
			return o.do(ctx, c, number+i, keyOf(number, i), value)
		}
	}
}

// median returns the median over the rounds of what a peer did.
func (r *row) median(peer string, of quantity) float64 {
	var values []float64
	for _, s := range r.samples[peer] {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return median(values)
}

// ratios compares the binding with the peer, round by round, in ascending order.
func (r *row) ratios(peer string, of quantity) []float64 {
	var values []float64
	for round, s := range r.samples[peer] {
		values = append(values, of(r.samples[bindingName][round])/of(s))
	}
	slices.Sort(values)
	return values
}

// median returns the median of values in ascending order.
func median(values []float64) float64 {
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// quantity is something that samples hold.
type quantity func(*sample) float64

func opsPerSecond(s *sample) float64 { return s.opsPerSecond }
func p50(s *sample) float64          { return float64(s.p50) }
func p99(s *sample) float64          { return float64(s.p99) }
func allocs(s *sample) float64       { return s.allocs }
func allocBytes(s *sample) float64   { return s.allocBytes }
func memory(s *sample) float64       { return s.memory }
func middleP99(s *sample) float64    { return float64(s.middleP99) }
func worstP99(s *sample) float64     { return float64(s.worstP99) }
