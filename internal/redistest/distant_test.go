package redistest

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The round trip is waited for, and only once by all that is sent together.
func TestStartDistant(t *testing.T) {
	t.Parallel()
	const roundTrip = 200 * time.Millisecond
	client := redis.NewClient(&redis.Options{Addr: StartDistant(t, Start(t), roundTrip), ReadTimeout: time.Minute})
	defer client.Close()
	require.NoError(t, client.Ping(t.Context()).Err())

	start := time.Now()
	require.NoError(t, client.Ping(t.Context()).Err())
	assert.GreaterOrEqual(t, time.Since(start), roundTrip)

	conn, err := net.Dial("tcp", client.Options().Addr)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	// A round trip for each of them would be more than the test's time.
	const many = 100_000
	go func() {
		for range many / 1000 {
			_, _ = io.WriteString(conn, strings.Repeat("INCR n\r\n", 1000))
		}
	}()
	var got []byte
	for !strings.Contains(string(got[max(0, len(got)-100):]), ":100000\r\n") {
		buf := make([]byte, 64<<10)
		n, err := conn.Read(buf)
		require.NoError(t, err)
		got = append(got, buf[:n]...)
	}
	assert.Equal(t, many, strings.Count(string(got), "\r\n"))
}

// What was sent before the end arrives before the end.
func TestDistantConnCloses(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	c, err := newDistantConn(near, path{delay: time.Millisecond})
	require.NoError(t, err)
	data := []byte("first")
	_, err = c.Write(data)
	require.NoError(t, err)
	copy(data, "XXXXX") // The writer may use it again.
	_, err = c.Write([]byte(" second"))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())

	got, err := io.ReadAll(far)
	require.NoError(t, err)
	assert.Equal(t, "first second", string(got))
}

func TestSleeper(t *testing.T) {
	t.Parallel()
	s, err := newSleeper()
	require.NoError(t, err)
	defer s.close()
	for _, d := range []time.Duration{-time.Second, 0, time.Nanosecond, 100 * time.Microsecond, 20 * time.Millisecond} {
		start := time.Now()
		s.sleepUntil(start.Add(d))
		assert.GreaterOrEqual(t, time.Since(start), d)
	}
}

func TestDistantServerThatIsDown(t *testing.T) {
	t.Parallel()
	server := Start(t)
	addr := StartDistant(t, server, time.Millisecond)
	server.Kill()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
}
