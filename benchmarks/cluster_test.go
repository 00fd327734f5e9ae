package benchmarks

import (
	"slices"
	"testing"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// cluster is the comparison on a cluster.
var cluster = &experiment{
	name:  "cluster",
	about: "A cluster of three primaries with a replica each, on the machine of the callers.",
	defaults: selection{
		peers:      "binding,pool,autopipeline,rueidis",
		callers:    "1,64,256",
		sizes:      "128",
		operations: "mixed",
	},
	plotted: true,
	run: func(tb testing.TB, s settings) []section {
		return []section{{
			columns: slices.Concat(timeColumns, allocColumns),
			rows:    measure(tb, redistest.StartCluster(tb).Metadata, s),
		}}
	},
}

func BenchmarkCluster(b *testing.B) { cluster.benchmark(b) }
