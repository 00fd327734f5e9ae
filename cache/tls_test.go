package cache

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	fakeredis "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

const tlsPassword = "hunter2-hunter2"

// serving is what a server of tests has whose certificate is one of the CA's, after change.
func serving(t *testing.T, certs *redistest.Certificates, change func(*x509.Certificate)) *tls.Config {
	t.Helper()
	return &tls.Config{MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{certs.Issue(t, change)}}
}

// trusting trusts the CA, in the one place where that can be said.
func trusting(t *testing.T, certs *redistest.Certificates) Option {
	t.Helper()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(certs.CA))
	return WithRedisOptions(func(o *redis.UniversalOptions) { o.TLSConfig.RootCAs = roots })
}

func withSSL(addr string) []string {
	return []string{"ConnectionStrings__cache=" + addr + ",ssl=true,connectRetry=1,setlib=false,password=" + tlsPassword}
}

// assertRecords looks at all that a client has sent: nothing but records of TLS, of which
// the first is of the handshake.
func assertRecords(t *testing.T, middle *redistest.Middle) {
	t.Helper()
	const first, handshake, last = 20, 22, 23
	require.NotEmpty(t, middle.Heard())
	for _, sent := range middle.Heard() {
		assert.NotContains(t, sent, tlsPassword)
		for i := 0; len(sent) > 0; i++ {
			require.GreaterOrEqual(t, len(sent), 5, "the rest of what was sent is no record of TLS: %q", sent)
			require.True(t, sent[0] >= first && sent[0] <= last && (i > 0 || sent[0] == handshake), "record %d is of type %d", i, sent[0])
			sent = sent[min(len(sent), 5+int(sent[3])<<8+int(sent[4])):]
		}
	}
}

func TestTLSVersions(t *testing.T) {
	t.Parallel()
	for version, protocols := range map[string]string{"TLSv1.2": "Tls12", "TLSv1.3": "Tls13"} {
		srv, certs := redistest.StartTLS(t, "--tls-auth-clients", "no", "--tls-protocols", version, "--requirepass", tlsPassword)
		middle := redistest.StartMiddle(t, srv.Addr, nil)
		for _, more := range []string{"", ",sslProtocols=" + protocols, ",tcpKeepAlive=false"} { // the last has a dialer of its own
			requireWorks(t, open(t, "cache", []string{withSSL(middle.Addr)[0] + more}, trusting(t, certs)))
		}
		assertRecords(t, middle)
		other := map[string]string{"Tls12": "Tls13", "Tls13": "Tls12"}[protocols]
		_, _, err := open(t, "cache", []string{withSSL(middle.Addr)[0] + ",sslProtocols=" + other}, trusting(t, certs)).Get(t.Context(), "key")
		assert.ErrorContains(t, err, "(the server has to speak TLS 1.2 or later, or what sslProtocols says)")
	}
}

