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

	// Those of caches: a get that has the entry live on, and one that does not reach Redis,
	// of bytes and of a struct.
	readSliding operation = "sliding get"
	write       operation = "set"
	hit         operation = "hit"
	hitStruct   operation = "struct hit"
)

// returned is how many values an operation returns that do not count as allocated.
func (o operation) returned() float64 {
	switch o {
	case read, readSliding:
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
	case o == create, o == write, o == mixed && number%2 == 0:
		return c.set(ctx, key, value)
	case o == read, o == mixed, o == readSliding:
		return check(ctx, c, key, value)
	case o == remove:
		return c.del(ctx, key)
	default:
		return fmt.Errorf("there is no operation %q", o)
	}
}

// check gets a value, and says whether it is as long as it should be.
func check(ctx context.Context, c caller, key string, value []byte) error {
	got, err := c.get(ctx, key)
	if err == nil && len(got) != len(value) {
		err = fmt.Errorf("%s has %d bytes instead of %d", key, len(got), len(value))
	}
	return err
}
