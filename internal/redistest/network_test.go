package redistest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	n := StartNetwork(t, Start(t), "127.0.0.1:0")
	open := func() net.Conn {
		conn, err := net.Dial("tcp", n.Addr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(readyTimeout)))
		return conn
	}
	ask := func(conn net.Conn) (string, error) {
		_, err := io.WriteString(conn, "PING\r\n")
		require.NoError(t, err)
		return bufio.NewReader(conn).ReadString('\n')
	}
	answered := func(conn net.Conn) {
		t.Helper()
		reply, err := ask(conn)
		require.NoError(t, err)
		assert.Equal(t, "+PONG\r\n", reply)
	}
	for name, faults := range map[string]Faults{"swallow": {Swallow: 1}, "truncate": {Truncate: 1}, "half-close": {HalfClose: 1}} {
		conn := open()
		answered(conn)
		n.Set(faults)
		reply, err := ask(conn)
		require.Error(t, err, name)
		assert.Less(t, len(reply), len("+PONG\r\n"), name)
		n.Set(Faults{})
		if faults.HalfClose > 0 {
			_, err = conn.Write([]byte("PING\r\n"))
			assert.NoError(t, err, "that side is open")
		}
	}

	conn := open()
	n.Set(Faults{Corrupt: 1})
	reply, _ := ask(conn)
	assert.False(t, strings.HasPrefix(reply, "+PONG\r\n"), "%q", reply)
	n.Set(Faults{})

	conn = open()
	answered(conn)
	n.Cut()
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	answered(open())
	n.Dark(true)
	before := n.Connections()
	_, err = open().Read(make([]byte, 1))
	require.Error(t, err)
	assert.Equal(t, before+1, n.Connections())
	n.Dark(false)
	answered(open())
}

func TestPathLosesPackets(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 100*time.Millisecond, path{delay: 100 * time.Millisecond}.takes(1e6))
	lossy := path{delay: 100 * time.Millisecond, loss: 0.5}
	lost := 0
	for range 1000 {
		switch took := lossy.takes(packet); took {
		case 100 * time.Millisecond:
		default:
			lost++
			assert.GreaterOrEqual(t, took, (100+400)*time.Millisecond)
		}
	}
	assert.InDelta(t, 500, lost, 150)
}
