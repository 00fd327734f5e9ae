package hosting

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestContainerEnds(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	i := up(t, test.containers, s)[0]
	c := dial(t, i, s)
	_ = c.Shutdown(t.Context())
	<-i.done()
	require.ErrorContains(t, i.err(), "has ended: exit status 0")
	assert.ErrorContains(t, i.err(), "User requested shutdown")
	require.NoError(t, i.stop(within(t)))
}

func TestContainerConfigurationError(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	s.password = `correct"horse`
	s.directives = [][]string{{"nonsense", s.password}}
	i, err := test.start(within(t), []*server{s}, func(string) {})
	if err == nil { // it was inspected while it still ran
		<-i[0].done()
		err = i[0].err()
		require.NoError(t, i[0].stop(within(t)))
	}
	require.ErrorContains(t, err, "exit status 1")
	require.ErrorContains(t, err, "nonsense")
	require.NotContains(t, err.Error(), "horse")
	require.NoError(t, test.close(within(t)))
	assert.Empty(t, test.left(t))
}

// What does not stop is killed when the context ends, and nothing is left.
func TestContainerKilled(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	i := up(t, test.containers, s)[0]
	dial(t, i, s)
	_, err := test.docker.API.ContainerPause(t.Context(), i.(*runningContainer).id, client.ContainerPauseOptions{})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err = i.stop(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "was killed")
	require.NoError(t, test.close(within(t)))
	assert.Empty(t, test.left(t))
}

func TestContainerPortTaken(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	s := testServer("cache")
	s.port = listener.Addr().(*net.TCPAddr).Port
	_, err = test.start(within(t), []*server{s}, func(string) {})
	require.ErrorIs(t, err, ErrPortTaken)
	assert.ErrorContains(t, err, strconv.Itoa(s.port))

	// The engine finds out by itself where nobody has asked.
	l := &launch{containers: test.containers}
	spec, err := test.serverSpec(t.Context(), s, redisPort)
	require.NoError(t, err)
	spec.publish(redisPort, s.port)
	spec.Network, err = test.network(t.Context(), false)
	require.NoError(t, err)
	id, err := l.create(t.Context(), spec, test.labels(false))
	require.NoError(t, err)
	_, err = test.api.ContainerStart(t.Context(), id, client.ContainerStartOptions{})
	require.ErrorIs(t, portError(err, spec.hostPorts()), ErrPortTaken)
	l.undo(t.Context())

	// Nor is anything left of a group.
	group := testGroup(t, 2, func(*server) {})
	group[1].port = s.port
	_, err = test.start(within(t), group, func(string) {})
	require.ErrorIs(t, err, ErrPortTaken)
	require.NoError(t, test.close(within(t)))
	assert.Empty(t, test.left(t))
}

func TestContainerStartCancelled(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	_, err := test.start(ctx, []*server{testServer("cache")}, func(string) {})
	require.Error(t, err)
	require.NoError(t, test.close(within(t)))
	assert.Empty(t, test.left(t))
}
