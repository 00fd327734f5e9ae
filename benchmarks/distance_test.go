package benchmarks

import (
	"fmt"
	"testing"
	"time"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// distance is what a call costs when most of its time is spent on the way. What
// stands for the distance is in this process, so its allocations tell nothing.
var distance = &experiment{
	name:  "distance",
	about: "Servers that are a round trip away.",
	defaults: selection{
		peers:      "binding,pool,asyncautopipeline,rueidis",
		callers:    "1,16,256",
		sizes:      "128",
		operations: "mixed",
	},
	plotted: true,
	run: func(tb testing.TB, s settings) []section {
		server := redistest.Start(tb)
		s.slice *= 2 // One caller makes few calls at the greater distance.
		var sections []section
		for _, roundTrip := range []time.Duration{time.Millisecond, 20 * time.Millisecond} {
			s.warmUp = 10 * roundTrip // Opening a connection takes some of them.
			beyond := func(of *sample) float64 { return p50(of) - float64(roundTrip) }
			sections = append(sections, section{
				title:   fmt.Sprintf("%s away", roundTrip),
				columns: append([]column{{"p50 beyond the round trip", beyond, formatDuration}}, timeColumns...),
				rows:    measure(tb, target{"redisHost": redistest.StartDistant(tb, server, roundTrip)}, s),
			})
		}
		return sections
	},
}

func BenchmarkDistance(b *testing.B) { distance.benchmark(b) }
