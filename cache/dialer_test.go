package cache

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// connectProxy is an HTTP proxy that takes CONNECT and answers it with status.
type connectProxy struct {
	addr string

	mu    sync.Mutex
	asked []string // which addresses it was asked for
}

func startConnectProxy(t *testing.T, status string) *connectProxy {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &connectProxy{addr: listener.Addr().String()}
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(conn, status) })
		}
	})
	return p
}

func (p *connectProxy) askedFor() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func (p *connectProxy) serve(conn net.Conn, status string) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, request.RequestURI)
	p.mu.Unlock()
	if status == "" { // says nothing
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 "+status+"\r\n\r\n"); err != nil || !strings.HasPrefix(status, "200 ") {
		return
	}
	server, err := net.Dial("tcp", request.RequestURI)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(server, reader)
		_ = server.Close()
	}()
	_, _ = io.Copy(conn, server)
}

func ping(t *testing.T, o *redis.UniversalOptions) error {
	client := redis.NewUniversalClient(o)
	defer client.Close()
	return client.Ping(t.Context()).Err()
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := startConnectProxy(t, "200 Connection established")
	require.NoError(t, ping(t, mustParse(t, server.Addr+",tunnel=http:"+proxy.addr).UniversalOptions()))
	assert.Equal(t, []string{server.Addr}, proxy.askedFor())
}

func TestTunnelWithTLS(t *testing.T) {
	t.Parallel()
	server, certificates := redistest.StartTLS(t, "--tls-auth-clients", "no")
	proxy := startConnectProxy(t, "200 OK")
	for name, keyword := range map[string]string{"with": "tunnel=http:" + proxy.addr, "without": "tcpKeepAlive=false"} {
		t.Run(name, func(t *testing.T) {
			o := mustParse(t, server.Addr+",ssl=true,"+keyword).UniversalOptions()
			require.NotNil(t, o.Dialer)
			assert.ErrorAs(t, ping(t, o), new(*tls.CertificateVerificationError))
			o.TLSConfig.RootCAs = x509.NewCertPool() // changed after the Dialer was made
			o.TLSConfig.RootCAs.AppendCertsFromPEM(certificates.CA)
			require.NoError(t, ping(t, o))
			o.TLSConfig.ServerName = "other.example"
			assert.ErrorContains(t, ping(t, o), "not other.example")
		})
	}
}

func TestTunnelRefused(t *testing.T) {
	t.Parallel()
	proxy := startConnectProxy(t, "403 Forbidden")
	o := mustParse(t, "redis.example,connectRetry=1,tunnel=http:"+proxy.addr).UniversalOptions()
	o.MaxRetries = -1
	assert.EqualError(t, ping(t, o), "dial tunnel "+proxy.addr+": the proxy refuses to connect: 403 Forbidden")
	assert.Equal(t, []string{"redis.example:6379"}, proxy.askedFor())
}

func TestTunnelSilent(t *testing.T) {
	t.Parallel()
	proxy := startConnectProxy(t, "")
	o := mustParse(t, "redis.example,connectTimeout=50,tunnel=http:"+proxy.addr).UniversalOptions()
	_, err := o.Dialer(t.Context(), "tcp", "redis.example:6379")
	assert.ErrorIs(t, err, context.DeadlineExceeded)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = o.Dialer(ctx, "tcp", "redis.example:6379")
	assert.ErrorIs(t, err, context.Canceled)
}

func TestTunnelThatSpeaksFirst(t *testing.T) {
	t.Parallel()
	proxy := startConnectProxy(t, "407 No\r\n\r\nX")
	_, err := mustParse(t, "h,tunnel=http:"+proxy.addr).UniversalOptions().Dialer(t.Context(), "tcp", "h:1")
	assert.ErrorContains(t, err, "407 No")
	proxy = startConnectProxy(t, "200 OK\r\n\r\nX")
	_, err = mustParse(t, "h,tunnel=http:"+proxy.addr).UniversalOptions().Dialer(t.Context(), "tcp", "h:1")
	assert.ErrorContains(t, err, "data that nobody has asked for")
}

func TestTunnelNotForSockets(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/redis.sock"
	redistest.Start(t, "--unixsocket", path)
	proxy := startConnectProxy(t, "403 Forbidden")
	require.NoError(t, ping(t, mustParse(t, "!"+path+",tunnel=http:"+proxy.addr).UniversalOptions()))
	require.NoError(t, ping(t, mustParse(t, "!"+path).UniversalOptions()))
	assert.Empty(t, proxy.askedFor())
}

func TestWithoutKeepAlive(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	require.NoError(t, ping(t, mustParse(t, server.Addr+",tcpKeepAlive=0").UniversalOptions()))
}

func TestSentinelOnRealServers(t *testing.T) {
	t.Parallel()
	m := redistest.Sentinel(t).Metadata
	s := m["redisHost"] + ",serviceName=" + m["sentinelMasterName"] + ",user=" + m["redisUsername"] + ",password=" + m["redisPassword"] +
		",sentinelUser=" + m["sentinelUsername"] + ",sentinelPassword=" + m["sentinelPassword"]
	for _, more := range []string{"", ",tcpKeepAlive=false", ",tunnel=http:" + startConnectProxy(t, "200 OK").addr} {
		require.NoError(t, ping(t, mustParse(t, s+more).UniversalOptions()), more)
	}
}

func TestClusterOnRealServers(t *testing.T) {
	t.Parallel()
	o := mustParse(t, redistest.Cluster(t).Metadata["redisHost"]+",$CONFIG=,resolveDns=true").UniversalOptions()
	o.IsClusterMode = true
	require.NoError(t, ping(t, o))
}
