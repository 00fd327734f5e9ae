package dapr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestRequestErrors(t *testing.T) {
	t.Parallel()
	client := component(t, serve(t), "")
	initialize(t, client, redistest.Plain(t).Fields())
	for name, test := range map[string]struct {
		req  *pb.InvokeRequest
		want string
	}{
		"no key":            {&pb.InvokeRequest{Operation: "get"}, `request metadata "key" is missing or empty`},
		"no such operation": {request("upsert", "key"), "unsupported operation"},
		"bad TTL":           {request("create", "key", "ttlInSeconds", "soon"), "request metadata ttlInSeconds: "},
		"bad flag":          {get("key", "delete", "maybe"), "request metadata delete: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Invoke(t.Context(), test.req)
			requireCode(t, codes.InvalidArgument, err, "redisbinding: ", test.want)
		})
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	setup := redistest.Plain(t)
	client := component(t, serve(t), "")
	initialize(t, client, setup.Fields())
	setup.Servers[0].Do(t, "RPUSH", t.Name(), "x")
	defer setup.Servers[0].Do(t, "DEL", t.Name())
	_, err := client.Invoke(t.Context(), get(t.Name()))
	requireCode(t, codes.Unknown, err, "WRONGTYPE")
}

// TestLostReplies checks that what may have been carried out, and must not be carried out
// again, is not answered with Unavailable.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	redis := redistest.StartProxied(t, "plain")
	proxy := redis.Proxies[0]
	patient, client := component(t, serve(t), ""), component(t, serve(t), "")
	initialize(t, patient, redis.Fields("readTimeout", "1m"))
	initialize(t, client, redis.Fields("readTimeout", "1s"))
	for name, test := range map[string]struct {
		req           *pb.InvokeRequest
		lost, delayed codes.Code
	}{
		"create":             {create("key", nil), codes.Unavailable, codes.DeadlineExceeded},
		"get":                {get("key"), codes.Unavailable, codes.DeadlineExceeded},
		"delete":             {request("delete", "key"), codes.Unavailable, codes.DeadlineExceeded},
		"get, delete":        {get("key", "Delete", "1"), codes.Unknown, codes.DeadlineExceeded},
		"increment":          {increment("number"), codes.Unknown, codes.DeadlineExceeded},
		"increment with TTL": {request("increment", "number", "ttlInSeconds", "60"), codes.Unknown, codes.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			proxy.SwallowReplies(true)
			_, err := patient.Invoke(t.Context(), test.req)
			proxy.SwallowReplies(false)
			requireCode(t, test.lost, err)

			_, release := proxy.HoldNextReply(t)
			_, err = client.Invoke(t.Context(), test.req)
			release()
			requireCode(t, test.delayed, err)
		})
	}
	redis.Servers[0].Kill()
	_, err := client.Invoke(t.Context(), increment("number"))
	requireCode(t, codes.Unavailable, err) // the proxy hangs up on a new connection: nothing was sent
}

// TestLongErrors checks that an error, however long and whatever is in it, harms no other call.
func TestLongErrors(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	client := component(t, serve(t, making(&fake{invoke: func(_ context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		if req.Metadata["key"] == "slow" {
			close(begun)
			<-release
			return new(redisbinding.InvokeResponse), nil
		}
		return nil, errors.New(strings.Repeat("x\xff", 4<<20))
	}})), "")
	initialize(t, client, nil)
	slow := make(chan error, 1)
	go func() {
		_, err := client.Invoke(context.Background(), increment("slow"))
		slow <- err
	}()
	wait(t, begun, "the other call")
	_, err := client.Invoke(t.Context(), get("key"))
	requireCode(t, codes.Unknown, err)
	message := status.Convert(err).Message()
	assert.True(t, utf8.ValidString(message))
	assert.LessOrEqual(t, len(message), 3*maxText)
	close(release)
	assert.NoError(t, <-slow)
}

