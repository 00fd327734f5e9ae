package redisbinding

import (
	"context"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
	"github.com/redisbinding/redisbinding/internal/resp"
)

// hostileReplies are replies, parted by zero bytes, that go-redis or the binding could
// stumble over.
var hostileReplies = []string{
	"$9999999999999\r\n", "*999999999\r\n", "%999999999\r\n", "~99999999\r\n", "|0\r\n|0\r\n", "*1\r\n*1\r\n*1\r\n",
	"+OK\r\n+OK\r\n", "+OK\r\n\x00$5\r\nhello\r\n\x00:1\r\n\x00-ERR no\r\n\x00$-1\r\n\x00*-1\r\n\x00_\r\n", "+OK\n", "",
	"%1\r\n$-1\r\n+x\r\n+PONG\r\n", "-ERR\r\n+PONG\r\n", "*2\r\n-LOADING x\r\n+a\r\n", "*2\r\n$-1\r\n+x\r\n",
	">2\r\n+a\r\n+b\r\n+OK\r\n", ">3\r\n$7\r\nmessage\r\n+c\r\n*1\r\n:1\r\n", ">0\r\n+OK\r\n", "*0\r\n", "*1\r\n:1\r\n", "*1\r\n*1\r\n:1\r\n",
	"*3\r\n$9\r\nsubscribe\r\n+c\r\n+x\r\n", "*1\r\n$9\r\nsubscribe\r\n", "*2\r\n$7\r\nmessage\r\n$3\r\nabc\r\n", "*1\r\n$4\r\npong\r\n",
	"*2\r\n$0\r\n\r\n$0\r\n\r\n", "*1\r\n$1\r\na\r\n", "*3\r\n+a\r\n+b\r\n+c\r\n", "*1\r\n*4\r\n$2\r\nip\r\n$1\r\na\r\n$4\r\nport\r\n$1\r\n1\r\n",
	"*1\r\n*3\r\n:-1\r\n:99999\r\n*2\r\n$0\r\n\r\n:0\r\n", "*1\r\n*2\r\n:5\r\n:1\r\n", "*0\r\n\x00*0\r\n", "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$-1\r\n:1\r\n",
	"-MOVED 1 :1\r\n", "-MOVED 1 \r\n\x00-ASK 1 127.0.0.1:1\r\n", "-MOVED\r\n", "-READONLY x\r\n\x00-LOADING\r\n\x00-CLUSTERDOWN\r\n",
	"-NOSCRIPT x\r\n", "-ERR unknown command\r\n\x00-ERR unknown command\r\n", "-DENIED x\r\n", "-ERR max number of clients reached\r\n",
	"#t\r\n", "#x\r\n", "(1\r\n", ",inf\r\n", "=8\r\ntxt:text\r\n", "=2\r\nxx\r\n", "!3\r\nERR\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n",
}

// hostileKinds are the kinds of server that answer so.
var hostileKinds = []string{"plain", "sentinel", "cluster"}

// hostileMetadata are those of a binding to a hostile server.
func hostileMetadata(kind, addr string) map[string]string {
	metadata := map[string]string{"redisHost": addr, "poolSize": "2", "dialTimeout": "5s", "readTimeout": "5s", "idleCheckFrequency": "-1"}
	switch kind {
	case "sentinel":
		metadata["failover"], metadata["sentinelMasterName"] = "true", "m"
	case "cluster":
		metadata["redisType"] = "cluster"
	}
	return metadata
}

// FuzzReplies: whatever a server answers, every call comes back, with no more memory than
// the replies are worth, and a reply to one command never is one to another.
func FuzzReplies(f *testing.F) {
	for _, replies := range hostileReplies {
		for kind := range uint8(2 * len(hostileKinds)) {
			f.Add(kind, []byte(replies))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, replies []byte) {
		if len(replies) > 4<<10 || redistest.HostileTooLarge(replies) {
			t.Skip()
		}
		surviveReplies(t, hostileKinds[int(kind)%3], kind/3%2 == 0, replies)
	})
}

