package dapr

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/redisbinding/redisbinding"
)

// startMini starts a Redis in memory and returns its address.
func startMini(t *testing.T) string { return miniredis.RunT(t).Addr() }

// connections counts the connections that the listener knows.
func (s *served) connections() int {
	s.listener.mu.Lock()
	defer s.listener.mu.Unlock()
	return len(s.listener.conns)
}

// invokeMeanwhile calls a binding on another goroutine, and returns what comes of it.
func invokeMeanwhile(client pb.OutputBindingClient) <-chan error {
	called := make(chan error, 1)
	go func() {
		_, err := client.Invoke(context.Background(), get("key"))
		called <- err
	}()
	return called
}

func (s *served) gone(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := os.Lstat(s.socket)
		return os.IsNotExist(err)
	}, patience, tick, "the socket is removed")
}

func TestStopWaitsForCalls(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	slow := &fake{invoke: func(context.Context, *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		close(begun)
		<-release
		return &redisbinding.InvokeResponse{Data: []byte("answer")}, nil
	}}
	s := serve(t, making(slow), WithStopTimeout(patience))
	client := component(t, s, "")
	initialize(t, client, nil)
	answer := make(chan string, 1)
	go func() {
		resp, err := client.Invoke(context.Background(), get("key"))
		assert.NoError(t, err)
		answer <- string(resp.GetData())
	}()
	wait(t, begun, "the call")
	s.cancel()
	s.gone(t)
	_, err := component(t, s, "").Invoke(t.Context(), get("key"))
	requireCode(t, codes.Unavailable, err)
	select {
	case <-s.done:
		t.Error("Serve has returned under a call")
	default:
	}
	assert.Zero(t, slow.closed.Load())
	close(release)
	assert.Equal(t, "answer", <-answer)
	require.NoError(t, s.stop())
	assert.EqualValues(t, 1, slow.closed.Load())
}

func TestStopCutsCallsOff(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(timeout.String(), func(t *testing.T) {
			begun := make(chan struct{})
			silent := &fake{}
			silent.invoke = func(ctx context.Context, _ *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
				close(begun)
				<-ctx.Done()
				assert.Zero(t, silent.closed.Load(), "it is closed after its calls")
				return nil, ctx.Err()
			}
			s := serve(t, making(silent), WithStopTimeout(timeout))
			client := component(t, s, "")
			initialize(t, client, nil)
			called := invokeMeanwhile(client)
			wait(t, begun, "the call")
			require.NoError(t, s.stop())
			assert.Equal(t, codes.Canceled, status.Code(<-called), "it may have been carried out")
			assert.EqualValues(t, 1, silent.closed.Load())
			require.NoFileExists(t, s.socket)
		})
	}
}

// TestStopWithDeafCall checks that a call that does not heed its context loses its
// connection, and that the binding is closed after it all the same.
func TestStopWithDeafCall(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	deaf := &fake{invoke: func(context.Context, *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		close(begun)
		<-release
		return new(redisbinding.InvokeResponse), nil
	}}
	s := serve(t, making(deaf), WithStopTimeout(0))
	client := component(t, s, "")
	initialize(t, client, nil)
	called := invokeMeanwhile(client)
	wait(t, begun, "the call")
	s.cancel()
	assert.Equal(t, codes.Unavailable, status.Code(<-called))
	assert.Zero(t, deaf.closed.Load())
	close(release)
	require.NoError(t, s.stop())
	assert.EqualValues(t, 1, deaf.closed.Load())
}

func TestConnectionsAreForgotten(t *testing.T) {
	t.Parallel()
	s := serve(t, making(new(fake)))
	conn := dial(t, s.socket, "")
	initialize(t, pb.NewOutputBindingClient(conn), nil)
	assert.Equal(t, 1, s.connections())
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { return s.connections() == 0 }, patience, tick)
}

// TestStopWithSilentClient checks that one who connects and says nothing does not hold up
// a stop beyond the stop timeout: gRPC by itself waits for two minutes.
func TestStopWithSilentClient(t *testing.T) {
	t.Parallel()
	s := serve(t, WithStopTimeout(0))
	conn, err := net.Dial("unix", s.socket)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.Eventually(t, func() bool { return s.connections() == 1 }, patience, tick)
	s.cancel()
	wait(t, s.done, "the stop, which the client holds up")
	require.NoError(t, s.stop())
}

func TestServeWithEndedContext(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(folder(t), "x.sock")
	server, err := Listen(socket)
	require.NoError(t, err)
	require.NoError(t, server.Serve(endedContext()))
	require.NoFileExists(t, socket)
	require.EqualError(t, server.Serve(t.Context()), "redisbinding: the server has been served before")
}

func TestSocketFails(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(folder(t), "x.sock")
	server, err := Listen(socket)
	require.NoError(t, err)
	require.NoError(t, server.listener.UnixListener.Close())
	require.ErrorContains(t, server.Serve(t.Context()), "redisbinding: socket "+socket+": ")
	_, err = os.Lstat(socket)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
