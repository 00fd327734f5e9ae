package dapr

import (
	"context"
	"testing"
	"time"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// heldCall is a server with a Redis behind it that keeps the reply to the next command.
type heldCall struct {
	*served
	watched
	fields map[string]string
	begun  <-chan struct{} // the reply is there, and kept
	let    func()          // it go
}

func holdCall(t *testing.T, client func(*served) pb.OutputBindingClient) (*heldCall, pb.OutputBindingClient) {
	t.Helper()
	redis := redistest.StartProxied(t, "plain")
	h := &heldCall{fields: redis.Fields("readTimeout", "5m", "dialTimeout", "5m", "poolTimeout", "5m")}
	h.served = serve(t, WithConstructor(h.constructor))
	c := client(h.served)
	initialize(t, c, h.fields)
	invoke(t, c, create("key", []byte("value")))
	h.begun, h.let = redis.Proxies[0].HoldNextReply(t)
	return h, c
}

// ends waits until no call is under way in the binding, while the reply is still kept.
func (h *heldCall) ends(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return h.underWay.Load() == 0 }, patience, tick, "the call ends in the server, too")
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	h, client := holdCall(t, func(s *served) pb.OutputBindingClient { return component(t, s, "") })
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := client.Invoke(ctx, get("key"))
	requireCode(t, codes.DeadlineExceeded, err)
	h.ends(t)
	h.let() // and if it was too late to come so far, the next one's
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Len(t, h.deadlines, 1, "the deadline came with the call")
	want, _ := ctx.Deadline()
	assert.WithinDuration(t, want, h.deadlines[0], patience/2)
	assert.Equal(t, "value", string(invoke(t, client, get("key")).GetData()))
}

func TestCancel(t *testing.T) {
	t.Parallel()
	h, client := holdCall(t, func(s *served) pb.OutputBindingClient { return component(t, s, "") })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-h.begun
		cancel()
	}()
	_, err := client.Invoke(ctx, get("key"))
	requireCode(t, codes.Canceled, err)
	h.ends(t)
	assert.Equal(t, "value", string(invoke(t, client, get("key")).GetData()))
}

func TestClientGone(t *testing.T) {
	t.Parallel()
	var gone func() error
	h, client := holdCall(t, func(s *served) pb.OutputBindingClient {
		conn := dial(t, s.socket, "shared")
		gone = conn.Close
		return pb.NewOutputBindingClient(conn)
	})
	other := component(t, h.served, "shared")
	called := make(chan struct{})
	go func() {
		defer close(called)
		_, err := client.Invoke(context.Background(), get("key"))
		assert.Error(t, err)
	}()
	wait(t, h.begun, "the reply")
	assert.Equal(t, "value", string(invoke(t, other, get("key")).GetData()))
	require.NoError(t, gone())
	wait(t, called, "the client's end")
	h.ends(t)
	assert.Equal(t, "value", string(invoke(t, other, get("key")).GetData()), "the binding goes on without the client that made it")
	assert.Zero(t, h.closed.Load())
}
