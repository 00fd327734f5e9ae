package benchmarks

import (
	"context"
	"fmt"
)

// operation is what callers do all the time.
type operation string

const (
	create operation = "create"
	read   operation = "get"
	remove operation = "delete"
	mixed  operation = "mixed" // create and get in turn
)

// returned is how many values an operation returns.
func (o operation) returned() float64 {
	switch o {
	case read:
		return 1
	case mixed:
		return 0.5
	default:
		return 0
	}
}

// do carries out the operation, the number of which says whose turn it is when
// there are two, and checks what is answered.
func (o operation) do(ctx context.Context, c caller, number int, key string, value []byte) error {
	switch {
	case o == create, o == mixed && number%2 == 0:
		return c.set(ctx, key, value)
	case o == read, o == mixed:
		got, err := c.get(ctx, key)
		if err == nil && len(got) != len(value) {
			err = fmt.Errorf("%s has %d bytes instead of %d", key, len(got), len(value))
		}
		return err
	case o == remove:
		return c.del(ctx, key)
	default:
		return fmt.Errorf("there is no operation %q", o)
	}
}
