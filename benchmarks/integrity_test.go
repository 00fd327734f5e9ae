package benchmarks

import (
	"slices"
	"testing"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// integrity is the price of the integrity check: the ECHO behind each round trip.
var integrity = &experiment{
	name:  "integrity",
	about: "The binding without and with WithIntegrityCheck (checked). One server, on the machine of the callers.",
	defaults: selection{
		peers:      "binding,checked",
		callers:    "1,4,16,64,256",
		sizes:      "128,4096",
		operations: "mixed",
	},
	run: func(tb testing.TB, s settings) []section {
		server := redistest.Start(tb)
		return []section{{
			columns: slices.Concat(timeColumns, allocColumns),
			rows:    measure(tb, target{"redisHost": server.Addr}, s),
		}}
	},
}

func BenchmarkIntegrity(b *testing.B) { integrity.benchmark(b) }
