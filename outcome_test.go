package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redact"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

// ErrNotExecuted is a promise: the caller may send an increment again.
func TestErrNotExecuted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server)
	binding := newBinding(t, map[string]string{"redisHost": proxy.Addr})
	patient := newBinding(t, map[string]string{"redisHost": proxy.Addr, "redisMaxRetries": "1"})
	increment, create := request(IncrementOperation, "n"), request(CreateOperation, "k")

	proxy.SwallowReplies(true)
	_, err := binding.Invoke(t.Context(), increment)
	assert.ErrorIs(t, err, ErrUnavailable)
	assert.NotErrorIs(t, err, ErrNotExecuted, "it was")
	assert.Equal(t, "1", server.Do(t, "GET", "n"))
	proxy.SwallowReplies(false)

	// The first attempt is carried out, its reply is lost, and the second finds nobody.
	begun, release := proxy.HoldNextReply(t)
	failed := make(chan error, 1)
	go func() {
		_, err := patient.Invoke(t.Context(), create)
		failed <- err
	}()
	<-begun
	server.Kill()
	proxy.Cut()
	release()
	err = <-failed
	assert.ErrorIs(t, err, ErrUnavailable)
	assert.NotErrorIs(t, err, ErrNotExecuted)
	assert.ErrorContains(t, err, "(an earlier attempt may have been executed)")

	for _, b := range []*RedisBinding{binding, patient} {
		for _, req := range []*InvokeRequest{increment, create} {
			_, err = b.Invoke(t.Context(), req)
			assert.ErrorIs(t, err, ErrNotExecuted)
			assert.ErrorIs(t, err, ErrUnavailable)
		}
		_, err = b.InvokeBatch(t.Context(), []*InvokeRequest{increment, create})
		var failed BatchErrors
		require.ErrorAs(t, err, &failed)
		for _, e := range failed {
			assert.ErrorIs(t, e, ErrNotExecuted)
		}
	}
	_, err = binding.Invoke(t.Context(), request(GetOperation, ""))
	assert.NotErrorIs(t, err, ErrNotExecuted, "there is nothing to send again")
}

// requireNoneSucceeded requires that every request of the batch failed without being executed.
func requireNoneSucceeded(t *testing.T, b *RedisBinding, want string, reqs ...*InvokeRequest) {
	t.Helper()
	responses, err := b.InvokeBatch(t.Context(), reqs)
	var failed BatchErrors
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed, len(reqs))
	for i, e := range failed {
		assert.Nil(t, responses[i])
		assert.ErrorContains(t, e, want)
		assert.True(t, SafeToRetry(e), "%v", e)
	}
	assert.True(t, SafeToRetry(err))
}

// A pipeline whose connection is refused at the handshake is not a success: go-redis sets
// that error on none of its commands.
func TestPipelineRefusedAtHandshake(t *testing.T) {
	t.Parallel()
	guarded := redistest.Start(t, "--requirepass", "right")
	cluster := redistest.Cluster(t)
	for name, test := range map[string]struct {
		metadata map[string]string
		want     string
	}{
		"wrong password":          {map[string]string{"redisHost": guarded.Addr, "redisPassword": "wrong"}, redistest.WrongPassword()},
		"no password":             {map[string]string{"redisHost": guarded.Addr}, "NOAUTH"},
		"no such database":        {map[string]string{"redisHost": guarded.Addr, "redisPassword": "right", "redisDB": "99"}, "DB index is out of range"},
		"wrong user of a cluster": {cluster.Fields("redisUsername", "nobody", "redisPassword", "wrong"), "WRONGPASS"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.metadata["redisUsername"] != "" {
				redistest.Requires(t, "6.0", "an ACL user")
			}
			b := newBinding(t, test.metadata, WithLazyConnect())
			requireNoneSucceeded(t, b, test.want, create("a", "1"), request(GetOperation, "a"), request(IncrementOperation, "n"))
		})
	}
	assert.EqualValues(t, 0, guarded.Do(t, "dbsize"))
}

