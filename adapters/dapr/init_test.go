package dapr

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestSeveralInstances(t *testing.T) {
	t.Parallel()
	s := serve(t)
	redis := redistest.Start(t)
	clients := map[string]pb.OutputBindingClient{}
	for name, db := range map[string]string{"one": "1", "two": "2", "": "3"} {
		clients[name] = component(t, s, name)
		initialize(t, clients[name], map[string]string{"redisHost": redis.Addr, "redisDB": db})
	}
	for name, client := range clients {
		invoke(t, client, create("key", []byte("of "+name)))
	}
	for name, client := range clients {
		assert.Equal(t, "of "+name, string(invoke(t, client, get("key")).GetData()))
	}

	// One connection for all of them will do.
	client := pb.NewOutputBindingClient(dial(t, s.socket, ""))
	ctx := metadata.AppendToOutgoingContext(t.Context(), InstanceHeader, "two")
	resp, err := client.Invoke(ctx, get("key"))
	require.NoError(t, err)
	assert.Equal(t, "of two", string(resp.GetData()))
}

func TestBeforeInit(t *testing.T) {
	t.Parallel()
	s := serve(t)
	initialize(t, component(t, s, "other"), redistest.Plain(t).Fields())

	client := component(t, s, "cache")
	const want = `component "cache" has had no Init`
	_, err := client.Invoke(t.Context(), get("key"))
	requireCode(t, codes.FailedPrecondition, err, want)
	_, err = client.Ping(t.Context(), &pb.PingRequest{})
	requireCode(t, codes.FailedPrecondition, err, want)
	_, err = client.ListOperations(t.Context(), &pb.ListOperationsRequest{})
	requireCode(t, codes.FailedPrecondition, err, want)

	_, err = component(t, s, strings.Repeat("x", 10_000)).Invoke(t.Context(), get("key"))
	requireCode(t, codes.FailedPrecondition, err)
	assert.Less(t, len(err.Error()), 1000, "a name is cut short")
}

func TestBadMetadata(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	client := component(t, serve(t, WithLogger(testLogger(&log))), "cache")
	_, err := client.Init(t.Context(), initRequest(map[string]string{
		"redisHost":     "redis://user:hunter2@localhost:6379",
		"redisPassword": "hunter3",
		"poolSize":      "-3",
		"dialTimeout":   "soon",
		"clientKey":     "hunter4",
	}))
	requireCode(t, codes.InvalidArgument, err, "metadata field redisHost: ", "metadata field poolSize: ", "metadata field dialTimeout: ", "clientKey")
	assert.NotContains(t, err.Error(), "hunter")
	assert.Contains(t, log.String(), "no binding could be made")
	assert.NotContains(t, log.String(), "hunter")

	_, err = client.Init(t.Context(), &pb.OutputBindingInitRequest{})
	requireCode(t, codes.InvalidArgument, err, "redisHost")
	_, err = client.Invoke(t.Context(), get("key"))
	requireCode(t, codes.FailedPrecondition, err, "no Init")
}

// TestBindingOptions checks that the options of all bindings add up, and that they log.
func TestBindingOptions(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	nowhere := map[string]string{"redisHost": "127.0.0.1:1"}
	misspelt := map[string]string{"redisHost": "127.0.0.1:1", "redisPasword": "hunter2"}

	client := component(t, serve(t, WithLogger(testLogger(&log)), WithBindingOptions(redisbinding.WithLazyConnect())), "")
	initialize(t, client, misspelt)
	assert.Contains(t, log.String(), `unknown metadata field" field=redisPasword nearest=redisPassword`)
	assert.NotContains(t, log.String(), "hunter2")

	client = component(t, serve(t, WithBindingOptions(redisbinding.WithLazyConnect()), WithBindingOptions(redisbinding.WithStrictMetadata())), "")
	initialize(t, client, nowhere)
	_, err := client.Init(t.Context(), initRequest(misspelt))
	requireCode(t, codes.InvalidArgument, err, "redisPasword")
}

func TestRefusedPassword(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	client := component(t, serve(t, WithLogger(testLogger(&log))), "")
	fields := redistest.ACL(t).Fields("redisPassword", "hunter2")
	_, err := client.Init(t.Context(), initRequest(fields))
	requireCode(t, codes.FailedPrecondition, err, "check redisUsername and redisPassword")
	assert.NotContains(t, err.Error(), "hunter2")
	assert.NotContains(t, log.String(), "hunter2")
}

func TestNoBinding(t *testing.T) {
	t.Parallel()
	client := component(t, serve(t, making(nil)), "")
	_, err := client.Init(t.Context(), initRequest(nil))
	requireCode(t, codes.FailedPrecondition, err, "made no binding")
}

func TestRedisDown(t *testing.T) {
	t.Parallel()
	s := serve(t)
	redis := redistest.Start(t)
	fields := map[string]string{"redisHost": redis.Addr}
	client := component(t, s, "cache")
	initialize(t, client, fields)
	invoke(t, client, create("key", nil))

	redis.Kill()
	_, err := client.Init(t.Context(), initRequest(fields))
	requireCode(t, codes.Unavailable, err, redis.Addr)
	_, err = client.Ping(t.Context(), &pb.PingRequest{})
	requireCode(t, codes.Unavailable, err, redis.Addr)
	for _, req := range []*pb.InvokeRequest{get("key"), increment("number"), create("key", nil)} {
		_, err = client.Invoke(t.Context(), req)
		requireCode(t, codes.Unavailable, err, redis.Addr)
	}

	redis.Restart(t)
	assert.Equal(t, "1", string(invoke(t, client, increment("number")).GetData()))
	initialize(t, client, fields)
}

