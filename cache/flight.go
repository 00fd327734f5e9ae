package cache

import (
	"bytes"
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
	running map[string][]*flight // by key; nil once closed
	ended   sync.WaitGroup
	lost    func(*PanicError) // is told of a panic when nobody waits any more
}

// flight is work that callers wait for.
type flight struct {
	flags  Flags // what callers must have in common, beside the key
	tags   []string
	cancel context.CancelCauseFunc

	// With the lock of flights held:
	joinable   bool
	waiting    int
	joined     int           // all that have ever waited
	superseded bool          // somebody here has written the key since the flight began
	stored     chan struct{} // closed when it has stored its value; nil: it is not storing

	// kept says that the value is kept by somebody else than those who wait.
	kept bool

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

var (
	errGoexit    = errors.New("cache: the factory ended its goroutine")
	errRecursion = errors.New("cache: get or create: the factory of a key waits for that key")
)

func (f *flights) init(lost func(*PanicError)) {
	f.running, f.lost = map[string][]*flight{}, lost
}

// inside is in the context of a flight's work: the flight, and those it is itself a
// part of.
type inside struct {
	flight *flight
	outer  *inside
}

type insideKey struct{}

// do has the work done, unless it is under way, and waits for it. A caller leaves
// when its context ends; the context of the work ends when all have left. It holds
// what the context of the first caller holds, but not its end.
func (f *flights) do(ctx context.Context, key string, flags Flags, tags []string, work func(context.Context, *flight) ([]byte, error)) (value []byte, joined bool, err error) {
	outer, _ := ctx.Value(insideKey{}).(*inside)
	f.mu.Lock()
	if f.running == nil {
		f.mu.Unlock()
		return nil, false, ErrClosed
	}
	fl := f.find(key, flags)
	for in := outer; in != nil && fl != nil; in = in.outer {
		if in.flight == fl {
			f.mu.Unlock()
			return nil, false, errRecursion
		}
	}
	if joined = fl != nil; !joined {
		fl = &flight{flags: flags, tags: tags, joinable: true, done: make(chan struct{})}
		of := context.WithValue(context.WithoutCancel(ctx), insideKey{}, &inside{fl, outer})
		of, fl.cancel = context.WithCancelCause(of)
		f.running[key] = append(f.running[key], fl)
		f.ended.Go(func() { f.fly(of, key, fl, work) })
	}
	fl.waiting++
	fl.joined++
	f.mu.Unlock()

	select {
	case <-fl.done:
	case <-ctx.Done():
		f.leave(fl)
		return nil, joined, ctx.Err()
	}
	if fl.panicked != nil {
		panic(fl.panicked)
	}
	return fl.copy(), joined, fl.err
}

// find is called with the lock held.
func (f *flights) find(key string, flags Flags) *flight {
	for _, fl := range f.running[key] {
		if fl.joinable && fl.flags == flags {
			return fl
		}
	}
	return nil
}

// copy returns the value for one caller, who may change it.
func (fl *flight) copy() []byte {
	if fl.joined == 1 && !fl.kept {
		return fl.value
	}
	return bytes.Clone(fl.value)
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
		if f.land(key, fl) == 0 && fl.panicked != nil {
			f.lost(fl.panicked)
		}
		close(fl.done)
	}()
	fl.value, fl.err = work(ctx, fl)
	returned = true
}

// land takes the flight out, and returns how many still wait for it.
func (f *flights) land(key string, fl *flight) (waiting int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl.joinable = false
	others := slices.DeleteFunc(f.running[key], func(other *flight) bool { return other == fl })
	if len(others) > 0 {
		f.running[key] = others
	} else {
		delete(f.running, key)
	}
	return fl.waiting
}

// leave is for a caller that waits no more.
func (f *flights) leave(fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.waiting--; fl.waiting == 0 {
		fl.cancel(nil)
		fl.joinable = false // who comes now would get the end of a context that is not theirs
	}
}

// store has the value of the flight stored, unless that is forbidden. The write must
// not end before it is certain that it will not be carried out later.
func (f *flights) store(fl *flight, write func() error) error {
	f.mu.Lock()
	if fl.superseded {
		f.mu.Unlock()
		return nil
	}
	fl.stored = make(chan struct{})
	f.mu.Unlock()
	defer close(fl.stored)
	return write()
}

// supersede has the calls under way for a key store nothing from now on, and nobody
// join them: what they find may be from before a write that is about to be made,
// or just was. It waits for one that is storing, or the end of the context.
func (f *flights) supersede(ctx context.Context, key string) error {
	f.mu.Lock()
	var storing []chan struct{}
	for _, fl := range f.running[key] {
		fl.joinable, fl.superseded = false, true
		if fl.stored != nil {
			storing = append(storing, fl.stored)
		}
	}
	f.mu.Unlock()
	for _, stored := range storing {
		select {
		case <-stored:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// outdate has nobody join the calls under way for entries with one of the tags: what
// they find may be from before the tags were removed, and is stored as such.
func (f *flights) outdate(tags []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Contains(tags, allTags)
	for _, of := range f.running {
		for _, fl := range of {
			if all || slices.ContainsFunc(fl.tags, func(tag string) bool { return slices.Contains(tags, tag) }) {
				fl.joinable = false
			}
		}
	}
}

// close ends the contexts of all and waits for them.
func (f *flights) close() {
	f.mu.Lock()
	for _, of := range f.running {
		for _, fl := range of {
			fl.cancel(ErrClosed)
		}
	}
	f.running = nil
	f.mu.Unlock()
	f.ended.Wait()
}