// A create is acknowledged only when it was stored, while the password changes under load.
func TestPasswordChangesUnderLoad(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--requirepass", "right")
	b := newBinding(t, map[string]string{"redisHost": srv.Addr, "redisPassword": "right"})
	srv.Do(t, "config", "set", "requirepass", "other")
	srv.Do(t, "client", "kill", "type", "normal", "skipme", "yes")
	together(64, func(i int) {
		for j := range 20 {
			_, err := b.Invoke(context.Background(), create(fmt.Sprint("k", i, ".", j), "v"))
			assert.Error(t, err)
			if SafeToRetry(err) { // not on the connections that the server cut
				assert.ErrorContains(t, err, redistest.WrongPassword())
			}
		}
	})
	assert.EqualValues(t, 0, srv.Do(t, "dbsize"))
}

// No command is sent as the default user when the configured user is disabled.
func TestNoCommandAsAnotherUser(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--user", "app", "on", ">pw", "~*", "+@all")
	b := newBinding(t, map[string]string{"redisHost": srv.Addr, "redisUsername": "app", "redisPassword": "pw"})
	srv.Do(t, "acl", "setuser", "app", "off")
	srv.Do(t, "client", "kill", "type", "normal", "skipme", "yes")
	for range 5 {
		_, err := b.Invoke(t.Context(), create("k", "v"))
		assert.Error(t, err)
	}
	requireNoneSucceeded(t, b, "WRONGPASS", create("k", "v"), create("l", "v"))
	assert.EqualValues(t, 0, srv.Do(t, "dbsize"))
}

// A reply of the wrong shape leaves the outcome unknown and ends the connection.
func TestRepliesOfTheWrongShape(t *testing.T) {
	t.Parallel()
	const ok, nothing, number, text = "+OK\r\n", "$-1\r\n", ":0\r\n", "$5\r\nhello\r\n"
	for name, test := range map[string]struct {
		req   *InvokeRequest
		wrong []string
	}{
		"create":             {create("k", "v"), []string{nothing, "_\r\n", number, text, "#t\r\n", "+QUEUED\r\n", "*0\r\n"}},
		"delete":             {request(DeleteOperation, "k"), []string{nothing, ok, text, "#t\r\n"}},
		"increment":          {request(IncrementOperation, "k"), []string{nothing, ok, text, "#t\r\n"}},
		"increment with TTL": {request(IncrementOperation, "k", "ttlInSeconds", "5"), []string{nothing, ok, number, text, "$0\r\n\r\n"}},
		"get":                {request(GetOperation, "k"), []string{ok, number, "#t\r\n", "+QUEUED\r\n", "*0\r\n"}},
		"get with delete":    {request(GetOperation, "k", "delete", "1"), []string{ok, number, "#t\r\n", "+QUEUED\r\n"}},
	} {
		for _, reply := range test.wrong {
			server := redistest.StartHostile(t, "plain", true, []byte(reply))
			b := newBinding(t, hostileMetadata("plain", server.Addr), WithLazyConnect())
			resp, err := b.Invoke(t.Context(), test.req)
			assert.Error(t, err, "%s: %q", name, reply)
			assert.Nil(t, resp)
			assert.False(t, SafeToRetry(err), "%s: %q: %v", name, reply, err)
			assert.Equal(t, redistest.HostileValue("k"), string(invoke(t, b, request(GetOperation, "k")).Data), "%s: %q", name, reply)
		}
	}
}

// A reply that no command asked for ends the connection, and is not the next answer.
func TestReplyThatNoCommandAskedFor(t *testing.T) {
	t.Parallel()
	server := redistest.StartHostile(t, "plain", true, []byte("$5\r\nfirst\r\n$6\r\nsecond\r\n"))
	b := newBinding(t, hostileMetadata("plain", server.Addr), WithLazyConnect())
	_, err := b.Invoke(t.Context(), request(GetOperation, "k"))
	if err != nil {
		assert.ErrorContains(t, err, "a reply that no command asked for")
	}
	for range 3 {
		assert.Equal(t, redistest.HostileValue("k"), string(invoke(t, b, request(GetOperation, "k")).Data))
	}
}

// forwarder passes new connections on to its target. Tests move the target.
type forwarder struct {
	addr   string
	target atomic.Pointer[string]
}

