package redisbinding

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A connection that somebody has taken out of the pool is not idle, however
// long it takes until something is written and read.
func TestConnTakenOutIsNotIdle(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	var conns connSet
	c := conns.track("h:1", near, near, nil)
	longAgo := func() time.Time { return time.Now().Add(time.Hour) } // of which everything is

	require.NoError(t, c.SetDeadline(time.Time{}))
	conns.closeUnused(longAgo())
	assert.Len(t, conns.all(), 1, "taken out")

	go func() {
		_, _ = far.Read(make([]byte, 100))
		_, _ = far.Write([]byte("+OK\r\n"))
	}()
	_, err := c.Write([]byte("*1\r\n$4\r\nping\r\n"))
	require.NoError(t, err)
	conns.closeUnused(longAgo())
	assert.Len(t, conns.all(), 1, "waiting for the reply")

	_, err = c.Read(make([]byte, 5))
	require.NoError(t, err)
	conns.closeUnused(time.Now().Add(-time.Hour))
	assert.Len(t, conns.all(), 1, "used since")
	conns.closeUnused(longAgo())
	assert.Empty(t, conns.all())
}

// A read that goes on and on ends with the context all the same.
func TestConnMindsContextWhileReading(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	conns := connSet{readTimeout: 30 * time.Millisecond}
	c := conns.track("h:1", near, near, nil)
	ctx, cancel := context.WithCancel(t.Context())
	conns.direct.do(ctx, func(ctx context.Context) {
		mark, _ := ctx.Deadline()
		require.NoError(t, c.SetReadDeadline(mark))
		go func() {
			for {
				if _, err := far.Write([]byte("+")); err != nil {
					return
				}
			}
		}()
		_, err := c.Read(make([]byte, 1))
		require.NoError(t, err)
		cancel()
		_, err = c.Read(make([]byte, 1))
		assert.Equal(t, context.Canceled, err)
	})
}

// A deadline that go-redis sets of itself holds, and readTimeout does not move it.
func TestConnObeysGoRedis(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	conns := connSet{readTimeout: time.Hour}
	c := conns.track("h:1", near, near, nil)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	go func() { _, _ = far.Write([]byte("+")) }()
	_, err := c.Read(make([]byte, 1))
	require.NoError(t, err)
	soon(t, func() {
		_, err = c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}
