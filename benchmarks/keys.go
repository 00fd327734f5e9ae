package benchmarks

import "fmt"

// keys are what callers choose from. They are made once: making names is not
// what is measured. Their number is prime, so that whoever takes every so many-th
// comes to all of them.
var keys = func() []string {
	names := make([]string, 10_007)
	for i := range names {
		names[i] = fmt.Sprintf("benchmark:%05d", i)
	}
	return names
}()

// keyOf returns the key of number i of a caller's operations. It spreads them,
// and what many callers do at the same time, over all keys.
func keyOf(caller, i int) string { return keys[(caller*7919+i*2741)%len(keys)] }
