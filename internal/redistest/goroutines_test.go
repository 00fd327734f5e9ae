package redistest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWatchGoroutines(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	requireNone := WatchGoroutines(t)
	started := make(chan struct{})
	go func() {
		go func() {
			close(started)
			<-end
		}()
	}()
	<-started
	id := fmt.Sprint(watched.Load())
	require.Contains(t, goroutinesOf(id), "TestWatchGoroutines.func")
	close(end)
	requireNone()
	assert.Empty(t, goroutinesOf(id))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { <-ctx.Done() }() // nobody watches any more
	assert.Empty(t, goroutinesOf(id))
}
