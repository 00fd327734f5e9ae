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
			assert.NotNil(t, c.pipelining.pipeliner.Load())
			assert.Nil(t, alone.pipelining.pipeliner.Load())
		})
	}
}

// A value may be changed once Set has returned, also when its context has ended before
// the value was sent; what is longer goes alone.
func TestPipelinedValuesAreCopies(t *testing.T) {
	value := []byte("value")
	cmd := &command{script: setScript, key: "key", args: []any{"-1", "-1", value, "-1"}}
	cmd.prepare(t.Context(), false)
	require.True(t, cmd.mayShare())
	value[0] = 'X'
	assert.Equal(t, []byte("value"), cmd.cmd.Args()[6])

	cmd.args[2] = make([]byte, pipelinedLargest+1)
	cmd.prepare(t.Context(), false)
	assert.False(t, cmd.mayShare())
}

// A context ends a call that shares a round trip with others, when Redis is silent.
func TestPipelinedCallsLeave(t *testing.T) {
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