func TestCodes(t *testing.T) {
	t.Parallel()
	unavailable := func(err error) error { return fmt.Errorf("%w: %w", redisbinding.ErrUnavailable, err) }
	undone := func(err error) error { return unavailable(fmt.Errorf("%w: %w", redisbinding.ErrNotExecuted, err)) }
	refused := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, test := range []struct {
		err                 error
		get, increment, ini codes.Code
	}{
		{errors.New("any other"), codes.Unknown, codes.Unknown, codes.FailedPrecondition},
		{&redisbinding.MetadataError{Field: "f"}, codes.Unknown, codes.Unknown, codes.InvalidArgument},
		{errors.Join(errors.New("other"), &redisbinding.MetadataError{}), codes.Unknown, codes.Unknown, codes.InvalidArgument},
		{fmt.Errorf("x: %w", &redisbinding.RequestError{}), codes.InvalidArgument, codes.InvalidArgument, codes.FailedPrecondition},
		{redisbinding.ErrMissingKey, codes.InvalidArgument, codes.InvalidArgument, codes.FailedPrecondition},
		{redisbinding.ErrUnsupportedOperation, codes.InvalidArgument, codes.InvalidArgument, codes.FailedPrecondition},
		{redisbinding.ErrClosed, codes.FailedPrecondition, codes.FailedPrecondition, codes.FailedPrecondition},
		{context.Canceled, codes.Canceled, codes.Canceled, codes.FailedPrecondition},
		{context.DeadlineExceeded, codes.DeadlineExceeded, codes.DeadlineExceeded, codes.FailedPrecondition},
		{unavailable(io.EOF), codes.Unavailable, codes.Unknown, codes.Unavailable},
		{unavailable(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), codes.Unavailable, codes.Unknown, codes.Unavailable},
		{undone(refused), codes.Unavailable, codes.Unavailable, codes.Unavailable},
		{undone(redis.ErrPoolTimeout), codes.Unavailable, codes.Unavailable, codes.Unavailable},
		{undone(redisbinding.ErrNoToken), codes.Unavailable, codes.Unavailable, codes.Unavailable},
		{undone(redis.TxFailedErr), codes.Unavailable, codes.Unavailable, codes.Unavailable}, // a reply
		{unavailable(context.DeadlineExceeded), codes.DeadlineExceeded, codes.DeadlineExceeded, codes.Unavailable},
	} {
		t.Run(test.err.Error(), func(t *testing.T) {
			for _, got := range []struct {
				want codes.Code
				err  error
			}{
				{test.get, invokeStatus(&redisbinding.InvokeRequest{Operation: redisbinding.GetOperation}, test.err)},
				{test.get, pingStatus(test.err)},
				{test.increment, invokeStatus(&redisbinding.InvokeRequest{Operation: redisbinding.IncrementOperation}, test.err)},
				{test.ini, initStatus(test.err)},
			} {
				assert.Equal(t, got.want.String(), status.Code(got.err).String())
				assert.Equal(t, test.err.Error(), status.Convert(got.err).Message())
			}
		})
	}
}

// A call that Close interrupts after it was sent may have been executed.
func TestCodesOfAnInterruptedCall(t *testing.T) {
	t.Parallel()
	proxy := redistest.StartProxy(t, redistest.Start(t))
	binding, err := redisbinding.NewRedisBinding(map[string]string{"redisHost": proxy.Addr, "readTimeout": "-1"})
	require.NoError(t, err)
	begun, release := proxy.HoldNextReply(t)
	defer release()
	req := &redisbinding.InvokeRequest{Operation: redisbinding.IncrementOperation, Metadata: map[string]string{"key": "n"}}
	failed := make(chan error, 1)
	go func() {
		_, err := binding.Invoke(context.Background(), req)
		failed <- err
	}()
	<-begun
	require.NoError(t, binding.Close())
	err = <-failed
	assert.ErrorIs(t, err, redisbinding.ErrClosed)
	assert.Equal(t, codes.Unknown, status.Code(invokeStatus(req, err)))
	assert.Equal(t, codes.Unavailable, status.Code(pingStatus(err)))
}
