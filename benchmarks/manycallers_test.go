package benchmarks

import (
	"slices"
	"testing"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// manyCallers is what a great many of them need in memory, and whether all of
// them get their share.
var manyCallers = &experiment{
	name: "manycallers",
	about: "One server, on the machine of the callers. Memory is the most heap (with garbage not yet collected) and stacks" +
		" in use, beyond what was before the callers came.",
	defaults: selection{
		peers:      "binding,pool,autopipeline,rueidis",
		callers:    "10000",
		sizes:      "128",
		operations: "mixed",
	},
	run: func(tb testing.TB, s settings) []section {
		server := redistest.Start(tb)
		s.slice *= 8 // Each of them is to make some calls.
		s.warmUp = s.slice / 4
		unfairness := func(of *sample) float64 { return worstP99(of) / middleP99(of) }
		return []section{{
			columns: slices.Concat(timeColumns, []column{
				{"p99 of the middle caller", middleP99, formatDuration},
				{"p99 of the slowest caller", worstP99, formatDuration},
				{"slowest / middle", unfairness, formatTenths},
				{"memory", memory, formatMiB},
			}),
			rows: measure(tb, target{"redisHost": server.Addr}, s),
		}}
	},
}

func BenchmarkManyCallers(b *testing.B) { manyCallers.benchmark(b) }
