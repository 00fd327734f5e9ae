package benchmarks

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// contest is one thing that caches do, and who does it.
type contest struct {
	operation operation
	title     string
	peers     []contestant
	hashes    entryKind // what is at the keys of the server with hashes

	// local says that calls do not reach Redis. They are then too short to be timed one
	// by one.
	local bool
	// value returns the value of so many bytes, or about as many; nil: any will do.
	value func(size int) []byte
}

// contestant is a peer that is opened for a contest.
type contestant struct {
	name string
	open func(servers) (peer, error)
}

// servers are two Redis, one with entries as hashes, as the cache has them, and one with
// entries as strings.
type servers struct{ hashes, strings target }

// warm is what peers are that have to learn of the entries before they are measured.
type warm interface {
	warm(ctx context.Context, value []byte) error
	// warmed fails when they have not kept what they had learned.
	warmed(value []byte) error
}

// hitsTimed is how many calls are timed together that do not reach Redis.
const hitsTimed = 100

// localRounds is how many times more rounds such calls have.
const localRounds = 3

// localSettings are the settings for such calls: what takes next to no time needs shorter
// turns, and, as whatever else the machine does shows more, more of them.
func localSettings(s settings) settings {
	s.slice /= 5
	s.warmUp /= 2
	s.rounds *= localRounds
	return s
}

// measure has the peers take turns under each of the workloads that are of the contest.
func (c *contest) measure(tb testing.TB, at servers, s settings) []*row {
	tb.Helper()
	if c.local {
		s = localSettings(s)
	}
	var taking []contestant
	for _, p := range c.peers {
		if slices.Contains(s.peers, p.name) {
			taking = append(taking, p)
		}
	}
	sizes := map[int][]workload{}
	var order []int
	for _, w := range s.workloads {
		if w.operation != c.operation {
			continue
		}
		if sizes[w.size] == nil {
			order = append(order, w.size)
		}
		sizes[w.size] = append(sizes[w.size], w)
	}
	if c.value != nil && len(order) > 0 {
		order = order[:1] // a size of its own
	}
	var rows []*row
	for _, size := range order {
		if len(taking) > 0 {
			rows = append(rows, c.measureSize(tb, at, s, taking, sizes[size])...)
		}
	}
	return rows
}

// measureSize measures the workloads with values of one size.
func (c *contest) measureSize(tb testing.TB, at servers, s settings, taking []contestant, workloads []workload) []*row {
	tb.Helper()
	value := slices.Repeat([]byte{'v'}, workloads[0].size)
	if c.value != nil {
		value = c.value(workloads[0].size)
	}
	at.strings.fill(tb, value)
	at.hashes.fillEntries(tb, c.hashes, value)

	var names []string
	var steps []func(number int) step
	var warms []warm
	for _, one := range taking {
		p, err := one.open(at)
		require.NoError(tb, err, one.name)
		defer p.Close() // not with the test: it may keep much
		if w, ok := p.(warm); ok {
			require.NoError(tb, w.warm(context.Background(), value), one.name)
			warms = append(warms, w)
		}
		names = append(names, one.name)
		if c.local {
			steps = append(steps, hitsOf(p, value))
		} else {
			steps = append(steps, stepsOf(namedPeer{one.name, p}, c.operation, value))
		}
	}
	var rows []*row
	for _, w := range workloads {
		w.size = len(value)
		timed := w
		if c.local {
			timed.batch = hitsTimed
		}
		rows = append(rows, takeTurns(tb, w, names, s.rounds, func(peer int) (*sample, error) {
			return runSlice(timed, steps[peer], s.warmUp, s.slice)
		}))
	}
	for _, w := range warms {
		require.NoError(tb, w.warmed(value))
	}
	return rows
}

// hitsOf returns what makes the callers that get what is in process, many times a step.
func hitsOf(p peer, value []byte) func(number int) step {
	return func(number int) step {
		c := p.caller()
		return func(ctx context.Context, i int) error {
			for j := range hitsTimed {
				if err := check(ctx, c, keyOf(number, i*hitsTimed+j), value); err != nil {
					return err
				}
			}
			return nil
		}
	}
}
