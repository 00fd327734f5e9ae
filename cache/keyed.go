package cache

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
)

// Keyed holds caches by name, each with its own settings: the counterpart of
// keyed services of .NET, where each name gets its own cache indeed. Make it with
// [NewKeyed]. Any number of goroutines may use it.
type Keyed struct {
	opts []Option

	mu     sync.Mutex
	caches map[string]*keyed // nil once closed
}

// keyed is the cache of one name.
type keyed struct {
	opening sync.Mutex
	cache   atomic.Pointer[Cache] // nil: it is not open
}

// NewKeyed returns a Keyed without caches yet. The options are those of every cache.
func NewKeyed(opts ...Option) *Keyed {
	return &Keyed{opts: opts, caches: map[string]*keyed{}}
}

// Cache returns the cache of a name. The first call opens it as [Open] does, with the
// options of NewKeyed and then these; later ones get the same cache, whatever
// options they have. An error is not kept: the next call tries again. After Close it is [ErrClosed].
func (k *Keyed) Cache(ctx context.Context, name string, opts ...Option) (*Cache, error) {
	k.mu.Lock()
	if k.caches == nil {
		k.mu.Unlock()
		return nil, ErrClosed
	}
	of := k.caches[name]
	if of == nil {
		of = &keyed{}
		k.caches[name] = of
	}
	k.mu.Unlock()

	if cache := of.cache.Load(); cache != nil {
		return cache, nil
	}
	of.opening.Lock()
	defer of.opening.Unlock()
	if cache := of.cache.Load(); cache != nil { // somebody else was faster
		return cache, nil
	}
	all := append(append([]Option{}, k.opts...), opts...)
	cache, err := Open(ctx, name, append(all, func(o *options) { o.keyed = true })...)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	closed := k.caches == nil
	k.mu.Unlock()
	if closed {
		return nil, errors.Join(ErrClosed, cache.Close())
	}
	of.cache.Store(cache)
	return cache, nil
}

// HealthChecks returns the checks of all caches that are open, for [HealthHandler].
func (k *Keyed) HealthChecks() HealthChecks {
	checks := HealthChecks{}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, of := range k.caches {
		if cache := of.cache.Load(); cache != nil {
			maps.Copy(checks, cache.HealthChecks())
		}
	}
	return checks
}

// Close closes all caches. It may be called more than once.
func (k *Keyed) Close() error {
	k.mu.Lock()
	caches := k.caches
	k.caches = nil
	k.mu.Unlock()
	var errs []error
	for _, of := range caches {
		of.opening.Lock() // who is opening one sees that all are closed
		if cache := of.cache.Load(); cache != nil {
			errs = append(errs, cache.Close())
		}
		of.opening.Unlock()
	}
	return errors.Join(errs...)
}
