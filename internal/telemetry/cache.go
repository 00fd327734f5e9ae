package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"
)

// cache keeps what is made a few times and read by every call: reading takes no
// lock and allocates nothing. It keeps no more than limit values.
type cache[K comparable, V any] struct {
	limit int

	mu      sync.Mutex
	entries atomic.Pointer[map[K]V] // replaced with mu held, never changed
}

// get returns the value for a key, made when there is none yet, and whether it
// is kept.
func (c *cache[K, V]) get(key K, create func(K) V) (value V, kept bool) {
	if entries := c.entries.Load(); entries != nil {
		if value, kept = (*entries)[key]; kept {
			return value, kept
		}
	}
	return c.add(key, create)
}

// add is get for a key that has not been there.
func (c *cache[K, V]) add(key K, create func(K) V) (value V, kept bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries := map[K]V{}
	if old := c.entries.Load(); old != nil {
		if value, kept = (*old)[key]; kept { // another goroutine was faster
			return value, kept
		}
		if len(*old) >= c.limit {
			return create(key), false
		}
		entries = maps.Clone(*old)
	}
	value = create(key)
	entries[key] = value
	c.entries.Store(&entries)
	return value, true
}