func forward(t *testing.T, target string) *forwarder {
	f := &forwarder{}
	f.target.Store(&target)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f.addr = listener.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", *f.target.Load())
			if err != nil {
				_ = near.Close()
				continue
			}
			serving.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
			serving.Go(func() { _, _ = io.Copy(near, far); _ = near.Close() })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return f
}

// When a name leads to another primary, connections to the old one are given up at its
// first READONLY, wherever in a pipeline that comes.
func TestReadOnlyBehindAName(t *testing.T) {
	t.Parallel()
	before, after := redistest.Start(t), redistest.Start(t)
	f := forward(t, before.Addr)
	b, err := NewRedisBinding(map[string]string{"redisHost": f.addr})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	invoke(t, b, create("k", "v"))
	openConns(t, b, 3)
	f.target.Store(&after.Addr)
	before.Do(t, "replicaof", after.Host, after.Port)
	failed := 0
	for range 50 {
		if _, err := b.InvokeBatch(t.Context(), []*InvokeRequest{request(GetOperation, "k"), create("k", "w")}); err != nil {
			assert.ErrorContains(t, err, "READONLY")
			assert.True(t, SafeToRetry(err))
			failed++
		}
	}
	assert.LessOrEqual(t, failed, 12, "no more than there were connections")
	assert.Equal(t, "w", after.Do(t, "get", "k"))
}

// An increment with a TTL changes nothing for a user who lacks one of its commands.
func TestIncrementWithTTLWithoutPermission(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"get", "set", "incr"} {
		srv := redistest.Start(t, "--user", "counter", "on", ">pw", "~*", "+get", "+set", "+incr", "+eval", "+ping", "-"+missing)
		b := newBinding(t, map[string]string{"redisHost": srv.Addr, "redisUsername": "counter", "redisPassword": "pw"})
		srv.Do(t, "set", "n", "5")
		for _, key := range []string{"n", "new"} {
			_, err := b.Invoke(t.Context(), request(IncrementOperation, key, "ttlInSeconds", "60"))
			assert.Error(t, err, missing)
			assert.True(t, SafeToRetry(err), "%s: %v", missing, err)
		}
		assert.Equal(t, "5", srv.Do(t, "get", "n"), missing)
		assert.EqualValues(t, -1, srv.Do(t, "pttl", "n"), missing)
		assert.Nil(t, srv.Do(t, "get", "new"), missing)
	}
}

// The requests of a batch that were never sent say so.
func TestRestOfABrokenBatch(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv)
	b := newBinding(t, map[string]string{"redisHost": proxy.Addr})
	proxy.SwallowReplies(true)
	var reqs []*InvokeRequest
	for i := range 4 * batchCommands {
		reqs = append(reqs, request(IncrementOperation, fmt.Sprint("n", i)))
	}
	_, err := b.InvokeBatch(t.Context(), reqs)
	var failed BatchErrors
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed, len(reqs))
	for _, e := range failed {
		assert.Equal(t, e.Index >= batchCommands, errors.Is(e, ErrNotExecuted), "%d: %v", e.Index, e)
	}
	assert.False(t, SafeToRetry(err))
}

