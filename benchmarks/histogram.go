package benchmarks

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets, whose widths double with each power
// of two and are the same in between.
type histogram struct {
	count   int
	buckets [histogramBuckets]uint32
}

const (
	unitBits = 9  // the first buckets are 512 ns wide
	stepBits = 4  // there are 16 from a power of two to the next
	maxBits  = 35 // the last ends at 34 s

	histogramBuckets = (maxBits - unitBits - stepBits + 1) << stepBits
)

// record counts a duration. What is too long is counted in the last bucket.
func (h *histogram) record(d time.Duration) {
	h.count++
	h.buckets[bucketOf(d)]++
}

// add counts what the other has counted.
func (h *histogram) add(other *histogram) {
	h.count += other.count
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
}

// quantile returns the duration that the share q of all is below, taking those in
// a bucket to be spread evenly over it. It is 0 when nothing was counted.
func (h *histogram) quantile(q float64) time.Duration {
	rank := q * float64(h.count)
	for i, n := range h.buckets {
		if n > 0 && rank <= float64(n) {
			from, width := boundsOf(i)
			return from + time.Duration(rank/float64(n)*float64(width))
		}
		rank -= float64(n)
	}
	return 0
}

func bucketOf(d time.Duration) int {
	units := uint(min(max(d, 0), 1<<maxBits-1) >> unitBits)
	shift := max(0, bits.Len(units)-stepBits-1)
	return shift<<stepBits + int(units>>shift)
}

func boundsOf(bucket int) (from, width time.Duration) {
	shift := max(0, bucket>>stepBits-1)
	width = 1 << (unitBits + shift)
	return time.Duration(bucket-shift<<stepBits) * width, width
}
