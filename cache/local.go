package cache

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// local is what is kept in process: values that were read from Redis, for as long
// as every change there is heard of. What this process writes gets in when it is
// read: of a write Redis tells all alike, so that its own echo would drop it again.
type local struct {
	entries *otter.Cache[string, *kept]
	tracker *tracker

	// on says that changes are heard of.
	on atomic.Bool

	// Between reading a value and keeping it a change may be heard of. So who keeps
	// one shows what had been heard of before it was read.
	mu      sync.RWMutex
	changes [256]uint64 // of the keys that have this hash
	flushes uint64
	seed    maphash.Seed
}

// kept is a value in process.
type kept struct {
	value []byte
	tags  []string // with allTags when the entry was created with some
	ttl   time.Duration

	// decoded is the value as the generic GetOrCreate has read it, when it is of a type
	// that callers can share.
	decoded atomic.Pointer[any]
}

// size is how much memory it takes, in bytes, about. A value in HybridCache's format
// has the key and the tags before it.
func (k *kept) size(key string) int {
	n := 2*len(key) + cap(k.value) + entryOverhead
	for _, tag := range k.tags {
		n += 2*len(tag) + tagOverhead
	}
	return n
}

// About what an entry takes beside its key and its value, and a tag beside its text, in bytes.
const (
	entryOverhead = 200
	tagOverhead   = 16
)

func newLocal(c *Cache) *local {
	l := &local{seed: maphash.MakeSeed()}
	settings := &otter.Options[string, *kept]{
		MaximumWeight: c.localSize,
		Weigher: func(key string, k *kept) uint32 {
			return uint32(min(k.size(key), 1<<32-1)) //nolint:gosec // no more than that
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, *kept]) time.Duration { return e.Value.ttl }),
		Logger:           &otter.NoopLogger{},
	}
	if c.clock {
		settings.Clock = clock(c.now)
	}
	l.entries = otter.Must(settings)
	l.tracker = startTracker(c, l)
	return l
}

// clock is the time of [WithClock] as otter wants it.
type clock func() time.Time

func (c clock) NowNano() int64 { return c().UnixNano() }

// Tick returns no ticks: what has expired goes when there is need of its place.
func (clock) Tick(time.Duration) <-chan time.Time { return nil }

// get returns what is kept for a key, or nil. Its value must not be changed.
func (l *local) get(key string) *kept {
	if !l.on.Load() {
		return nil
	}
	k, _ := l.entries.GetIfPresent(key)
	return k
}

// seen is what changes have been heard of at some time.
type seen struct{ changes, flushes uint64 }

func (l *local) seen(key string) seen {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return seen{l.changes[l.hash(key)], l.flushes}
}

// put keeps an entry that was read after changes were seen, for a time, unless there
// has been another change since then. It says whether it did.
func (l *local) put(key string, e *entry, ttl time.Duration, before seen) bool {
	if ttl <= 0 {
		return false
	}
	k := &kept{value: e.value, tags: e.tags, ttl: ttl}
	if e.created != 0 {
		k.tags = append(k.tags, allTags)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if !l.on.Load() || before != (seen{l.changes[l.hash(key)], l.flushes}) {
		return false
	}
	l.entries.Set(key, k)
	return true
}

func (l *local) hash(key string) uint8 { return uint8(maphash.String(l.seed, key)) } //nolint:gosec // some bits of it

// invalidate drops the value of a key.
func (l *local) invalidate(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes[l.hash(key)]++
	l.entries.Invalidate(key)
}

// invalidateTag drops the values that have a tag.
func (l *local) invalidateTag(tag string) {
	l.mu.Lock()
	l.flushes++ // what is being read now may have it
	l.mu.Unlock()
	for key, k := range l.entries.All() {
		if slices.Contains(k.tags, tag) {
			l.entries.Invalidate(key)
		}
	}
}

// switching is what turns keeping on, once, and off.
type switching struct {
	local *local
	ended bool // with the lock of local held
}

func (l *local) switching() *switching { return &switching{local: l} }

// on says that changes are heard of from now on, unless that has ended already.
func (s *switching) on() bool {
	s.local.mu.Lock()
	defer s.local.mu.Unlock()
	s.local.turn(!s.ended)
	return !s.ended
}

// off says that changes are not heard of any more.
func (s *switching) off() {
	s.local.mu.Lock()
	defer s.local.mu.Unlock()
	s.ended = true
	s.local.turn(false)
}

// turn drops all that is kept, and what is being read. It is called with the lock held.
func (l *local) turn(on bool) {
	l.flushes++
	l.on.Store(false)
	l.entries.InvalidateAll()
	l.on.Store(on)
}

func (l *local) close() {
	l.tracker.close()
	l.switching().off()
	l.entries.StopAllGoroutines()
}