func surviveReplies(t *testing.T, kind string, politely bool, replies []byte) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	server := redistest.StartHostile(t, kind, politely, replies)
	b, err := NewRedisBinding(hostileMetadata(kind, server.Addr), WithLazyConnect())
	require.NoError(t, err)
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	_, _ = b.Invoke(ctx, create("c", "data"))
	_, _ = b.Invoke(ctx, request(GetOperation, "g"))
	_, _ = b.Invoke(ctx, request(GetOperation, "d", "delete", "true"))
	_, _ = b.Invoke(ctx, request(IncrementOperation, "i"))
	_, _ = b.Invoke(ctx, request(IncrementOperation, "i", "ttlInSeconds", "5"))
	_, _ = b.Invoke(ctx, request(DeleteOperation, "x"))
	_, _ = b.InvokeBatch(ctx, []*InvokeRequest{create("c", "data"), request(GetOperation, "g"), request(IncrementOperation, "i")})
	_ = b.Ping(ctx)
	server.Honest()
	for _, key := range []string{"one", "two", "three"} {
		for {
			resp, err := b.Invoke(ctx, request(GetOperation, key))
			if ctx.Err() != nil {
				t.Fatal("a call hangs, or there is no way back: ", err)
			}
			if err == nil {
				require.Equal(t, redistest.HostileValue(key), string(resp.Data), "the reply to another command")
				break
			}
			if kind == "cluster" { // it knows of nodes that are none, until it asks again
				break
			}
		}
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20), "memory")
}

// What breaks the protocol in reply to HELLO keeps a connection from being made; after
// that the connection is lost, and what became of the command unknown.
func TestProtocolErrors(t *testing.T) {
	t.Parallel()
	const why = "the server broke Redis's protocol with a length of more than 9 digits: is this Redis?"
	server := redistest.StartHostile(t, "plain", false, []byte("$9999999999999\r\n"))
	_, err := NewRedisBinding(hostileMetadata("plain", server.Addr))
	assert.EqualError(t, err, "redisbinding: connect to "+server.Addr+": "+why+" (if the server expects TLS, set enableTLS to true)")
	assert.ErrorIs(t, err, ErrUnavailable)
	assert.True(t, SafeToRetry(err))

	server = redistest.StartHostile(t, "plain", true, []byte("$9999999999999\r\n"))
	b := newBinding(t, hostileMetadata("plain", server.Addr), WithLazyConnect())
	_, err = b.Invoke(t.Context(), request(GetOperation, "k"))
	assert.EqualError(t, err, "redisbinding: get: "+server.Addr+": "+why)
	assert.ErrorIs(t, err, ErrUnavailable)
	assert.False(t, SafeToRetry(err))
	assert.Equal(t, redistest.HostileValue("k"), string(invoke(t, b, request(GetOperation, "k")).Data), "the next connection")
}

// What comes with the reply to HELLO is no reply to the first command.
func TestMoreThanHelloIsAnswered(t *testing.T) {
	t.Parallel()
	for _, replies := range []string{"-ERR\r\n$5\r\nwrong\r\n", "%1\r\n$-1\r\n$5\r\nwrong\r\n"} {
		server := redistest.StartHostile(t, "plain", false, []byte(replies))
		b := newBinding(t, hostileMetadata("plain", server.Addr), WithLazyConnect())
		_, err := b.Invoke(t.Context(), request(GetOperation, "k"))
		require.Error(t, err, replies)
		assert.True(t, SafeToRetry(err), replies)
	}
}

// A connection that broke the protocol is neither read nor written any more.
func TestConnEndsWithProtocol(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	var conns connSet
	c := conns.track("h:1", near, near, nil)
	go func() { _, _ = io.WriteString(far, "$-7\r\n+OK\r\n"); _ = far.Close() }()
	_, err := io.ReadAll(c)
	require.ErrorContains(t, err, "a length below 0")
	_, again := c.Read(make([]byte, 1))
	assert.Equal(t, err, again)
	_, again = c.Write([]byte("x"))
	assert.Equal(t, err, again)
}

// A sentinel may name any number of others, and send messages that are none.
func TestHostileSentinel(t *testing.T) {
	t.Parallel()
	var s sentinels
	s.addrs = []string{"a:1"}
	others := make([]map[string]string, 1000)
	for i := range others {
		others[i] = map[string]string{"ip": "h", "port": string(rune('a' + i))}
	}
	s.add(others)
	assert.Len(t, s.known(), resp.MaxSentinels)
}
