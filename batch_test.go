package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// A batch does what its requests do one after the other.
func TestInvokeBatch(t *testing.T) {
	t.Parallel()
	for _, target := range targets(t) {
		t.Run(target.name, func(t *testing.T) {
			binding := newBinding(t, target.metadata)
			const keys = 3 * batchCommands / 5 // five requests each, in several round trips
			prefix := fmt.Sprintf("%s/%d/", t.Name(), time.Now().UnixNano())
			var reqs []*InvokeRequest
			for i := range keys {
				key := prefix + strconv.Itoa(i)
				reqs = append(reqs,
					create(key, strconv.Itoa(i)),
					request(IncrementOperation, key),
					request(GetOperation, key, "delete", "true"),
					request(GetOperation, key),
					request(DeleteOperation, key),
				)
			}
			responses, err := binding.InvokeBatch(t.Context(), reqs)
			require.NoError(t, err)
			require.Len(t, responses, len(reqs))
			for i := range keys {
				next := strconv.Itoa(i + 1)
				got := responses[5*i : 5*i+5]
				require.Equal(t, []*InvokeResponse{{}, {Data: []byte(next)}, {Data: []byte(next)}, {}, {}}, got, i)
			}

			responses, err = binding.InvokeBatch(context.Background(), []*InvokeRequest{
				create(prefix+"empty", "", "ttlInSeconds", "100"), request(GetOperation, prefix+"empty")})
			require.NoError(t, err)
			assert.Equal(t, []byte{}, responses[1].Data, "empty is not missing")
			assert.Positive(t, target.admin.TTL(t.Context(), prefix+"empty").Val())
		})
	}
}

func TestInvokeBatchOfNothing(t *testing.T) {
	t.Parallel()
	binding := newBinding(t, redistest.Plain(t).Fields())
	responses, err := binding.InvokeBatch(t.Context(), nil)
	assert.NoError(t, err)
	assert.Empty(t, responses)
}

// What is wrong with one request does not concern the others.
func TestInvokeBatchErrors(t *testing.T) {
	t.Parallel()
	for _, setup := range []*redistest.Setup{redistest.Plain(t), redistest.Cluster(t)} {
		t.Run(setup.Name, func(t *testing.T) {
			binding := newBinding(t, setup.Fields())
			prefix := t.Name() + "/"
			reqs := []*InvokeRequest{
				create(prefix+"a", "text"),
				nil,
				request(IncrementOperation, prefix+"a"),
				request("list", prefix+"a"),
				request(GetOperation, ""),
				create(prefix+"b", "v", "ttlInSeconds", "soon"),
				request(GetOperation, prefix+"a"),
			}
			responses, err := binding.InvokeBatch(t.Context(), reqs)
			assert.Equal(t, []*InvokeResponse{{}, nil, nil, nil, nil, nil, {Data: []byte("text")}}, responses)

			var all BatchErrors
			require.ErrorAs(t, err, &all)
			var indices []int
			for _, e := range all {
				indices = append(indices, e.Index)
				if _, want := binding.Invoke(t.Context(), reqs[e.Index]); assert.Error(t, want) {
					assert.EqualError(t, e.Err, want.Error(), "as Invoke says it")
				}
			}
			assert.Equal(t, []int{1, 2, 3, 4, 5}, indices)
			assert.ErrorIs(t, err, ErrMissingKey)
			assert.ErrorIs(t, err, ErrUnsupportedOperation)
			var first *BatchError
			require.ErrorAs(t, err, &first)
			assert.Equal(t, 1, first.Index)
			assert.EqualError(t, err, `redisbinding: 5 failed: request 1: the request is nil; `+
				``+all[1].Error()+"; "+all[2].Error()+"; and others")
		})
	}
}

// A server that does not answer ends a batch: with the time-outs, or the context.
func TestInvokeBatchSilentServer(t *testing.T) {
	t.Parallel()
	for _, setup := range []*redistest.Setup{redistest.StartCluster(t), {Servers: []*redistest.Server{redistest.Start(t)}}} {
		fields := map[string]string{"redisHost": setup.Servers[0].Addr}
		if len(setup.Servers) > 1 {
			fields = setup.Fields()
		}
		fields["readTimeout"] = long
		binding := newBinding(t, fields)
		invoke(t, binding, create("k", "v"))
		for _, s := range setup.Servers {
			s.Pause()
		}
		var reqs []*InvokeRequest
		for i := range 2*batchCommands + 1 {
			reqs = append(reqs, create(fmt.Sprint("k", i), "v"))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		soon(t, func() {
			responses, err := binding.InvokeBatch(ctx, reqs)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, make([]*InvokeResponse, len(reqs)), responses)
			var all BatchErrors
			require.ErrorAs(t, err, &all)
			assert.Len(t, all, len(reqs))
		})
		for _, s := range setup.Servers {
			s.Resume()
		}
		_, err := binding.InvokeBatch(t.Context(), reqs)
		assert.NoError(t, err)
	}
}

