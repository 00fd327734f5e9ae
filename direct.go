package redisbinding

import (
	"context"
	"sync"
	"time"
)

// directCalls are the contexts of the calls that go straight through the pool,
// on the goroutines of their callers.
//
// go-redis obeys a context's deadline but not its cancellation once it has sent,
// and does not tell a connection whose command it carries. The one thing of a
// context that it hands to the connection is the deadline. So what it is given as
// a deadline is a mark, by which the connection finds the context and minds it.
type directCalls struct {
	mu       sync.Mutex
	contexts []context.Context // by mark
	free     []int             // marks that are not in use
}

// directCall is the context of one call, with a mark for its deadline.
type directCall struct {
	context.Context
	mark int
}

// firstMark is, in Unix seconds, a time that no deadline comes to.
const firstMark = 1 << 40

// Deadline returns the mark.
func (d *directCall) Deadline() (time.Time, bool) {
	return time.Unix(firstMark+int64(d.mark), 0), true
}

// do calls f with a context that ends with ctx, on the connections too.
func (d *directCalls) do(ctx context.Context, f func(context.Context)) {
	if ctx.Done() == nil {
		f(ctx)
		return
	}
	call := d.enter(ctx)
	defer d.leave(call)
	f(call)
}

func (d *directCalls) enter(ctx context.Context) *directCall {
	d.mu.Lock()
	defer d.mu.Unlock()
	mark := len(d.contexts)
	if n := len(d.free); n > 0 {
		mark = d.free[n-1]
		d.free = d.free[:n-1]
		d.contexts[mark] = ctx
	} else {
		d.contexts = append(d.contexts, ctx)
	}
	return &directCall{ctx, mark}
}

func (d *directCalls) leave(call *directCall) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.contexts[call.mark] = nil
	d.free = append(d.free, call.mark)
}

// noMark is in place of a mark when there is none.
const noMark = -1

// markIn returns the mark that a deadline is, or noMark.
func markIn(deadline time.Time) int {
	return int(max(deadline.Unix()-firstMark, noMark))
}

// context returns the context of the call under way that has the mark, or nil.
func (d *directCalls) context(mark int) context.Context {
	if mark == noMark {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.contexts[mark]
}
