package redisbinding

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// What the fields do is in TestFieldsTLS, what the wrong ones come to in
// TestStartErrors. Here is who else may be at the other end, or in between.

const tlsPassword = "hunter2-hunter2"

// tlsFields are those of a binding that has a password to lose.
func tlsFields(addr string, certs *redistest.Certificates, more ...string) map[string]string {
	fields := map[string]string{"redisHost": addr, "enableTLS": "true", "caCert": string(certs.CA), "redisPassword": tlsPassword}
	for i := 0; i < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	return fields
}

// assertNothingInTheClear looks at all that a client has sent: records of TLS, and
// when the handshake has failed none that can hold a command.
func assertNothingInTheClear(t *testing.T, middle *redistest.Middle, failed bool) {
	t.Helper()
	const changeCipherSpec, alert, handshake, data = 20, 21, 22, 23
	const encryptedAlert = 2 + 1 + 16 // TLS 1.3 gives it the type of data
	require.NotEmpty(t, middle.Heard())
	for _, sent := range middle.Heard() {
		assert.NotContains(t, sent, tlsPassword)
		for i := 0; len(sent) > 0; i++ {
			require.GreaterOrEqual(t, len(sent), 5, "the rest of what was sent is no record of TLS: %q", sent)
			kind, length := sent[0], int(sent[3])<<8+int(sent[4])
			allowed := []byte{changeCipherSpec, alert, handshake, data}
			if i == 0 {
				allowed = []byte{handshake}
			} else if failed && length != encryptedAlert {
				allowed = []byte{changeCipherSpec, alert, handshake}
			}
			require.Contains(t, allowed, kind, "record %d", i)
			sent = sent[min(len(sent), 5+length):]
		}
	}
}

func TestTLSVersions(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"TLSv1.2", "TLSv1.3"} {
		t.Run(version, func(t *testing.T) {
			srv, certs := redistest.StartTLS(t, "--tls-protocols", version, "--requirepass", tlsPassword)
			middle := redistest.StartMiddle(t, srv.Addr, nil)
			invoke(t, newBinding(t, tlsFields(middle.Addr, certs, "clientCert", string(certs.Cert), "clientKey", string(certs.Key))),
				create("k", "v"))
			assertNothingInTheClear(t, middle, false)
		})
	}
}

