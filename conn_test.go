package redisbinding

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A connection that somebody has taken out of the pool is not idle, however
// long it takes until something is written and read.
func TestConnTakenOutIsNotIdle(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	var conns connSet
	c := conns.track("h:1", near, near)
	longAgo := func() time.Time { return time.Now().Add(time.Hour) } // of which everything is

	require.NoError(t, c.SetDeadline(time.Time{}))
	conns.closeUnused(longAgo())
	assert.Len(t, conns.all(), 1, "taken out")

	go func() {
		_, _ = far.Read(make([]byte, 4))
		_, _ = far.Write([]byte("+OK\r\n"))
	}()
	_, err := c.Write([]byte("PING"))
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
