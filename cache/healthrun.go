package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// healthCheck runs a check, never more than once at a time.
type healthCheck struct {
	check   func(context.Context) error
	timeout time.Duration
	failed  func(context.Context, error) // is told of each run that fails, once

	mu      sync.Mutex
	current *healthRun // nil: none is going on
}

// healthRun is a check going on, or left behind, or ended.
type healthRun struct {
	check *healthCheck
	start time.Time
	limit context.Context // ends with the time-out, or after the run

	told sync.Once // whether it failed

	done chan struct{} // closed when it has ended; then there are
	took time.Duration
	err  error
}

// join returns the run that is going on, or begins one.
func (c *healthCheck) join(ctx context.Context) *healthRun {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		// Others may wait for it too, so it does not end with this request.
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		c.current = &healthRun{check: c, start: time.Now(), limit: limit, done: make(chan struct{}), err: errEndedGoroutine}
		go c.current.run(cancel)
	}
	return c.current
}

// errEndedGoroutine is of a check that called runtime.Goexit, as the FailNow of tests does.
var errEndedGoroutine = errors.New("the check has ended its goroutine")

func (r *healthRun) run(cancel context.CancelFunc) {
	defer func() {
		r.took = time.Since(r.start)
		if r.err != nil {
			r.tell(r.err)
		}
		r.check.mu.Lock()
		r.check.current = nil
		r.check.mu.Unlock()
		close(r.done)
		cancel() // after done, so that those who wait see why
	}()
	r.err = calledSafely(r.limit, r.check.check)
}

// wait waits for the end of the run, of its time or of ctx, and returns how long the run has
// taken until then, and what is wrong.
func (r *healthRun) wait(ctx context.Context) (time.Duration, error) {
	select {
	case <-r.done:
	case <-r.limit.Done():
	case <-ctx.Done():
	}
	select {
	case <-r.done:
		return r.took, r.err
	default:
	}
	if !errors.Is(r.limit.Err(), context.DeadlineExceeded) { // nothing is known: whoever asked has gone
		return time.Since(r.start), ctx.Err()
	}
	err := fmt.Errorf("no answer in %s: %w", r.check.timeout, context.DeadlineExceeded)
	r.tell(err)
	return time.Since(r.start), err
}

// tell tells, once, that the run has failed.
func (r *healthRun) tell(err error) {
	r.told.Do(func() { r.check.failed(r.limit, err) })
}

// panicError is what a function panicked with.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// calledSafely calls a function, and returns a panic of it as an error.
func calledSafely(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value, debug.Stack()}
		}
	}()
	return f(ctx)
}