// Whoever cannot prove to be the server gets neither a password nor a command, and
// the error says what to check.
func TestTLSRefusesServers(t *testing.T) {
	t.Parallel()
	certs := redistest.NewCertificates(t)
	other := redistest.NewCertificates(t)
	good := certs.Issue(t, func(*x509.Certificate) {})
	with := func(change func(*x509.Certificate)) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{certs.Issue(t, change)}}
	}
	for name, test := range map[string]struct {
		config *tls.Config
		fields []string
		want   []string
	}{
		"unknown CA": {&tls.Config{Certificates: []tls.Certificate{other.Issue(t, func(*x509.Certificate) {})}}, nil,
			[]string{"signed by unknown authority", "(set caCert to the CA that signed the server's certificate)"}},
		"self-signed": {&tls.Config{Certificates: []tls.Certificate{certs.SelfSigned(t)}}, nil,
			[]string{"signed by unknown authority", "(set caCert to the CA that signed the server's certificate)"}},
		"another name": {with(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"redis.example"}, nil }), nil,
			[]string{"127.0.0.1", "(set serverName to a name in the server's certificate)"}},
		"another address": {with(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{{127, 0, 0, 2}} }), nil,
			[]string{"127.0.0.2", "(set serverName to a name in the server's certificate)"}},
		"a common name only": {with(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses, c.Subject.CommonName = nil, nil, "localhost" }),
			[]string{"serverName", "localhost"},
			[]string{"use SANs instead", "(set serverName to a name in the server's certificate)"}},
		"another serverName": {with(func(*x509.Certificate) {}), []string{"serverName", "redis.example"},
			[]string{"not redis.example", "(set serverName to a name in the server's certificate)"}},
		"expired": {with(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), nil,
			[]string{"expired or is not yet valid", "(the server needs a new certificate, unless the clock here is wrong)"}},
		"not valid yet": {with(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), nil,
			[]string{"expired or is not yet valid", "(the server needs a new certificate, unless the clock here is wrong)"}},
		"for clients": {with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), nil,
			[]string{"incompatible key usage", "(the server needs a certificate for servers, with the extended key usage serverAuth)"}},
		"TLS 1.1 at most": {&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, nil,
			[]string{"protocol version not supported", "(the server has to speak TLS 1.2 or later)"}},
		"TLS 1.0 at most": {&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, nil,
			[]string{"protocol version not supported", "(the server has to speak TLS 1.2 or later)"}},
	} {
		t.Run(name, func(t *testing.T) {
			fake, addr := redistest.StartFakeTLS(t, test.config)
			middle := redistest.StartMiddle(t, addr, nil)
			fields := tlsFields(middle.Addr, certs, test.fields...)
			_, err := NewRedisBinding(fields)
			require.Error(t, err)
			lazy := newBinding(t, fields, WithLazyConnect())
			_, invoked := lazy.Invoke(t.Context(), create("k", "v"))
			for _, err := range []error{err, invoked, lazy.Ping(t.Context())} {
				require.ErrorContains(t, err, "TLS handshake with "+middle.Addr+": ")
				assert.ErrorIs(t, err, ErrUnavailable)
				for _, want := range test.want {
					assert.ErrorContains(t, err, want)
				}
				assertNoSecret(t, tlsPassword, err)
			}
			assertNothingInTheClear(t, middle, true)
			assert.Zero(t, fake.TotalCommands())

			// insecureSkipTLSVerify accepts any certificate, and nothing but a certificate.
			fields["insecureSkipTLSVerify"] = "true"
			binding, err := NewRedisBinding(fields)
			if strings.Contains(name, "at most") {
				assert.ErrorContains(t, err, "(the server has to speak TLS 1.2 or later)")
				return
			}
			require.NoError(t, err)
			require.NoError(t, binding.Close())
		})
	}
}

// serverHello is where in a reply the version stands that a server has chosen.
func serverHello(reply []byte) []byte {
	const record, message = 5, 4
	if len(reply) > record+message+2 && reply[0] == 22 && reply[record] == 2 {
		return reply[record+message:][:2]
	}
	return nil
}

// Somebody in between who wants an older version of TLS, or none, gets no connection.
func TestTLSDowngrade(t *testing.T) {
	t.Parallel()
	srv, certs := redistest.StartTLS(t, "--tls-auth-clients", "no", "--requirepass", tlsPassword)
	for name, test := range map[string]struct {
		change func(request, reply []byte)
		want   string
	}{
		// The client offers TLS 1.3 and 1.2; the server, which has both, hears of 1.2 only.
		"offer of TLS 1.2": {func(request, _ []byte) {
			redistest.OfferTLS(request, "\x03\x03\x03\x03")
		}, "(check what stands between here and the server: it has changed the TLS handshake)"},
		// ...or of 1.1 and nothing newer.
		"offer of TLS 1.1": {func(request, _ []byte) {
			redistest.OfferTLS(request, "\x03\x02\x03\x02")
		}, "(the server has to speak TLS 1.2 or later)"},
		// The client hears that the server has chosen TLS 1.1.
		"answer of TLS 1.1": {func(_, reply []byte) {
			if version := serverHello(reply); version != nil {
				copy(version, "\x03\x02")
				// supported_versions, which says 1.3, becomes something that nobody knows
				if at := strings.Index(string(reply), "\x00\x2b\x00\x02\x03\x04"); at > 0 {
					copy(reply[at+4:], "\x03\x02")
				}
			}
		}, "(the server has to speak TLS 1.2 or later)"},
		"answer in plaintext": {func(_, reply []byte) { copy(reply, "-ERR no TLS here\r\n") },
			"(the server does not speak TLS: use its TLS port"},
	} {
		t.Run(name, func(t *testing.T) {
			middle := redistest.StartMiddle(t, srv.Addr, test.change)
			for _, skip := range []string{"", "true"} { // which does not make it any better
				_, err := NewRedisBinding(tlsFields(middle.Addr, certs, "insecureSkipTLSVerify", skip))
				require.ErrorContains(t, err, "TLS handshake with "+middle.Addr+": ")
				assert.ErrorContains(t, err, test.want)
			}
			assertNothingInTheClear(t, middle, true)
		})
	}
}

