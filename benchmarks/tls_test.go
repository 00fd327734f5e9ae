package benchmarks

import (
	"slices"
	"testing"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// overTLS is the comparison on encrypted connections.
var overTLS = &experiment{
	name:  "tls",
	about: "One server, on the machine of the callers, with TLS.",
	defaults: selection{
		peers:      "binding,pool,autopipeline,rueidis",
		callers:    "1,64,256",
		sizes:      "128",
		operations: "mixed",
	},
	plotted: true,
	run: func(tb testing.TB, s settings) []section {
		server, certificates := redistest.StartTLS(tb)
		return []section{{
			columns: slices.Concat(timeColumns, allocColumns),
			rows: measure(tb, target{
				"redisHost":  server.Addr,
				"enableTLS":  "true",
				"caCert":     string(certificates.CA),
				"clientCert": string(certificates.Cert),
				"clientKey":  string(certificates.Key),
			}, s),
		}}
	},
}

func BenchmarkTLS(b *testing.B) { overTLS.benchmark(b) }
