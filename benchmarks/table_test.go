package benchmarks

import (
	"slices"
	"testing"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// table is the comparison itself.
var table = &experiment{
	name:  "table",
	about: "One server, on the machine of the callers.",
	defaults: selection{
		peers:      "binding,pool,autopipeline,rueidis",
		callers:    "1,4,16,64,256",
		sizes:      "128,4096",
		operations: "mixed,create,get,delete",
	},
	plotted: true,
	run: func(tb testing.TB, s settings) []section {
		server := redistest.Start(tb)
		return []section{{
			columns: slices.Concat(timeColumns, allocColumns),
			rows:    measure(tb, target{"redisHost": server.Addr}, s),
		}}
	},
}

func BenchmarkTable(b *testing.B) { table.benchmark(b) }
