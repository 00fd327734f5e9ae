package dapr

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestOperations(t *testing.T) {
	t.Parallel()
	client := component(t, serve(t), "cache")
	initialize(t, client, redistest.Plain(t).Fields())

	list, err := client.ListOperations(t.Context(), &pb.ListOperationsRequest{})
	require.NoError(t, err)
	assert.Equal(t, []string{"create", "get", "delete", "increment"}, list.GetOperations())
	_, err = client.Ping(t.Context(), &pb.PingRequest{})
	require.NoError(t, err)

	key := t.Name()
	resp := invoke(t, client, create(key, []byte("value")))
	assert.Empty(t, resp.GetData())
	assert.Empty(t, resp.GetMetadata())
	resp = invoke(t, client, get(key))
	assert.Equal(t, "value", string(resp.GetData()))
	assert.Empty(t, resp.GetMetadata())
	assert.Empty(t, resp.GetContentType())
	invoke(t, client, request(redisbinding.DeleteOperation, key))

	resp = invoke(t, client, get(key))
	assert.Empty(t, resp.GetData(), "a key that is missing")
	assert.Empty(t, resp.GetMetadata(), "a key that is missing")
	invoke(t, client, create(key, nil))
	resp = invoke(t, client, get(key, "delete", "true"))
	assert.Empty(t, resp.GetData(), "a value that is empty")
	assert.Equal(t, map[string]string{"empty": "true"}, resp.GetMetadata(), "a value that is empty")
	assert.Empty(t, invoke(t, client, get(key)).GetMetadata(), "a key that was taken away")

	assert.Equal(t, "1", string(invoke(t, client, increment(key)).GetData()))
	assert.Equal(t, "2", string(invoke(t, client, increment(key)).GetData()))
	invoke(t, client, request(redisbinding.DeleteOperation, key))
}

func TestResponseIsPassedOn(t *testing.T) {
	t.Parallel()
	own := map[string]string{"etag": "1"}
	contentType := "text/plain"
	data := []byte("x")
	answers := &fake{invoke: func(_ context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		if req.Operation == "nothing" {
			return nil, nil
		}
		return &redisbinding.InvokeResponse{Data: data, Metadata: own, ContentType: &contentType}, nil
	}}
	client := component(t, serve(t, making(answers)), "")
	initialize(t, client, nil)

	resp := invoke(t, client, request("anything", "key"))
	assert.Equal(t, "x", string(resp.GetData()))
	assert.Equal(t, map[string]string{"etag": "1"}, resp.GetMetadata())
	assert.Equal(t, "text/plain", resp.GetContentType())

	data = []byte{}
	resp = invoke(t, client, request("anything", "key"))
	assert.Equal(t, map[string]string{"etag": "1", "empty": "true"}, resp.GetMetadata())
	assert.Equal(t, map[string]string{"etag": "1"}, own, "the binding's own metadata is left alone")

	assert.Empty(t, invoke(t, client, request("nothing", "key")).GetMetadata())
}

func TestValues(t *testing.T) {
	t.Parallel()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	s := serve(t)
	// What comes back is a little longer than the value, which grpc's own default does not let in.
	client := component(t, s, "", grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(5<<20)))
	initialize(t, client, redistest.Plain(t).Fields())
	key := t.Name()
	for name, value := range map[string][]byte{
		"every byte": all,
		"zero":       {0},
		"1 MiB":      bytes.Repeat(all, 1<<12),
		"4 MiB":      bytes.Repeat(all, 1<<14),
	} {
		t.Run(name, func(t *testing.T) {
			invoke(t, client, create(key, value))
			got := invoke(t, client, get(key, "delete", "true")).GetData()
			assert.True(t, bytes.Equal(value, got), "the very bytes")
		})
	}

	_, err := client.Invoke(t.Context(), create(key, make([]byte, DefaultMaxMessageSize+messageSlack)))
	requireCode(t, codes.ResourceExhausted, err)
	assert.Empty(t, invoke(t, client, get(key)).GetMetadata(), "nothing was stored")
}

func TestMaxMessageSize(t *testing.T) {
	t.Parallel()
	client := component(t, serve(t, WithMaxMessageSize(1000)), "")
	initialize(t, client, redistest.Plain(t).Fields())
	full := create(t.Name(), make([]byte, 1000))
	full.Metadata["other"] = strings.Repeat("m", 60<<10) // there is room for metadata beside the value
	invoke(t, client, full)
	_, err := client.Invoke(t.Context(), create(t.Name(), make([]byte, 1000+messageSlack)))
	requireCode(t, codes.ResourceExhausted, err)
	assert.Len(t, invoke(t, client, get(t.Name(), "delete", "true")).GetData(), 1000)
}

func TestManyCalls(t *testing.T) {
	t.Parallel()
	const callers, calls = 300, 10
	client := component(t, serve(t), "")
	initialize(t, client, redistest.Plain(t).Fields())
	key := t.Name()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			own := key + strconv.Itoa(i)
			value := []byte("the value of " + own)
			for range calls {
				_, err := client.Invoke(t.Context(), increment(key))
				assert.NoError(t, err)
				_, err = client.Invoke(t.Context(), create(own, value))
				assert.NoError(t, err)
				resp, err := client.Invoke(t.Context(), get(own, "delete", "true"))
				assert.NoError(t, err)
				assert.Equal(t, value, resp.GetData())
			}
		})
	}
	all.Wait()
	assert.Equal(t, strconv.Itoa(callers*calls), string(invoke(t, client, get(key, "delete", "true")).GetData()))
}

func TestPanic(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	panics := &fake{
		invoke: func(context.Context, *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			panic("the password is hunter2")
		},
		ping:  func(context.Context) error { var f *fake; f.closed.Load(); return nil },
		close: func() error { panic("the password is hunter2") },
	}
	works := &fake{invoke: func(context.Context, *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		return &redisbinding.InvokeResponse{Data: []byte("works")}, nil
	}}
	s := serve(t, making(panics, works), WithLogger(testLogger(&log)))
	one, two := component(t, s, "one"), component(t, s, "two")
	initialize(t, one, nil)
	initialize(t, two, nil)

	_, err := one.Invoke(t.Context(), get("key"))
	requireCode(t, codes.Internal, err, "panicked")
	assert.NotContains(t, err.Error(), "hunter2")
	_, err = one.Ping(t.Context(), &pb.PingRequest{})
	requireCode(t, codes.Internal, err, "panicked")
	assert.Equal(t, "works", string(invoke(t, two, get("key")).GetData()))

	require.NoError(t, s.stop(), "a panic in Close")
	assert.EqualValues(t, 1, panics.closed.Load(), "a call that panicked does not keep the binding from being closed")
	assert.Contains(t, log.String(), "nil pointer dereference")
	assert.Contains(t, log.String(), "closing a binding panicked")
	assert.NotContains(t, log.String(), "hunter2")
}
