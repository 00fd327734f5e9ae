package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// Keyed holds caches by name, each with its own settings: the counterpart of
// keyed services of .NET, where each name gets its own cache indeed. Names are matched
// without regard to case. Make it with [NewKeyed]. Any number of goroutines may use it.
type Keyed struct {
	opts []Option

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu     sync.Mutex
	caches map[string]*keyed // nil once closed
}

// keyed is the cache of one name.
type keyed struct {
	opening chan struct{}         // held by who opens or closes it
	cache   atomic.Pointer[Cache] // nil: it is not open
}

// NewKeyed returns a Keyed without caches yet. The options are those of every cache.
func NewKeyed(opts ...Option) *Keyed {
	k := &Keyed{opts: opts, caches: map[string]*keyed{}}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

// Format writes what it is, whatever the verb, and nothing of what is inside.
func (k *Keyed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "Redis caches by name") }

// Cache returns the cache of a name. The first call opens it as [Open] does, with the
// options of NewKeyed and then these; later ones get the same cache, whatever
// options they have. An error is not kept: the next call tries again. After Close it
// is [ErrClosed].
func (k *Keyed) Cache(ctx context.Context, name string, opts ...Option) (*Cache, error) {
	k.mu.Lock()
	if k.caches == nil {
		k.mu.Unlock()
		return nil, ErrClosed
	}
	of := k.caches[strings.ToLower(name)]
	if of == nil {
		of = &keyed{opening: make(chan struct{}, 1)}
		k.caches[strings.ToLower(name)] = of
	}
	k.mu.Unlock()

	if cache := of.cache.Load(); cache != nil {
		return cache, nil
	}
	select {
	case of.opening <- struct{}{}:
		defer func() { <-of.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if k.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if cache := of.cache.Load(); cache != nil { // somebody else was faster
		return cache, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.ctx, cancel)()
	all := append(append([]Option{}, k.opts...), opts...)
	cache, err := Open(ctx, name, append(all, func(o *options) { o.keyed = true })...)
	switch {
	case k.ctx.Err() != nil && err != nil:
		return nil, ErrClosed
	case err != nil:
		return nil, err
	}
	of.cache.Store(cache) // Close waits, and closes it
	return cache, nil
}

// HealthChecks returns the checks of all caches that are open now, for [HealthHandler]:
// so this is to be called once they are.
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
	k.cancel()
	var errs []error
	for _, of := range caches {
		of.opening <- struct{}{}
		if cache := of.cache.Load(); cache != nil {
			errs = append(errs, cache.Close())
		}
		<-of.opening
	}
	return errors.Join(errs...)
}
