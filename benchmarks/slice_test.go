package benchmarks

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRunSlice(t *testing.T) {
	w := workload{operation: create, size: 1, callers: 3, batch: 10}
	slow := func(int) step {
		return func(context.Context, int) error {
			time.Sleep(10 * time.Millisecond)
			return nil
		}
	}
	got, err := runSlice(w, slow, 0, time.Nanosecond)
	require.NoError(t, err)
	assert.Positive(t, got.opsPerSecond, "it waits for the first call")
	assert.Greater(t, got.p50, 9*time.Millisecond, "a call counts that ends after the slice")
	assert.GreaterOrEqual(t, got.worstP99, got.middleP99)
}

func TestRunSliceEndsWithAnError(t *testing.T) {
	failure := errors.New("failure")
	w := workload{operation: create, size: 1, callers: 3, batch: 1}
	_, err := runSlice(w, func(number int) step {
		return func(ctx context.Context, _ int) error {
			if number == 1 {
				return failure
			}
			<-ctx.Done() // The others end with it.
			return ctx.Err()
		}
	}, time.Minute, time.Minute)
	assert.ErrorIs(t, err, failure)
}

// fixed is a caller who gets the same value all the time.
type fixed string

func (fixed) set(context.Context, string, []byte) error     { return errors.New("set") }
func (f fixed) get(context.Context, string) ([]byte, error) { return []byte(f), nil }
func (fixed) del(context.Context, string) error             { return errors.New("del") }

func TestOperation(t *testing.T) {
	do := func(o operation, number int) error {
		return o.do(t.Context(), fixed("abc"), number, "k", []byte("xyz"))
	}
	assert.NoError(t, do(read, 0))
	assert.EqualError(t, do(create, 0), "set")
	assert.EqualError(t, do(remove, 0), "del")
	assert.EqualError(t, do(mixed, 0), "set")
	assert.NoError(t, do(mixed, 1))
	assert.EqualError(t, do("increment", 0), `there is no operation "increment"`)
	assert.EqualError(t, read.do(t.Context(), fixed("abc"), 0, "k", []byte("ab")), "k has 3 bytes instead of 2")
}

func TestKeyOfComesToAllKeys(t *testing.T) {
	for _, caller := range []int{0, 1, 9999} {
		seen := map[string]bool{}
		for i := range keys {
			seen[keyOf(caller, i)] = true
		}
		assert.Len(t, seen, len(keys))
	}
}