// A change of a single bit later on ends the connection.
func TestTLSTampering(t *testing.T) {
	t.Parallel()
	srv, certs := redistest.StartTLS(t, "--tls-auth-clients", "no", "--requirepass", tlsPassword)
	var tamper atomic.Bool
	middle := redistest.StartMiddle(t, srv.Addr, func(_, reply []byte) {
		if len(reply) > 0 && tamper.Load() {
			reply[len(reply)-1] ^= 1
		}
	})
	binding := newBinding(t, tlsFields(middle.Addr, certs))
	invoke(t, binding, create("k", "v"))
	tamper.Store(true)
	resp, err := binding.Invoke(t.Context(), request(GetOperation, "k"))
	assert.Nil(t, resp)
	require.ErrorIs(t, err, ErrUnavailable)
	tamper.Store(false)
	assert.Equal(t, "v", string(invoke(t, binding, request(GetOperation, "k")).Data))
}

// With TLS 1.3 a server tells only after the handshake that it wants another client
// certificate: the first read has to say so. The handshake is over by then, so that
// what the server gets is encrypted for it and nobody else.
func TestTLSClientCertificate(t *testing.T) {
	t.Parallel()
	other := redistest.NewCertificates(t)
	for _, version := range []string{"TLSv1.2", "TLSv1.3"} {
		srv, certs := redistest.StartTLS(t, "--tls-protocols", version, "--requirepass", tlsPassword)
		for name, test := range map[string]struct {
			fields []string
			want   string
		}{
			"none":             {nil, "clientCert and clientKey)"},
			"of another CA":    {[]string{"clientCert", string(other.Cert), "clientKey", string(other.Key)}, "check clientCert and clientKey)"},
			"of the right one": {[]string{"clientCert", string(certs.Cert), "clientKey", string(certs.Key)}, ""},
		} {
			t.Run(version+" "+name, func(t *testing.T) {
				middle := redistest.StartMiddle(t, srv.Addr, nil)
				fields := tlsFields(middle.Addr, certs, test.fields...)
				binding, err := NewRedisBinding(fields)
				if test.want == "" {
					require.NoError(t, err)
					require.NoError(t, binding.Close())
				} else {
					require.ErrorContains(t, err, test.want)
					assert.ErrorIs(t, err, ErrUnavailable)
					assertNoSecret(t, tlsPassword, err)
					assertNoSecret(t, string(other.Key), err)
				}
				assertNothingInTheClear(t, middle, false)
			})
		}
	}
}

// Without enableTLS a server that speaks TLS gets the password in the clear, as
// nothing else was asked for; what comes back says so.
func TestNoTLSToTLS(t *testing.T) {
	t.Parallel()
	srv, _ := redistest.StartTLS(t, "--tls-auth-clients", "no")
	_, err := NewRedisBinding(map[string]string{"redisHost": srv.Addr})
	assert.ErrorContains(t, err, "(if the server expects TLS, set enableTLS to true)")
}

