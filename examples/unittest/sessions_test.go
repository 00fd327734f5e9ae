package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/bindingtest"
)

// TestMain fails the run when a test leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newSessions returns a session store on a Redis of its own, in memory.
func newSessions(t *testing.T) (*Sessions, *bindingtest.Binding) {
	t.Helper()
	binding := bindingtest.New(t) // closed at the end of the test
	return &Sessions{Binding: binding, TTL: time.Hour}, binding
}

func TestSession(t *testing.T) {
	sessions, _ := newSessions(t)

	_, err := sessions.User(t.Context(), "1")
	require.ErrorIs(t, err, ErrNoSession)

	require.NoError(t, sessions.Start(t.Context(), "1", "ada"))
	user, err := sessions.User(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, "ada", user)

	user, err = sessions.End(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, "ada", user)
	_, err = sessions.End(t.Context(), "1")
	require.ErrorIs(t, err, ErrNoSession)
}

func TestSessionExpires(t *testing.T) {
	sessions, redis := newSessions(t)
	require.NoError(t, sessions.Start(t.Context(), "1", "ada"))

	redis.Advance(time.Hour - time.Second)
	_, err := sessions.User(t.Context(), "1")
	require.NoError(t, err)

	redis.Advance(time.Second)
	_, err = sessions.User(t.Context(), "1")
	require.ErrorIs(t, err, ErrNoSession)
}

// A Redis that is away must not look like a user who is logged out.
func TestSessionWithoutRedis(t *testing.T) {
	sessions, redis := newSessions(t)
	require.NoError(t, sessions.Start(t.Context(), "1", "ada"))

	redis.Stop()
	_, err := sessions.User(t.Context(), "1")
	require.ErrorIs(t, err, redisbinding.ErrUnavailable)
	require.NotErrorIs(t, err, ErrNoSession)

	redis.Start() // with the same keys
	user, err := sessions.User(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, "ada", user)
}
