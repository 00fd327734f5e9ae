package main

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/redisbinding/redisbinding"
)

// TestMain fails the run when a test leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newSessions returns a session store on a Redis of its own, in memory.
func newSessions(t *testing.T) (*Sessions, *miniredis.Miniredis) {
	t.Helper()
	server := miniredis.RunT(t) // closed at the end of the test
	binding, err := redisbinding.NewRedisBinding(map[string]string{"redisHost": server.Addr()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, binding.Close()) })
	return &Sessions{Binding: binding, TTL: time.Hour}, server
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
	sessions, server := newSessions(t)
	require.NoError(t, sessions.Start(t.Context(), "1", "ada"))

	server.FastForward(time.Hour - time.Second)
	_, err := sessions.User(t.Context(), "1")
	require.NoError(t, err)

	server.FastForward(time.Second)
	_, err = sessions.User(t.Context(), "1")
	require.ErrorIs(t, err, ErrNoSession)
}

// A Redis that is away must not look like a user who is logged out.
func TestSessionWithoutRedis(t *testing.T) {
	sessions, server := newSessions(t)
	require.NoError(t, sessions.Start(t.Context(), "1", "ada"))

	addr := server.Addr()
	server.Close()
	_, err := sessions.User(t.Context(), "1")
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNoSession)
	assert.ErrorContains(t, err, addr)

	require.NoError(t, server.Restart()) // on the same port, with the same keys
	user, err := sessions.User(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, "ada", user)
}