// Whoever cannot prove to be the server gets neither a password nor a command, and the
// error says what to check.
func TestTLSRefusesServers(t *testing.T) {
	t.Parallel()
	certs := redistest.NewCertificates(t)
	old := serving(t, certs, func(*x509.Certificate) {})
	old.MaxVersion = tls.VersionTLS11
	for name, test := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"unknown CA":      {serving(t, redistest.NewCertificates(t), func(*x509.Certificate) {}), "(put the CA that signed the server's certificate into TLSConfig.RootCAs"},
		"self-signed":     {&tls.Config{Certificates: []tls.Certificate{certs.SelfSigned(t)}}, "(put the CA that signed the server's certificate into TLSConfig.RootCAs"},
		"another name":    {serving(t, certs, func(c *x509.Certificate) { c.IPAddresses = nil }), "(set sslHost, or TLSConfig.ServerName, to a name in the server's certificate)"},
		"expired":         {serving(t, certs, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "(the server needs a new certificate, unless the clock here is wrong)"},
		"not valid yet":   {serving(t, certs, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), "(the server needs a new certificate, unless the clock here is wrong)"},
		"for clients":     {serving(t, certs, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "(the server needs a certificate for servers"},
		"TLS 1.1 at most": {old, "(the server has to speak TLS 1.2 or later"},
	} {
		t.Run(name, func(t *testing.T) {
			fake, addr := redistest.StartFakeTLS(t, test.config)
			middle := redistest.StartMiddle(t, addr, nil)
			for _, more := range []string{"", ",tcpKeepAlive=false"} {
				environ := []string{withSSL(middle.Addr)[0] + more}
				_, err := Open(t.Context(), "cache", WithEnvironment([]string{environ[0] + ",abortConnect=true"}), trusting(t, certs))
				require.ErrorContains(t, err, test.want)
				c := open(t, "cache", environ, trusting(t, certs))
				_, _, err = c.Get(t.Context(), "key")
				require.ErrorContains(t, err, test.want)
				require.ErrorContains(t, c.HealthCheck(t.Context()), test.want)
				assert.NotContains(t, err.Error(), tlsPassword)

				// The client of somebody else says so, too.
				connection := mustParse(t, strings.TrimPrefix(environ[0], "ConnectionStrings__cache=")).UniversalOptions()
				connection.TLSConfig.RootCAs = x509.NewCertPool()
				connection.TLSConfig.RootCAs.AppendCertsFromPEM(certs.CA)
				client := redis.NewClient(connection.Simple())
				require.ErrorContains(t, New(client).Remove(t.Context(), "key"), test.want)
				require.ErrorContains(t, New(client).HealthCheck(t.Context()), test.want)
				require.NoError(t, client.Close())
			}
			assertRecords(t, middle)
			assert.Zero(t, fake.TotalCommands())
		})
	}
}

// Somebody in between who wants an older version of TLS, or none, gets no connection.
func TestTLSDowngrade(t *testing.T) {
	t.Parallel()
	srv, certs := redistest.StartTLS(t, "--tls-auth-clients", "no", "--requirepass", tlsPassword)
	for name, test := range map[string]struct {
		change func(request, reply []byte)
		want   string
	}{
		"offer of TLS 1.2": {func(request, _ []byte) {
			redistest.OfferTLS(request, "\x03\x03\x03\x03")
		}, "(check what stands between here and the server: it has changed the TLS handshake)"},
		"answer in plaintext": {func(_, reply []byte) { copy(reply, "-ERR no TLS here\r\n") }, "(the server does not speak TLS: use its TLS port"},
	} {
		t.Run(name, func(t *testing.T) {
			middle := redistest.StartMiddle(t, srv.Addr, test.change)
			_, _, err := open(t, "cache", withSSL(middle.Addr), trusting(t, certs)).Get(t.Context(), "key")
			require.ErrorContains(t, err, test.want)
			assertRecords(t, middle)
		})
	}
}

// With TLS 1.3 the server tells only after the handshake that it wants another client
// certificate.
func TestTLSClientCertificate(t *testing.T) {
	t.Parallel()
	other := redistest.NewCertificates(t)
	for _, version := range []string{"TLSv1.2", "TLSv1.3"} {
		srv, certs := redistest.StartTLS(t, "--tls-protocols", version)
		for name, pair := range map[string]*redistest.Certificates{"none": nil, "of another CA": other, "of the right one": certs} {
			t.Run(version+" "+name, func(t *testing.T) {
				own := WithRedisOptions(func(o *redis.UniversalOptions) {
					o.Password = ""
					if pair != nil {
						o.TLSConfig.Certificates = []tls.Certificate{pair.Issue(t, func(*x509.Certificate) {})}
					}
				})
				c := open(t, "cache", withSSL(srv.Addr), trusting(t, certs), own)
				if pair == certs {
					requireWorks(t, c)
					return
				}
				_, _, err := c.Get(t.Context(), "key")
				require.ErrorContains(t, err, "TLSConfig.Certificates)")
			})
		}
	}
}

// Each node of a cluster has to prove to be the host that it was announced as, and each
// primary and each sentinel that it was named by; sslHost is the name of them all.
func TestTLSOtherServers(t *testing.T) {
	t.Parallel()
	certs := redistest.NewCertificates(t)
	byIP := serving(t, certs, func(c *x509.Certificate) { c.DNSNames = nil })
	stranger := serving(t, redistest.NewCertificates(t), func(*x509.Certificate) {})
	const otherName, otherCA = "wanted to match localhost (set sslHost", "(put the CA that signed the server's certificate"
	for name, test := range map[string]struct {
		first, second    *tls.Config // the seed or the sentinel, and the node or the primary
		host, more, want string
	}{
		"all well":                {byIP, byIP, "127.0.0.1", "", ""},
		"another name":            {byIP, byIP, "localhost", "", otherName},
		"another name, sslHost":   {byIP, byIP, "localhost", ",sslHost=127.0.0.1", ""},
		"the first nobody knows":  {stranger, byIP, "127.0.0.1", "", otherCA},
		"the second nobody knows": {byIP, stranger, "127.0.0.1", "", otherCA},
	} {
		t.Run(name, func(t *testing.T) {
			first, firstAddr := redistest.StartFakeTLS(t, test.first)
			second, secondAddr := redistest.StartFakeTLS(t, test.second)
			_, port, _ := net.SplitHostPort(secondAddr)
			slots := func(c *fakeredis.Peer, _ string, _ []string) {
				c.WriteLen(1)
				c.WriteLen(3)
				c.WriteInt(0)
				c.WriteInt(16383)
				c.WriteLen(3)
				c.WriteBulk(test.host)
				c.WriteInt(atoi(t, port))
				c.WriteBulk(strings.Repeat("a", 40))
			}
			require.NoError(t, first.Register("CLUSTER", slots))
			require.NoError(t, second.Register("CLUSTER", slots))
			require.NoError(t, first.Register("SENTINEL", func(c *fakeredis.Peer, _ string, args []string) {
				if !strings.EqualFold(args[0], "get-master-addr-by-name") {
					c.WriteLen(0)
					return
				}
				c.WriteStrings([]string{test.host, port})
			}))
			cluster := WithRedisOptions(func(o *redis.UniversalOptions) { o.IsClusterMode = true })
			for kind, c := range map[string]*Cache{
				"cluster":  open(t, "cache", []string{withSSL(firstAddr)[0] + test.more}, trusting(t, certs), cluster),
				"sentinel": open(t, "cache", []string{withSSL(firstAddr)[0] + test.more + ",serviceName=m"}, trusting(t, certs)),
			} {
				before := second.TotalCommands()
				err := c.Remove(t.Context(), "key")
				if test.want == "" {
					require.NoError(t, err, kind)
					continue
				}
				require.ErrorContains(t, err, test.want, kind)
				assert.Equal(t, before, second.TotalCommands(), kind)
			}
		})
	}
}

// A server that speaks the other thing is named as that.
func TestTLSAndNoTLS(t *testing.T) {
	t.Parallel()
	srv, _ := redistest.StartTLS(t, "--tls-auth-clients", "no")
	_, _, err := open(t, "cache", []string{"ConnectionStrings__cache=" + srv.Addr + ",connectRetry=1"}).Get(t.Context(), "key")
	require.ErrorContains(t, err, "(if the server speaks TLS, set ssl=true)")
	// It waits for the rest of what it takes for a command.
	_, _, err = open(t, "cache", []string{withSSL(redistest.Plain(t).Servers[0].Addr)[0] + ",connectTimeout=200"}).Get(t.Context(), "key")
	require.ErrorContains(t, err, "(if the server does not speak TLS there, leave ssl out)")
}
