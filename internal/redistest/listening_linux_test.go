package redistest

import (
	"net"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestListening(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "127.0.0.3:0", "[::]:0"} {
		listener, err := net.Listen("tcp", address)
		require.NoError(t, err)
		host, _, err := net.SplitHostPort(listener.Addr().String())
		require.NoError(t, err)
		assert.Contains(t, Listening(t, os.Getpid()), host)
		require.NoError(t, listener.Close())
	}
}

// No server of the tests can be reached from elsewhere, nor the bus of a cluster.
func TestServersListenOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, s := range Setups(t) {
		for _, server := range slices.Concat(s.Servers, s.Sentinels) {
			addresses := Listening(t, server.process.pid)
			assert.NotEmpty(t, addresses, s.Name)
			for _, address := range addresses {
				assert.Equal(t, "127.0.0.1", address, s.Name)
			}
		}
	}
}
