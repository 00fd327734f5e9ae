package benchmarks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestHistogram(t *testing.T) {
	var even, odd histogram
	assert.Zero(t, even.quantile(0.99))
	for i := range 10_000 {
		if i%2 == 0 {
			even.record(time.Duration(i) * time.Microsecond)
		} else {
			odd.record(time.Duration(i) * time.Microsecond)
		}
	}
	even.add(&odd)
	assert.Equal(t, 10_000, even.count)
	for _, test := range []struct {
		q    float64
		want time.Duration
	}{{0.01, 100 * time.Microsecond}, {0.5, 5 * time.Millisecond}, {0.99, 9900 * time.Microsecond}} {
		assert.InEpsilon(t, test.want, even.quantile(test.q), 0.03, "quantile %v", test.q)
	}
}

// Each bucket begins where the one before ends, and holds what is between.
func TestHistogramBuckets(t *testing.T) {
	var end time.Duration
	for i := range histogramBuckets {
		from, width := boundsOf(i)
		assert.Equal(t, end, from)
		end = from + width
		assert.Equal(t, i, bucketOf(from))
		assert.Equal(t, i, bucketOf(end-1))
	}
	assert.Equal(t, time.Duration(1<<maxBits), end)
	assert.Equal(t, histogramBuckets-1, bucketOf(time.Hour), "too long")
	assert.Equal(t, 0, bucketOf(-time.Second), "a clock set back")
}
