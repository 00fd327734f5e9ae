package telemetry

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCacheOfManyGoroutines(t *testing.T) {
	t.Parallel()
	const keys = 100
	c := cache[int, int]{limit: keys}
	create := func(key int) int {
		if c.mu.TryLock() {
			t.Error("two could make a value at once, and one would be lost")
			c.mu.Unlock()
		}
		return -key
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for key := range keys {
				if value, kept := c.get(key, create); value != -key || !kept {
					t.Errorf("get(%d) = %d, %t", key, value, kept)
				}
			}
		})
	}
	wg.Wait()
	assert.Len(t, *c.entries.Load(), keys)
}

func TestCacheKeepsWhatWasFirst(t *testing.T) {
	t.Parallel()
	c := cache[string, string]{limit: 1}
	c.get("key", func(string) string { return "first" })
	value, kept := c.add("key", func(string) string { return "second" }) // by one who has looked before
	assert.Equal(t, "first", value)
	assert.True(t, kept)
}

func TestCacheThatIsFull(t *testing.T) {
	t.Parallel()
	c := cache[string, string]{limit: 1}
	self := func(key string) string { return key }
	for _, want := range []bool{true, false, false} {
		key := map[bool]string{true: "a", false: "b"}[want]
		value, kept := c.get(key, self)
		assert.Equal(t, key, value)
		assert.Equal(t, want, kept)
	}
}