// Replies are lost half-way through a batch of everything.
func TestInvokeBatchNeverTwice(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv)
	binding := newBinding(t, map[string]string{"redisHost": proxy.Addr, "redisMaxRetries": "3", "redisMaxRetryInterval": "1ms"})
	srv.Do(t, "set", "drained", "v")
	invoke(t, binding, request(GetOperation, "k", "delete", "1")) // now it is known that there is GETDEL
	proxy.SwallowReplies(true)
	reqs := []*InvokeRequest{request(IncrementOperation, "n"), request(GetOperation, "drained", "delete", "1"), create("k", "v")}
	var more []*InvokeRequest
	for range 2 * batchCommands {
		more = append(more, request(IncrementOperation, "later"))
	}
	_, err := binding.InvokeBatch(t.Context(), append(reqs, more...))
	var all BatchErrors
	require.ErrorAs(t, err, &all)
	assert.Len(t, all, len(reqs)+len(more), "no reply came")
	assert.Equal(t, "1", srv.Do(t, "get", "n"))
	assert.Equal(t, 1+1, proxy.Sent("getdel"))
	assert.Equal(t, 4, proxy.Sent("set"), "may be repeated")
	assert.Equal(t, strconv.Itoa(batchCommands-len(reqs)), srv.Do(t, "get", "later"), "after a failed connection no more is sent")

	proxy.SwallowReplies(false)
	responses, err := binding.InvokeBatch(t.Context(), reqs)
	require.NoError(t, err)
	assert.Equal(t, []*InvokeResponse{{Data: []byte("2")}, {}, {}}, responses)
}

func TestInvokeBatchWithoutGetDel(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--rename-command", "GETDEL", "")
	binding := newBinding(t, map[string]string{"redisHost": srv.Addr})
	for range 2 {
		responses, err := binding.InvokeBatch(t.Context(), []*InvokeRequest{
			create("k", "v"), request(GetOperation, "other", "delete", "1"), create("k2", "v2"), request(GetOperation, "k2", "delete", "1")})
		require.NoError(t, err)
		assert.Equal(t, []*InvokeResponse{{}, {}, {}, {Data: []byte("v2")}}, responses)
		assert.Nil(t, srv.Do(t, "get", "k2"))
	}

	// What comes after it waits for the script that takes its place.
	another := newBinding(t, map[string]string{"redisHost": srv.Addr})
	responses, err := another.InvokeBatch(t.Context(), []*InvokeRequest{
		request(GetOperation, "k", "delete", "1"), create("k", "new"), request(GetOperation, "none", "delete", "1"), create("none", "v")})
	require.NoError(t, err)
	assert.Equal(t, []*InvokeResponse{{Data: []byte("v")}, {}, {}, {}}, responses)
	assert.Equal(t, "new", srv.Do(t, "get", "k"))
	assert.Equal(t, "v", srv.Do(t, "get", "none"))
}

// The wait for a connection is not repeated on a cluster.
func TestInvokeBatchWaitsOncePerNode(t *testing.T) {
	t.Parallel()
	setup := redistest.StartCluster(t)
	binding := newBinding(t, setup.Fields("poolSize", "1", "poolTimeout", "30ms", "readTimeout", long))
	invoke(t, binding, create("k", "v"))
	for _, s := range setup.Servers {
		s.Pause()
	}
	wait := occupy(t, binding, 1)
	require.Eventually(t, func() bool { return busy(binding) == 1 }, 10*time.Second, time.Millisecond)
	_, err := binding.InvokeBatch(t.Context(), []*InvokeRequest{request(GetOperation, "k"), create("k", "v")})
	assert.ErrorIs(t, err, redis.ErrPoolTimeout)
	assert.EqualValues(t, 1, binding.client.redis.PoolStats().Timeouts)
	for _, s := range setup.Servers {
		s.Resume()
	}
	wait()
}

// A context that ends during the pause before a retry is why the batch has failed.
func TestInvokeBatchContextInPause(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do(t, "replicaof", "127.0.0.1", "1") // READONLY
	binding := newBinding(t, map[string]string{"redisHost": srv.Addr, "redisMaxRetries": "9",
		"redisMinRetryInterval": long, "redisMaxRetryInterval": long})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := binding.InvokeBatch(ctx, []*InvokeRequest{create("k", "v"), request(GetOperation, "")})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorIs(t, err, ErrMissingKey)
}

// Commands that were refused for now are sent again.
func TestInvokeBatchRetries(t *testing.T) {
	t.Parallel()
	srv, primary := redistest.Start(t), redistest.Start(t)
	_, port, _ := strings.Cut(primary.Addr, ":")
	srv.Do(t, "replicaof", "127.0.0.1", port) // READONLY
	proxy := redistest.StartProxy(t, srv)
	binding := newBinding(t, map[string]string{"redisHost": proxy.Addr, "redisMaxRetries": "1000", "redisMaxRetryInterval": "1ms"})
	var ended atomic.Bool
	go func() {
		for proxy.Sent("incr") < 2 { // sent again after a refusal
			if ended.Load() {
				return
			}
			time.Sleep(time.Millisecond)
		}
		srv.Do(t, "replicaof", "no", "one")
	}()
	responses, err := binding.InvokeBatch(t.Context(), []*InvokeRequest{request(GetOperation, "k"), request(IncrementOperation, "n")})
	ended.Store(true)
	require.NoError(t, err)
	assert.Equal(t, "1", string(responses[1].Data))
}

func TestInvokeBatchAfterClose(t *testing.T) {
	t.Parallel()
	binding, err := NewRedisBinding(redistest.Plain(t).Fields())
	require.NoError(t, err)
	require.NoError(t, binding.Close())
	responses, err := binding.InvokeBatch(t.Context(), []*InvokeRequest{request(GetOperation, "k")})
	assert.ErrorIs(t, err, ErrClosed)
	assert.Equal(t, []*InvokeResponse{nil}, responses)
	_, err = (&RedisBinding{}).InvokeBatch(t.Context(), nil)
	assert.ErrorIs(t, err, ErrClosed)
}

func TestBatchErrors(t *testing.T) {
	t.Parallel()
	err := error(BatchErrors{{7, redis.ErrPoolTimeout}})
	assert.EqualError(t, err, "redisbinding: 1 failed: request 7: redis: connection pool timeout")
	assert.ErrorIs(t, err, redis.ErrPoolTimeout)
	assert.NotErrorIs(t, err, errors.ErrUnsupported)
}