// Each node of a cluster has to prove to be the host that it was announced as, and
// each primary and each sentinel that it was named by.
func TestTLSOtherServers(t *testing.T) {
	t.Parallel()
	certs := redistest.NewCertificates(t)
	at := func(names []string, ips ...net.IP) *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{
			certs.Issue(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = names, ips }),
		}}
	}
	byIP := net.IPv4(127, 0, 0, 1)
	const refused = "not valid for any names, but wanted to match localhost"

	t.Run("cluster", func(t *testing.T) {
		for host, want := range map[string]string{"127.0.0.1": "", "localhost": refused} {
			node, nodeAddr := redistest.StartFakeTLS(t, at(nil, byIP))
			seed, seedAddr := redistest.StartFakeTLS(t, at(nil, byIP))
			for _, fake := range []*server.Server{node, seed} {
				require.NoError(t, fake.Register("CLUSTER", func(c *server.Peer, _ string, _ []string) {
					_, port, _ := net.SplitHostPort(nodeAddr)
					var n int
					_, _ = fmt.Sscan(port, &n)
					c.WriteLen(1)
					c.WriteLen(3)
					c.WriteInt(0)
					c.WriteInt(16383)
					c.WriteLen(3)
					c.WriteBulk(host)
					c.WriteInt(n)
					c.WriteBulk(strings.Repeat("a", 40))
				}))
			}
			binding, err := NewRedisBinding(tlsFields(seedAddr, certs, "redisType", "cluster"))
			if want == "" {
				require.NoError(t, err)
				assert.Equal(t, "value", string(invoke(t, binding, request(GetOperation, "k")).Data))
				require.NoError(t, binding.Close())
				continue
			}
			require.ErrorContains(t, err, want)
			assert.ErrorContains(t, err, "(set serverName to a name in the server's certificate)")
			assert.Zero(t, node.TotalCommands())

			// serverName is for all of them.
			binding = newBinding(t, tlsFields(seedAddr, certs, "redisType", "cluster", "serverName", "127.0.0.1"))
			assert.Equal(t, "value", string(invoke(t, binding, request(GetOperation, "k")).Data))
		}
	})

	t.Run("sentinels", func(t *testing.T) {
		other := redistest.NewCertificates(t)
		stranger := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{other.Issue(t, func(*x509.Certificate) {})}}
		for name, test := range map[string]struct {
			sentinel, primary *tls.Config
			host, want        string
		}{
			"all well":                  {at(nil, byIP), at(nil, byIP), "127.0.0.1", ""},
			"a sentinel nobody knows":   {stranger, at(nil, byIP), "127.0.0.1", "signed by unknown authority"},
			"a primary nobody knows":    {at(nil, byIP), stranger, "127.0.0.1", "signed by unknown authority"},
			"a primary by another name": {at(nil, byIP), at(nil, byIP), "localhost", refused},
		} {
			t.Run(name, func(t *testing.T) {
				sentinel, sentinelAddr := redistest.StartFakeTLS(t, test.sentinel)
				primary, primaryAddr := redistest.StartFakeTLS(t, test.primary)
				require.NoError(t, sentinel.Register("SENTINEL", func(c *server.Peer, _ string, args []string) {
					if !strings.EqualFold(args[0], "get-master-addr-by-name") {
						c.WriteLen(0)
						return
					}
					_, port, _ := net.SplitHostPort(primaryAddr)
					c.WriteStrings([]string{test.host, port})
				}))
				binding, err := NewRedisBinding(tlsFields(sentinelAddr, certs, "failover", "true", "sentinelMasterName", "m",
					"sentinelPassword", tlsPassword))
				if test.want == "" {
					require.NoError(t, err)
					require.NoError(t, binding.Close())
					return
				}
				require.ErrorContains(t, err, test.want)
				assert.Zero(t, primary.TotalCommands())
				if test.sentinel == stranger {
					assert.Zero(t, sentinel.TotalCommands())
				}
				assertNoSecret(t, tlsPassword, err)
			})
		}
	})
}

func TestAdviceOnTLS(t *testing.T) {
	t.Parallel()
	entra := mustParse(t, map[string]string{"redisHost": "h:1", "enableTLS": "1", "useEntraID": "1"})
	unknown := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	assert.Contains(t, entra.advice(unknown, false), "set caCert")
	assert.Empty(t, entra.advice(errors.Join(ErrNoToken, unknown), false), "it is Entra ID whose certificate is refused")
	assert.Contains(t, entra.advice(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.TooManyIntermediates}}, true),
		"check the server's certificate, and caCert")
}
