package benchmarks

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// sampleRow returns a row of three rounds in which the binding was once, twice
// and four times as fast as the pool.
func sampleRow(o operation, callers int) *row {
	r := &row{workload{o, 4096, callers, 1}, []string{bindingName, poolName}, map[string][]*sample{}}
	for _, factor := range []float64{4, 1, 2} {
		r.samples[bindingName] = append(r.samples[bindingName], &sample{opsPerSecond: 1000 * factor, p99: 3 * time.Millisecond})
		r.samples[poolName] = append(r.samples[poolName], &sample{opsPerSecond: 1000, p99: 30 * time.Millisecond, allocs: math.NaN()})
	}
	return r
}

func TestWriteRatios(t *testing.T) {
	var out bytes.Buffer
	writeRatios(&out, []*row{sampleRow(mixed, 1), sampleRow(mixed, 64)})
	assert.Equal(t, `
4 KiB mixed, the binding in proportion to a peer: median of the rounds (lowest–highest)

| callers | 1 | 64 |
|---|---|---|
| ops/s, pool | **2.00** (1.00–4.00) | **2.00** (1.00–4.00) |
| p99, pool | **0.10** (0.10–0.10) | **0.10** (0.10–0.10) |
`, out.String())
}

func TestWriteRows(t *testing.T) {
	r := sampleRow(create, 64)
	r.batch = 10_000
	var out bytes.Buffer
	writeRows(&out, section{columns: append(timeColumns[:3:3], allocColumns[0]), rows: []*row{r}})
	assert.Equal(t, `
| workload | callers | peer | ops/s | p50 | p99 | allocs/op |
|---|--:|---|--:|--:|--:|--:|
| 4 KiB create in batches of 10,000 | 64 | binding | 2,000 | 0 µs | 3000 µs | 0.0 |
| 4 KiB create in batches of 10,000 | 64 | pool | 1,000 | 0 µs | 30.0 ms | – |
`, out.String())
}

func TestCompared(t *testing.T) {
	create1, create4 := sampleRow(create, 1), sampleRow(create, 4)
	mixed1, mixed4 := sampleRow(mixed, 1), sampleRow(mixed, 4)
	assert.Equal(t, [][]*row{{mixed1, mixed4}}, compared([]*row{create1, create4, mixed1, mixed4}))
	other := sampleRow(create, 1)
	other.batch = 256
	assert.Equal(t, [][]*row{{create1, create4}, {other}}, compared([]*row{create1, other, create4}))
}

func TestMedian(t *testing.T) {
	assert.InDelta(t, 2, median([]float64{2}), 0)
	assert.InDelta(t, 2.5, median([]float64{1, 2, 3, 9}), 0)
	assert.InDelta(t, 3, median([]float64{1, 2, 3, 9, 10}), 0)
}

func TestFormat(t *testing.T) {
	for want, got := range map[string]string{
		"0":         formatCount(-2), // what another goroutine did not allocate
		"999":       formatCount(999.4),
		"1,000":     formatCount(999.5),
		"1,234,567": formatCount(1_234_567),
		"128 B":     formatSize(128),
		"1025 B":    formatSize(1025),
		"4 KiB":     formatSize(4096),
		"9999 µs":   formatDuration(9_999_999),
		"10.0 ms":   formatDuration(10_000_000),
		"1.5 MiB":   formatMiB(3 << 19),
	} {
		assert.Equal(t, want, got)
	}
}

func TestWriteDigest(t *testing.T) {
	of := func(peer string, callers int) *row {
		r := sampleRow(read, callers)
		r.peers = []string{cacheName, peer}
		r.samples = map[string][]*sample{cacheName: r.samples[bindingName], peer: r.samples[poolName]}
		return r
	}
	var out bytes.Buffer
	writeDigest(&out, []section{{rows: []*row{of("HGET", 1), of("HGET", 4)}}, {rows: []*row{of("otter", 1), of("otter", 4)}}})
	assert.Equal(t, `
ops/s, the cache in proportion to a peer: median of the rounds (lowest–highest)

| workload | peer | 1 | 4 |
|---|---|---|---|
| 4 KiB get | HGET | **2.00** (1.00–4.00) | **2.00** (1.00–4.00) |
| 4 KiB get | otter | **2.00** (1.00–4.00) | **2.00** (1.00–4.00) |
`, out.String())
}
