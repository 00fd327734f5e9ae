package cache

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// Many callers get each what is theirs, in less round trips than calls.
func TestManyCallers(t *testing.T) {
	t.Parallel()
	for _, target := range targets(t) {
		t.Run(target.name, func(t *testing.T) {
			c := newTestCache(t, target.client)
			alone := newTestCache(t, target.client, WithoutPipelining())
			ctx := t.Context()
			var callers sync.WaitGroup
			for i := range 64 {
				callers.Go(func() {
					for round := range 20 {
						key, value := fmt.Sprint("key", i), fmt.Append(nil, i, round)
						assert.NoError(t, c.Set(ctx, key, value, EntryOptions{SlidingExpiration: time.Hour}))
						for _, reader := range []*Cache{c, alone} {
							got, found, err := reader.Get(ctx, key)
							assert.NoError(t, err)
							assert.True(t, found)
							assert.Equal(t, value, got)
						}
					}
				})
			}
			callers.Wait()
			assert.NotNil(t, c.pipelining.pipeliner)
			assert.Nil(t, alone.pipelining.pipeliner)
		})
	}
}

// A Set whose context ends before it was sent is not carried out behind a later one's
// back, and what it would have written may be changed at once.
func TestAbandonedWrites(t *testing.T) {
	t.Parallel()
	c, h := holding(t, "abandoned")
	c.pipelining.underWay.Add(mostAlone)
	value := []byte("abandoned")
	ctx, cancel := context.WithCancel(t.Context())
	abandoned := make(chan error)
	go func() { abandoned <- c.Set(ctx, "key", value, EntryOptions{}) }()
	<-h.held
	cancel()
	require.ErrorIs(t, <-abandoned, context.Canceled)
	for i := range value {
		value[i] = 'X' // or the race detector speaks
	}
	c.pipelining.underWay.Add(-mostAlone) // nobody else is there: later ones could go alone
	written := make(chan error)
	go func() {
		written <- c.SetMany(t.Context(), map[string][]byte{"key": []byte("new"), "other": nil}, EntryOptions{})
	}()
	select {
	case err := <-written:
		t.Error("it has overtaken the abandoned one", err)
	case <-time.After(100 * time.Millisecond): // as long as it cannot
	}
	close(h.released)
	require.NoError(t, <-written)
	require.Eventually(t, func() bool { return c.pipelining.abandoned.Load() == 0 }, soon, time.Millisecond)
	requireStored(t, c, "new")
}

// An error of a pipeline as a whole is one of each command in it.
func TestPipelineThatFails(t *testing.T) {
	t.Parallel()
	client := plain(t)
	client.AddHook(brokenPipelines{})
	c := newTestCache(t, client)
	_, err := c.GetMany(t.Context(), "a", "b")
	require.ErrorIs(t, err, errBroken)
	require.ErrorIs(t, c.SetMany(t.Context(), map[string][]byte{"a": nil, "b": nil}, EntryOptions{}), errBroken)
	require.ErrorIs(t, c.RemoveByTag(t.Context(), "a", "b"), errBroken)
}

type brokenPipelines struct{}

func (brokenPipelines) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (brokenPipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (brokenPipelines) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return errBroken }
}

// A context ends a call that shares a round trip with others, when Redis is silent.
func TestPipelinedCallsLeave(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: 2 * time.Second, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	c := newTestCache(t, client)
	_, _, err := c.Get(t.Context(), "key")
	require.NoError(t, err)
	c.pipelining.underWay.Add(mostAlone)
	server.Pause()
	defer server.Resume()
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, _, err := c.Get(ctx, "key")
		failed <- err
	}()
	require.Eventually(t, func() bool { return c.pipelining.underWay.Load() > mostAlone }, soon, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
}

// Who has no pipeliner goes without.
func TestRing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": server.Addr}})
	t.Cleanup(func() { _ = ring.Close() })
	c := newTestCache(t, ring)
	c.pipelining.underWay.Add(mostAlone)
	require.NoError(t, c.Set(t.Context(), "key", []byte("v"), EntryOptions{}))
	value, found, err := c.Get(t.Context(), "key")
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "v", string(value))
}
