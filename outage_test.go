package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// Who connects to a server that takes connections and hangs up, as what balances load
// for a dead one does, shares the attempts, and the failure.
func TestCallersOfADeadServerShareAttempts(t *testing.T) {
	t.Parallel()
	network := redistest.StartNetwork(t, redistest.Start(t), "127.0.0.1:0")
	binding := newBinding(t, map[string]string{"redisHost": network.Addr, "poolSize": "200", "pipelining": "off"})
	network.Dark(true)
	require.Eventually(t, func() bool { return errors.Is(binding.Ping(t.Context()), ErrNotExecuted) }, 10*time.Second, time.Millisecond,
		"no connection from before is left")
	before := network.Connections()
	const callers = 1000
	together(callers, func(int) {
		_, err := binding.Invoke(t.Context(), request(IncrementOperation, "n"))
		assert.ErrorIs(t, err, ErrUnavailable)
		assert.ErrorIs(t, err, ErrNotExecuted)
	})
	attempts := network.Connections() - before
	assert.NotZero(t, attempts)
	assert.Less(t, attempts, callers/4)
	network.Dark(false)
	assert.Equal(t, "1", string(invoke(t, binding, request(IncrementOperation, "n")).Data))
}

// A call does not wait for an attempt that was begun before the server was back, and
// will come to nothing.
func TestAttemptsThatHangHoldUpNobody(t *testing.T) {
	t.Parallel()
	server, certificates := redistest.StartTLS(t, "--tls-auth-clients", "no")
	network := redistest.StartNetwork(t, server, "127.0.0.1:0")
	binding := newBinding(t, map[string]string{"redisHost": network.Addr, "enableTLS": "true", "caCert": string(certificates.CA), "dialTimeout": "1m"})
	get := request(GetOperation, "k")
	network.Dark(true)
	_, err := binding.Invoke(t.Context(), get)
	assert.ErrorIs(t, err, ErrUnavailable)
	network.Silent(true)
	network.Dark(false)
	before := network.Connections()
	ctx, cancel := context.WithCancel(t.Context())
	hung := make(chan error)
	go func() {
		_, err := binding.Invoke(ctx, get)
		hung <- err
	}()
	require.Eventually(t, func() bool { return network.Connections() > before }, 10*time.Second, time.Millisecond)
	network.Silent(false)
	soon, ended := context.WithTimeout(t.Context(), 20*time.Second)
	defer ended()
	_, err = binding.Invoke(soon, get)
	assert.NoError(t, err)
	cancel()
	assert.ErrorIs(t, <-hung, context.Canceled)
}

// What keeps one server behind an address from answering says nothing of the others: a
// failure is shared when it is not the first.
func TestFirstFailuresAreNotShared(t *testing.T) {
	t.Parallel()
	addr := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	for _, failures := range []int{certainly - 1, certainly} {
		d := newDialer(time.Minute, nil, &connSet{})
		down := errors.New("down")
		later := time.Now().Add(time.Hour) // than whoever comes
		d.down[addr] = &outage{failures: failures, err: down, tried: later, changed: make(chan struct{})}
		conn, err := d.connectInTurn(t.Context(), "tcp", addr)
		if failures < certainly {
			require.NoError(t, err)
			assert.NoError(t, conn.Close())
		} else {
			assert.ErrorIs(t, err, down)
		}
		d.close()
	}
}

// During an outage each error names the latest reason.
func TestErrorsNameTheLatestReason(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--requirepass", "right")
	b := newBinding(t, map[string]string{"redisHost": srv.Addr, "redisPassword": "right"})
	cut := func() { srv.Do(t, "client", "kill", "type", "normal", "skipme", "yes") }
	refused := func(why string) {
		t.Helper()
		together(64, func(i int) {
			for j := range 4 {
				key := fmt.Sprint(i, j)
				_, err := b.Invoke(context.Background(), create(key, "v"))
				if err == nil || SafeToRetry(err) { // not on a connection that is being cut
					assert.ErrorContains(t, err, why)
				}
				_, err = b.InvokeBatch(context.Background(), []*InvokeRequest{request(GetOperation, key), create(key, "v")})
				if err == nil || SafeToRetry(err) {
					assert.ErrorContains(t, err, why)
				}
			}
		})
	}
	srv.Kill()
	refused("connection refused")
	srv.Restart(t)
	srv.Do(t, "config", "set", "requirepass", "other")
	refused(redistest.WrongPassword())
	srv.Do(t, "config", "set", "requirepass", "right")
	srv.Do(t, "config", "set", "maxclients", "1")
	cut()
	refused("max number of clients")
	srv.Kill()
	refused("connection refused")
	srv.Restart(t)
	require.Eventually(t, func() bool { return b.Ping(t.Context()) == nil }, 10*time.Second, time.Millisecond)
	cut()
	srv.Do(t, "config", "set", "requirepass", "other")
	cut()
	refused(redistest.WrongPassword())
}
