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
		rows = append(rows, takeTurns(tb, w, s.peers, s.rounds, func(peer int) (*sample, error) {
			return runSlice(w, stepsOf(peers[peer], w.operation, value), s.warmUp, s.slice)
		}))
	}
	return rows
}

// takeTurns has each of the peers take a turn in each of the rounds.
func takeTurns(tb testing.TB, w workload, peers []string, rounds int, turn func(peer int) (*sample, error)) *row {
	tb.Helper()
	r := &row{workload: w, peers: peers, samples: map[string][]*sample{}}
	for round := range rounds {
		for i := range peers {
			peer := (round + i) % len(peers)
			got, err := turn(peer)
			require.NoError(tb, err, "%s: %s by %d callers", peers[peer], r.title(), r.callers)
			r.samples[peers[peer]] = append(r.samples[peers[peer]], got)
		}
	}
	return r
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

// subject returns who is compared with the others: what this library has. Empty if it
// does not take part.
func (r *row) subject() string {
	for _, peer := range r.peers {
		if peer == bindingName || peer == cacheName {
			return peer
		}
	}
	return ""
}

// ratios compares the subject with the peer, round by round, in ascending order.
func (r *row) ratios(peer string, of quantity) []float64 {
	var values []float64
	for round, s := range r.samples[peer] {
		values = append(values, of(r.samples[r.subject()][round])/of(s))
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
