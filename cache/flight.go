package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
)

// flights are the calls of GetOrCreate that do something. One does it for all that
// ask for the same.
type flights struct {
	mu      sync.Mutex
	open    map[string][]*flight // that may be joined, by key; nil once closed
	running map[*flight]struct{}
	ended   sync.WaitGroup
	lost    func(*PanicError) // is told of a panic when nobody waits any more
}

// flight is work that callers wait for.
type flight struct {
	flags  Flags // what callers must have in common, beside the key
	cancel context.CancelCauseFunc

	waiting int // with the lock of flights held
	joined  int // all that have ever waited, likewise

	// kept says that the value is kept by somebody else than those who wait.
	kept bool

	storing    chan struct{} // held by who stores the value, and by who forbids it
	superseded bool          // somebody here has written the key since the flight began

	done     chan struct{} // closed when the rest is there
	value    []byte
	err      error
	panicked *PanicError
}

// PanicError is what a call of GetOrCreate panics with when its factory, which runs
// on another goroutine, has panicked.
type PanicError struct {
	// Value is what the factory has panicked with.
	Value any
	// Stack is where.
	Stack []byte
}

// Error says what the factory has panicked with, and where.
func (p *PanicError) Error() string {
	return fmt.Sprintf("cache: the factory panicked: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns the value when it is an error.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

var errGoexit = errors.New("cache: the factory ended its goroutine")

func (f *flights) init(lost func(*PanicError)) {
	f.lost = lost
	f.open, f.running = map[string][]*flight{}, map[*flight]struct{}{}
}

// do has the work done, unless it is under way, and waits for it. A caller leaves
// when its context ends; the context of the work ends when all have left. It holds
// what the context of the first caller holds, but not its end.
func (f *flights) do(ctx context.Context, key string, flags Flags, work func(context.Context, *flight) ([]byte, error)) (value []byte, joined bool, err error) {
	f.mu.Lock()
	if f.open == nil {
		f.mu.Unlock()
		return nil, false, ErrClosed
	}
	fl := f.find(key, flags)
	if joined = fl != nil; !joined {
		fl = &flight{flags: flags, storing: make(chan struct{}, 1), done: make(chan struct{})}
		var of context.Context
		of, fl.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		f.open[key] = append(f.open[key], fl)
		f.running[fl] = struct{}{}
		f.ended.Go(func() { f.fly(of, key, fl, work) })
	}
	fl.waiting++
	fl.joined++
	f.mu.Unlock()

	select {
	case <-fl.done:
	case <-ctx.Done():
		f.leave(key, fl)
		return nil, joined, ctx.Err()
	}
	if fl.panicked != nil {
		panic(fl.panicked)
	}
	return fl.copy(), joined, fl.err
}

// find is called with the lock held.
func (f *flights) find(key string, flags Flags) *flight {
	for _, fl := range f.open[key] {
		if fl.flags == flags {
			return fl
		}
	}
	return nil
}

// copy returns the value for one caller, who may change it.
func (fl *flight) copy() []byte {
	if fl.value == nil || fl.joined == 1 && !fl.kept {
		return fl.value
	}
	return append(make([]byte, 0, len(fl.value)), fl.value...)
}

// fly does the work.
func (f *flights) fly(ctx context.Context, key string, fl *flight, work func(context.Context, *flight) ([]byte, error)) {
	returned := false
	defer func() {
		switch value := recover(); {
		case value != nil:
			fl.panicked = &PanicError{value, debug.Stack()}
		case !returned:
			fl.err = errGoexit
		case fl.err != nil && errors.Is(context.Cause(ctx), ErrClosed):
			fl.err = ErrClosed
		}
		fl.cancel(nil)
		f.mu.Lock()
		f.shut(key, fl)
		delete(f.running, fl)
		if fl.waiting == 0 && fl.panicked != nil {
			f.lost(fl.panicked)
		}
		f.mu.Unlock()
		close(fl.done)
	}()
	fl.value, fl.err = work(ctx, fl)
	returned = true
}

// leave is for a caller that waits no more.
func (f *flights) leave(key string, fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.waiting--; fl.waiting == 0 {
		fl.cancel(nil)
		f.shut(key, fl) // who comes now would get the end of a context that is not theirs
	}
}

// shut has nobody join the flight any more. It is called with the lock held.
func (f *flights) shut(key string, fl *flight) {
	others := slices.DeleteFunc(f.open[key], func(other *flight) bool { return other == fl })
	if len(others) > 0 {
		f.open[key] = others
	} else {
		delete(f.open, key)
	}
}

// store has a value of the flight stored, unless that is forbidden.
func (fl *flight) store(write func() error) error {
	fl.storing <- struct{}{}
	defer func() { <-fl.storing }()
	if fl.superseded {
		return nil
	}
	return write()
}

// supersede has the calls under way for a key store nothing from now on, and nobody
// join them: what they find may be from before a write that is about to be made,
// or just was. It waits for one that is storing, or the end of the context.
func (f *flights) supersede(ctx context.Context, key string) error {
	f.mu.Lock()
	under := f.open[key]
	delete(f.open, key)
	f.mu.Unlock()
	for _, fl := range under {
		select {
		case fl.storing <- struct{}{}:
			fl.superseded = true
			<-fl.storing
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// close ends the contexts of all and waits for them.
func (f *flights) close() {
	f.mu.Lock()
	f.open = nil
	for fl := range f.running {
		fl.cancel(ErrClosed)
	}
	f.mu.Unlock()
	f.ended.Wait()
}
