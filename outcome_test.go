package redisbinding

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// ErrNotCarriedOut is a promise: who is told so may send an increment again.
func TestErrNotCarriedOut(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	binding := newBinding(t, map[string]string{"redisHost": proxy.Addr})
	patient := newBinding(t, map[string]string{"redisHost": proxy.Addr, "redisMaxRetries": "1"})
	increment, create := request(IncrementOperation, "n"), request(CreateOperation, "k")

	proxy.SwallowReplies(true)
	_, err := binding.Invoke(t.Context(), increment)
	assert.ErrorIs(t, err, ErrUnavailable)
	assert.NotErrorIs(t, err, ErrNotCarriedOut, "it was")
	assert.Equal(t, "1", server.Do(t, "GET", "n"))
	proxy.SwallowReplies(false)

	// The first attempt is carried out, its reply is lost, and the second finds nobody.
	begun, release := proxy.HoldNextReply(t)
	failed := make(chan error, 1)
	go func() {
		_, err := patient.Invoke(t.Context(), create)
		failed <- err
	}()
	<-begun
	server.Kill()
	proxy.Cut()
	release()
	err = <-failed
	assert.ErrorIs(t, err, ErrUnavailable)
	assert.NotErrorIs(t, err, ErrNotCarriedOut)
	assert.ErrorContains(t, err, "(an attempt before may have been carried out)")

	for _, b := range []*RedisBinding{binding, patient} {
		for _, req := range []*InvokeRequest{increment, create} {
			_, err = b.Invoke(t.Context(), req)
			assert.ErrorIs(t, err, ErrNotCarriedOut)
			assert.ErrorIs(t, err, ErrUnavailable)
		}
		_, err = b.InvokeBatch(t.Context(), []*InvokeRequest{increment, create})
		var failed BatchErrors
		require.ErrorAs(t, err, &failed)
		for _, e := range failed {
			assert.ErrorIs(t, e, ErrNotCarriedOut)
		}
	}
	_, err = binding.Invoke(t.Context(), request(GetOperation, ""))
	assert.NotErrorIs(t, err, ErrNotCarriedOut, "there is nothing to send again")
}
