package cache

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// go-redis looks for a dead connection through what is below.
func TestGuardedShowsWhatIsBelow(t *testing.T) {
	t.Parallel()
	server := redistest.StartHostile(t, "plain", true, nil)
	socket, err := net.Dial("tcp", server.Addr)
	require.NoError(t, err)
	defer func() { _ = socket.Close() }()
	plain, ok := guarded(socket).(syscall.Conn)
	require.True(t, ok)
	_, err = plain.SyscallConn()
	require.NoError(t, err)

	secure := guarded(tls.Client(socket, &tls.Config{}))
	_, ok = secure.(syscall.Conn)
	assert.False(t, ok, "it would take what TLS has to say for replies")
	assert.Equal(t, socket, secure.(interface{ NetConn() net.Conn }).NetConn())

	near, far := net.Pipe()
	defer func() { _ = far.Close() }()
	_, ok = guarded(near).(syscall.Conn)
	assert.False(t, ok)
}

// Every connection of a cache that was opened has a guard, also with a Dialer of the
// caller's.
func TestOpenGuards(t *testing.T) {
	t.Parallel()
	for _, kind := range hostileKinds {
		for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){
			"own": nil,
			"caller's": func(ctx context.Context, network, addr string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		} {
			server := redistest.StartHostile(t, kind, false, []byte("$9999999999999\r\n"))
			c := openHostile(t, kind, server.Addr, WithRedisOptions(func(o *redis.UniversalOptions) { o.Dialer = dial }))
			_, _, err := c.Get(t.Context(), "k")
			assert.ErrorContains(t, err, "the server broke Redis's protocol with a length of more than 9 digits", "%s, %s", kind, name)
			value, _, err := c.Get(t.Context(), "k")
			require.NoError(t, err, "%s, %s", kind, name)
			assert.Equal(t, redistest.HostileValue("k"), string(value))
			require.NoError(t, c.Close())
		}
	}
}

// What comes with the reply to HELLO is no reply to the first command.
func TestMoreThanHelloIsAnswered(t *testing.T) {
	t.Parallel()
	server := redistest.StartHostile(t, "plain", false, []byte("-ERR\r\n+PONG\r\n"))
	c := openHostile(t, "plain", server.Addr)
	_, _, err := c.Get(t.Context(), "k")
	assert.ErrorContains(t, err, "more than the reply to HELLO")
	require.NoError(t, c.Close())
}

// go-redis takes these answers apart on goroutines of its own.
func TestHostileSentinel(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"*0\r\n", "*1\r\n$1\r\na\r\n", "*2\r\n$0\r\n\r\n$0\r\n\r\n", "*2\r\n$1\r\na\r\n$-1\r\n", "*3\r\n+a\r\n+b\r\n+c\r\n"} {
		server := redistest.StartHostile(t, "sentinel", false, []byte("-ERR no HELLO\r\n\x00"+reply))
		c := openHostile(t, "sentinel", server.Addr)
		_, _, err := c.Get(t.Context(), "k")
		assert.ErrorContains(t, err, errSentinel.Error(), "%q", reply)
		require.NoError(t, c.Close())
	}
}

// go-redis subscribes to two channels, in the order of a map.
func TestQuestionIn(t *testing.T) {
	t.Parallel()
	const subscribe, switches, other = "*3\r\n$9\r\nsubscribe\r\n", "$14\r\n+switch-master\r\n", "$20\r\n+replica-reconf-done\r\n"
	for written, question := range map[string]sentinelQuestion{
		subscribe + switches + other:                                            tellSwitches,
		subscribe + other + switches:                                            tellSwitches,
		"*2\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n":              nothing,
		"*3\r\n$8\r\nsentinel\r\n$23\r\nget-master-addr-by-name\r\n$1\r\nm\r\n": whichPrimary,
		"*3\r\n$8\r\nsentinel\r\n$9\r\nsentinels\r\n$1\r\nm\r\n":                whichSentinels,
		"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n":                             nothing, "*1\r\n$4\r\nping\r\n": nothing, "": nothing,
	} {
		assert.Equal(t, question, questionIn([]byte(written)), "%q", written)
	}
}

func TestCheckSentinel(t *testing.T) {
	t.Parallel()
	const switched = "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n"
	for _, test := range []struct {
		asked   sentinelQuestion
		replies string
		fits    bool
	}{
		{whichPrimary, "*2\r\n$1\r\nh\r\n$1\r\n1\r\n", true},
		{whichPrimary, "*-1\r\n", true},
		{whichPrimary, "_\r\n", true},
		{whichPrimary, "-ERR x\r\n", true},
		{whichPrimary, "+OK\r\n", false},
		{whichPrimary, "*2\r\n:1\r\n$1\r\n1\r\n", false},
		{whichSentinels, "*1\r\n*2\r\n$2\r\nip\r\n$1\r\nh\r\n", true},
		{whichSentinels, "*1\r\n%1\r\n$2\r\nip\r\n$1\r\nh\r\n", true},
		{whichSentinels, "*65\r\n" + strings.Repeat("*0\r\n", 65), false},
		{tellSwitches, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n>3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:2\r\n", true},
		{tellSwitches, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*0\r\n", false},
		{tellSwitches, "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n+1\r\n", false},
		{tellSwitches, "*1\r\n$9\r\nsubscribe\r\n", false},
		{tellSwitches, "*2\r\n$4\r\npong\r\n$0\r\n\r\n", true},
		{tellSwitches, "+PONG\r\n", true},
		{tellSwitches, "*1\r\n$4\r\npong\r\n", false},
		{tellSwitches, switched + "$9\r\nm h 1 i 2\r\n", true},
		{tellSwitches, switched + "$7\r\nm h 1 i\r\n", false},
		{tellSwitches, switched + "*1\r\n$1\r\nm\r\n", false},
		{tellSwitches, "*3\r\n$7\r\nmessage\r\n$5\r\nother\r\n$1\r\nm\r\n", true},
		{tellSwitches, "*2\r\n:1\r\n:1\r\n", false},
	} {
		err := checkSentinel(test.asked, []byte(test.replies))
		assert.Equal(t, test.fits, err == nil, "%q", test.replies)
	}
}

// A server that says again and again that it tells of changes holds nobody up.
func TestSubscribedAgainAndAgain(t *testing.T) {
	t.Parallel()
	const subscribed = "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n"
	server := redistest.StartHostile(t, "plain", true, []byte("+PONG\r\n\x00"+strings.Repeat(subscribed, 5)))
	c := openHostile(t, "plain", server.Addr, WithLocal(1<<20))
	assert.Eventually(t, func() bool { return c.local.on.Load() }, 10*time.Second, time.Millisecond)
	require.NoError(t, c.Close())
}
