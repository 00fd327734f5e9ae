package soak

import (
	"bytes"
	"runtime"
	"testing"
	"time"
)

// goroutines counts those that are the library's or the callers': not those of the
// servers and networks of the test.
func goroutines() (n int) {
	stacks := make([]byte, 1<<20)
	for {
		length := runtime.Stack(stacks, true)
		if length < len(stacks) {
			stacks = stacks[:length]
			break
		}
		stacks = make([]byte, 2*len(stacks))
	}
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if !bytes.Contains(stack, []byte("internal/redistest")) {
			n++
		}
	}
	return n
}

// settles waits until there are no more than so many.
func settles(t testing.TB, count func() int, most int, what string) {
	t.Helper()
	// Not in a goroutine of its own, as with assert.Eventually, which would count.
	for deadline := time.Now().Add(30 * time.Second); count() > most; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%s: %d, where %d are the most", what, count(), most)
			return
		}
	}
}

// atRest returns the number of goroutines when it does not fall any more.
func atRest() int {
	n := goroutines()
	for same := 0; same < 20; {
		time.Sleep(5 * time.Millisecond)
		if now := goroutines(); now < n {
			n, same = now, 0
		} else {
			same++
		}
	}
	return n
}