// TestInitAgain initializes again and again, well and badly, under calls none of which
// may fail.
func TestInitAgain(t *testing.T) {
	t.Parallel()
	const callers, rounds = 16, 20
	var w watched
	s := serve(t, WithConstructor(w.constructor))
	client := component(t, s, "cache")
	fields := redistest.Plain(t).Fields()
	initialize(t, client, fields)
	invoke(t, client, create(t.Name(), []byte("value")))

	done := make(chan struct{})
	var all, running sync.WaitGroup
	running.Add(callers)
	for range callers {
		all.Go(func() {
			had := sync.OnceFunc(running.Done)
			defer had()
			for {
				select {
				case <-done:
					return
				default:
				}
				resp, err := client.Invoke(t.Context(), get(t.Name()))
				if !assert.NoError(t, err) || !assert.Equal(t, "value", string(resp.GetData())) {
					return
				}
				had()
			}
		})
	}
	running.Wait()
	for range rounds {
		initialize(t, client, fields)
		_, err := client.Init(t.Context(), initRequest(map[string]string{"redisHost": "localhost:-1"}))
		requireCode(t, codes.InvalidArgument, err)
	}
	close(done)
	all.Wait()

	assert.EqualValues(t, rounds+1, w.made.Load())
	require.Eventually(t, func() bool { return w.closed.Load() == rounds }, patience, tick, "all that were replaced are closed")
	invoke(t, client, request(redisbinding.DeleteOperation, t.Name()))
	require.NoError(t, s.stop())
	assert.Equal(t, w.made.Load(), w.closed.Load(), "all are closed in the end")
	assert.Zero(t, w.closedUnderWay.Load(), "none is closed under a call")
}

func TestInitsAtOnce(t *testing.T) {
	t.Parallel()
	const inits = 20
	var w watched
	s := serve(t, WithConstructor(w.constructor))
	client := component(t, s, "cache")
	var all sync.WaitGroup
	for range inits {
		all.Go(func() {
			_, err := client.Init(t.Context(), initRequest(redistest.Plain(t).Fields()))
			assert.NoError(t, err)
		})
	}
	all.Wait()
	require.Eventually(t, func() bool { return w.closed.Load() == inits-1 }, patience, tick, "all but one are closed")
	_, err := client.Ping(t.Context(), &pb.PingRequest{})
	require.NoError(t, err, "the one that is left works")
	require.NoError(t, s.stop())
	assert.EqualValues(t, inits, w.closed.Load())
}

// TestReplacedUnderCall checks that an Init does not wait for a call on the old binding,
// and that the old binding does.
func TestReplacedUnderCall(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	closed := make(chan struct{})
	old := &fake{
		invoke: func(context.Context, *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			close(begun)
			<-release
			return &redisbinding.InvokeResponse{Data: []byte("old")}, nil
		},
		close: func() error {
			select {
			case <-release:
			default:
				t.Error("the binding was closed under a call")
			}
			close(closed)
			return errors.New("which is logged")
		},
	}
	fresh := &fake{invoke: func(context.Context, *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		return &redisbinding.InvokeResponse{Data: []byte("fresh")}, nil
	}}
	var log lockedBuffer
	s := serve(t, making(old, fresh), WithLogger(testLogger(&log)))
	client := component(t, s, "cache")
	initialize(t, client, nil)
	answer := make(chan string, 1)
	go func() {
		resp, err := client.Invoke(t.Context(), get("key"))
		assert.NoError(t, err)
		answer <- string(resp.GetData())
	}()
	wait(t, begun, "the call")
	initialize(t, client, nil)
	assert.Equal(t, "fresh", string(invoke(t, client, get("key")).GetData()))
	close(release)
	assert.Equal(t, "old", <-answer)
	wait(t, closed, "the old binding's end")
	assert.Zero(t, fresh.closed.Load())
	require.NoError(t, s.stop())
	assert.EqualValues(t, 1, old.closed.Load())
	assert.EqualValues(t, 1, fresh.closed.Load())
	assert.Contains(t, log.String(), "which is logged")
}

// TestInitAbandoned checks that an Init whose client has gone while the binding connected
// changes nothing.
func TestInitAbandoned(t *testing.T) {
	t.Parallel()
	connecting, release := make(chan struct{}), make(chan struct{})
	kept, abandoned := &fake{ping: func(context.Context) error { return nil }}, &fake{}
	inits := 0
	s := serve(t, WithConstructor(func(map[string]string) (redisbinding.OutputBinding, error) {
		if inits++; inits == 1 {
			return kept, nil
		}
		close(connecting)
		<-release
		return abandoned, nil
	}))
	client := component(t, s, "cache")
	initialize(t, client, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-connecting
		cancel()
	}()
	_, err := client.Init(ctx, initRequest(nil))
	requireCode(t, codes.Canceled, err)
	// On the same connection, so the server knows of the end before it answers.
	_, err = client.Ping(t.Context(), &pb.PingRequest{})
	require.NoError(t, err)
	close(release)
	require.Eventually(t, func() bool { return abandoned.closed.Load() == 1 }, patience, tick)
	_, err = client.Ping(t.Context(), &pb.PingRequest{})
	require.NoError(t, err)
	assert.Zero(t, kept.closed.Load())
	require.NoError(t, s.stop())
	assert.EqualValues(t, 1, kept.closed.Load())
	assert.EqualValues(t, 1, abandoned.closed.Load())
}
