package redisbinding

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// creates says, each time it is asked, whether a create succeeds.
func creates(binding *RedisBinding) func() bool {
	return func() bool {
		_, err := binding.Invoke(context.Background(), create("k", "w"))
		return err == nil
	}
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	setup := redistest.StartSentinel(t)
	binding := newBinding(t, setup.Fields())
	invoke(t, binding, create("k", "v"))
	setup.Servers[0].Kill()
	assert.Eventually(t, creates(binding), 30*time.Second, 50*time.Millisecond)
	assert.Equal(t, "w", setup.Servers[1].Do(t, "get", "k"))
}

// One sentinel that hangs delays neither the start nor a new connection.
func TestHungSentinel(t *testing.T) {
	t.Parallel()
	setup := redistest.StartSentinel(t)
	for _, s := range setup.Sentinels {
		s.Pause()
		binding := newBinding(t, setup.Fields("dialTimeout", "10s", "readTimeout", long, "maxConnAge", "1ms"))
		for range 3 {
			soon(t, func() { invoke(t, binding, create("k", "v")) })
		}
		s.Resume()
	}
}

// Sentinels that all hang end a call with its context, and do not keep Close.
func TestHungSentinels(t *testing.T) {
	t.Parallel()
	setup := redistest.StartSentinel(t)
	binding := newBinding(t, setup.Fields("dialTimeout", long, "readTimeout", long), WithLazyConnect())
	for _, s := range setup.Sentinels {
		s.Pause()
		defer s.Resume()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	soon(t, func() {
		_, err := binding.Invoke(ctx, request(GetOperation, "k"))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NoError(t, binding.Close())
	})
}

// Sentinels that redisHost does not name are learnt, and asked when those it names are gone.
func TestSentinelsAreLearnt(t *testing.T) {
	t.Parallel()
	setup := redistest.StartSentinel(t)
	first, _, _ := strings.Cut(setup.Metadata["redisHost"], ",")
	binding := newBinding(t, setup.Fields("redisHost", first))
	require.Eventually(t, func() bool { return len(binding.client.sentinels.known()) == 3 }, 10*time.Second, time.Millisecond)
	for _, s := range setup.Sentinels {
		if s.Addr == first {
			s.Kill()
		}
	}
	setup.Servers[0].Do(t, "client", "kill", "type", "normal", "skipme", "yes")
	invoke(t, binding, create("k", "v"))
	// Another one is subscribed to, whose word is taken.
	setup.Servers[0].Kill()
	assert.Eventually(t, creates(binding), 30*time.Second, 50*time.Millisecond)
}

// When the primary has moved, no connection to the old one is left in use: it
// may be cut off from the others and still answer.
func TestSwitchMasterClosesConnections(t *testing.T) {
	t.Parallel()
	setup := redistest.Sentinel(t)
	binding := newBinding(t, setup.Fields())
	invoke(t, binding, create("k", "v"))
	sentinels := binding.client.sentinels
	for _, payload := range []string{"", "mymaster", "other 127.0.0.1 1 127.0.0.1 2", "mymaster 127.0.0.1 1 127.0.0.1 2 3",
		"mymaster 127.0.0.1 1 " + setup.Servers[0].Host + " " + setup.Servers[0].Port} {
		sentinels.read(payload)
		assert.Equal(t, 1, opened(binding), payload)
	}
	sentinels.read("mymaster " + setup.Servers[0].Host + " " + setup.Servers[0].Port + " 127.0.0.1 1")
	assert.Zero(t, opened(binding))
	invoke(t, binding, create("k", "v"))
}
