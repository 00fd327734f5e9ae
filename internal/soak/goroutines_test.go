package soak

import (
	"bytes"
	"runtime"
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