// A server that is full says so in as many pieces as the network likes.
func TestRefusalInPieces(t *testing.T) {
	t.Parallel()
	addr := listen(t, func(c net.Conn) {
		for _, piece := range []string{"-", "ERR max num", "ber of clients reached\r\n"} {
			_, _ = io.WriteString(c, piece)
			time.Sleep(time.Millisecond)
		}
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	b := newBinding(t, map[string]string{"redisHost": addr}, WithLazyConnect())
	_, err := b.Invoke(t.Context(), request(IncrementOperation, "n"))
	assert.ErrorContains(t, err, "ERR max number of clients reached")
	assert.ErrorIs(t, err, ErrNotExecuted)
}

// Close that cuts off a call which the server has executed does not say that it was not.
func TestCloseInterruptsASentCall(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	proxy := redistest.StartProxy(t, srv)
	b, err := NewRedisBinding(map[string]string{"redisHost": proxy.Addr, "readTimeout": "-1"})
	require.NoError(t, err)
	web := httptest.NewServer(Handler(map[string]OutputBinding{"store": b}))
	defer web.Close()
	begun, release := proxy.HoldNextReply(t)
	defer release()
	failed := make(chan error, 1)
	go func() {
		_, err := b.Invoke(context.Background(), request(IncrementOperation, "n"))
		failed <- err
	}()
	<-begun
	require.NoError(t, b.Close())
	err = <-failed
	assert.ErrorIs(t, err, ErrClosed)
	assert.NotEqual(t, ErrClosed, err)
	assert.False(t, SafeToRetry(err))
	assert.Equal(t, http.StatusBadGateway, statusOf(err))
	assert.Equal(t, "1", srv.Do(t, "get", "n"))
	_, err = b.Invoke(t.Context(), request(IncrementOperation, "n"))
	assert.Equal(t, ErrClosed, err)
	assert.True(t, SafeToRetry(err))
	assert.Equal(t, http.StatusServiceUnavailable, statusOf(err))
}

// Sentinels that say nothing are not the end of the caller's context.
func TestSilentSentinels(t *testing.T) {
	t.Parallel()
	hangUp := make(chan struct{})
	var addrs []string
	for range 3 {
		addrs = append(addrs, listen(t, func(net.Conn) { <-hangUp }))
	}
	defer close(hangUp)
	for _, timeouts := range [][2]string{{"200ms", "3s"}, {"3s", "100ms"}, {"300ms", "300ms"}} {
		b := newBinding(t, map[string]string{"redisHost": strings.Join(addrs, ","), "failover": "true", "sentinelMasterName": "m",
			"dialTimeout": timeouts[0], "readTimeout": timeouts[1]}, WithLazyConnect())
		for range 3 {
			_, err := b.Invoke(context.Background(), create("k", "v"))
			assert.NotErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorIs(t, err, ErrNotExecuted, "%v", err)
		}
	}
}

// A call whose context ends while it waits for a connection is never sent.
func TestLeftBeforeAConnectionIsThere(t *testing.T) {
	t.Parallel()
	for _, pipelining := range []string{PipeliningAuto, PipeliningOff} {
		srv := redistest.Start(t)
		hold := make(chan struct{})
		var holding atomic.Bool
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				near, err := listener.Accept()
				if err != nil {
					return
				}
				wait := holding.Load()
				serving.Go(func() {
					if wait {
						<-hold
					}
					far, err := net.Dial("tcp", srv.Addr)
					if err != nil {
						_ = near.Close()
						return
					}
					serving.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
					_, _ = io.Copy(near, far)
					_ = near.Close()
				})
			}
		})
		b, err := NewRedisBinding(map[string]string{"redisHost": listener.Addr().String(), "pipelining": pipelining, "dialTimeout": long,
			"readTimeout": long}, WithLazyConnect())
		require.NoError(t, err)
		holding.Store(true)
		var others sync.WaitGroup
		for range 4 { // so that the next one waits in the lane
			others.Go(func() { _, _ = b.Invoke(context.Background(), request(GetOperation, "x")) })
		}
		calling := func(n int64) func() bool { return func() bool { return b.client.calls.state.Load() == n } }
		require.Eventually(t, calling(4), 10*time.Second, time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		var leaving sync.WaitGroup
		for i := range 20 {
			leaving.Go(func() {
				_, err := b.Invoke(ctx, create(fmt.Sprint("left", i), "old"))
				assert.ErrorIs(t, err, context.Canceled)
				assert.True(t, SafeToRetry(err), "%v", err)
			})
		}
		require.Eventually(t, calling(24), 10*time.Second, time.Millisecond)
		cancel()
		leaving.Wait()
		holding.Store(false)
		close(hold)
		others.Wait()
		invoke(t, b, create("k", "v"))
		require.NoError(t, b.Close()) // whatever was to be sent was
		_ = listener.Close()
		serving.Wait()
		assert.EqualValues(t, 1, srv.Do(t, "dbsize"), pipelining)
	}
}

// When a server without GETDEL replaces one that had it, a batch falls back as Invoke does.
func TestBatchLosesGetDel(t *testing.T) {
	t.Parallel()
	current, older := redistest.Start(t), redistest.Start(t, "--rename-command", "GETDEL", "")
	f := forward(t, current.Addr)
	b, err := NewRedisBinding(map[string]string{"redisHost": f.addr})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	invoke(t, b, create("k", "v"))
	invoke(t, b, request(GetOperation, "k", "delete", "true"))
	f.target.Store(&older.Addr)
	current.Do(t, "client", "kill", "type", "normal", "skipme", "yes")
	older.Do(t, "set", "again", "old")
	require.Eventually(t, func() bool { return b.Ping(context.Background()) == nil && opened(b) == 1 }, 10*time.Second, time.Millisecond)
	responses, err := b.InvokeBatch(t.Context(), []*InvokeRequest{create("k", "v"), request(GetOperation, "k", "delete", "true"),
		create("l", "v"), request(GetOperation, "again", "delete", "true"), create("again", "new")})
	require.ErrorContains(t, err, "request 3: get: ERR unknown command")
	assert.True(t, SafeToRetry(err), "it would have read and deleted the new value")
	assert.Equal(t, "v", string(responses[1].Data))
	assert.Nil(t, older.Do(t, "get", "k"))
	assert.Equal(t, "new", older.Do(t, "get", "again"))
}

func TestSafeToRetry(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--user", "app", "on", ">pw", "~*", "+get", "+set", "+ping")
	b := newBinding(t, map[string]string{"redisHost": srv.Addr, "redisUsername": "app", "redisPassword": "pw"})
	srv.Do(t, "rpush", "list", "x")
	for name, req := range map[string]*InvokeRequest{
		"WRONGTYPE": request(GetOperation, "list"), "NOPERM": request(DeleteOperation, "k"), "key": request(GetOperation, ""),
		"unsupported": request("flush", "k"), "ttlInSeconds": create("k", "v", "ttlInSeconds", "x"), "is nil": nil,
	} {
		_, err := b.Invoke(t.Context(), req)
		require.ErrorContains(t, err, name)
		assert.True(t, SafeToRetry(err), "%v", err)
		assert.NotErrorIs(t, err, ErrNotExecuted, "it is for what may work later")
	}
	srv.Do(t, "config", "set", "maxmemory", "1")
	_, err := b.Invoke(t.Context(), create("k", "v"))
	require.ErrorContains(t, err, "OOM")
	assert.True(t, SafeToRetry(err))

	assert.False(t, SafeToRetry(nil))
	assert.False(t, SafeToRetry(errors.New("other")))
	assert.False(t, SafeToRetry(ErrUnavailable))
	assert.False(t, SafeToRetry(BatchErrors{{0, ErrMissingKey}, {1, io.EOF}}))
	for _, err := range []error{ErrClosed, ErrNotExecuted, ErrNoToken, fmt.Errorf("remote: %w", ErrMissingKey), BatchErrors{{0, ErrMissingKey}}} {
		assert.True(t, SafeToRetry(err), "%v", err)
	}
}

// Servers before Redis 7 put the error of a script around that of its command.
func TestUnwrapScriptError(t *testing.T) {
	t.Parallel()
	const around = "ERR Error running script (call to f_0123456789abcdef0123456789abcdef01234567): "
	for text, want := range map[string]string{
		around + "@user_script:1: @user_script: 1: -NOREPLICAS Not enough good replicas to write.": "NOREPLICAS Not enough good replicas to write.",
		around + "@user_script:1: WRONGTYPE Operation against a key":                               "WRONGTYPE Operation against a key",
		around + "@user_script:1: @user_script: 1: Wrong number of args":                           around + "@user_script:1: @user_script: 1: Wrong number of args",
		"WRONGTYPE Operation against a key":                                                        "WRONGTYPE Operation against a key",
	} {
		err := unwrapScriptError(redact.ReplyError(text))
		assert.EqualError(t, err, want)
		var reply redis.Error
		assert.ErrorAs(t, err, &reply)
	}
	assert.NoError(t, unwrapScriptError(nil))
}
