// Package entratest is a stand-in for Microsoft Entra ID on the loopback
// interface. It speaks the protocols that the azidentity library speaks: the
// OAuth 2.0 client credentials grant with a client secret, a certificate or a
// federated token, and the managed identity endpoint of App Service. What it
// hands out are signed JWTs with a lifetime of the caller's choice.
//
// A client needs three settings to use it: [Authority.Host] as the authority
// host, [Authority.HTTPClient] (or [Authority.CAPEM]) so that it trusts the
// certificate, and DisableInstanceDiscovery, without which azidentity asks
// login.microsoftonline.com whether the host is genuine.
//
// azidentity keeps a token for later calls unless it ends within five minutes:
// with a shorter lifetime every GetToken is a request. The tokens of managed
// identities are kept for the whole process, by client ID and resource only,
// so another Authority's token may come back where lifetimes are longer.
package entratest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// DefaultScope is the scope of Azure Managed Redis and Azure Cache for Redis.
	DefaultScope = "https://redis.azure.com/.default"

	// DefaultLifetime is how long tokens live when Config does not say.
	DefaultLifetime = time.Hour
)

// scopeSuffix is what the scopes of the client credentials grant end in.
const scopeSuffix = "/.default"

// Config says who may have tokens, and of what kind. A credential that is not
// set is not accepted.
type Config struct {
	// TenantID is the directory of the tokens, and the only one that there is. Required.
	TenantID string

	// ClientID is the application that may have tokens, and also the client ID
	// of the managed identity when it is asked for as a user-assigned one.
	// Required with any of the next three.
	ClientID string

	// ClientSecret is the application's secret.
	ClientSecret string

	// FederatedToken is the assertion that a workload identity presents: the
	// content of its token file, byte for byte.
	FederatedToken string

	// Certificate belongs to the RSA key that the application signs its own
	// assertions with.
	Certificate *x509.Certificate

	// ObjectID is the oid claim of tokens. Required.
	ObjectID string

	// Scope is the only one that tokens can be requested for, by default
	// DefaultScope. It ends in "/.default"; what comes before is the aud claim,
	// and the resource that managed identities name.
	Scope string

	// Lifetime is how long each token lives, by default DefaultLifetime; see
	// SetLifetime.
	Lifetime time.Duration

	// Issue, when set, is called with each token just before it is handed out,
	// possibly by several goroutines at once. An error makes the request fail
	// with status 500; the client is told its text, which must therefore not
	// contain the token.
	Issue func(token string, expires time.Time) error
}

// Authority is a running stand-in. Its methods may be called from several
// goroutines.
type Authority struct {
	config   Config
	resource string // the scope without its suffix
	key      *rsa.PrivateKey
	caPEM    []byte
	roots    *x509.CertPool
	client   *http.Client

	entra    *server
	identity *server
	header   string // the secret of the managed identity endpoint
	stop     context.CancelFunc

	mu        sync.Mutex
	lifetime  time.Duration
	edit      func(jwt.MapClaims)
	opaque    bool
	down      bool
	release   chan struct{} // closed to let hanging requests go on; nil when requests do not hang
	waiting   int
	requests  int
	clientIDs []string
	tokens    []Token
}

// Start starts a stand-in with new certificates and a new secret for the
// managed identity endpoint, on two free ports of 127.0.0.1: one with TLS for
// Entra, one without for managed identities. The caller has to Close it.
func Start(config Config) (*Authority, error) {
	if config.Scope == "" {
		config.Scope = DefaultScope
	}
	if config.Lifetime == 0 {
		config.Lifetime = DefaultLifetime
	}
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("entratest: %w", err)
	}
	a := &Authority{
		config:   config,
		resource: strings.TrimSuffix(config.Scope, scopeSuffix),
		header:   rand.Text(),
		lifetime: config.Lifetime,
	}
	if err := a.start(); err != nil {
		a.Close()
		return nil, fmt.Errorf("entratest: %w", err)
	}
	return a, nil
}

func (c *Config) validate() error {
	switch {
	case c.TenantID == "":
		return errors.New("no tenant ID")
	case c.ObjectID == "":
		return errors.New("no object ID")
	case c.ClientID == "" && (c.ClientSecret != "" || c.FederatedToken != "" || c.Certificate != nil):
		return errors.New("a credential without a client ID")
	case !strings.HasSuffix(c.Scope, scopeSuffix):
		return fmt.Errorf("the scope %q does not end in %s", c.Scope, scopeSuffix)
	}
	if c.Certificate != nil {
		if _, ok := c.Certificate.PublicKey.(*rsa.PublicKey); !ok {
			return fmt.Errorf("the certificate has a %s key and not an RSA one", c.Certificate.PublicKeyAlgorithm)
		}
	}
	return nil
}

func (a *Authority) start() error {
	key, err := signingKey()
	if err != nil {
		return fmt.Errorf("making the signing key: %w", err)
	}
	certs, err := newCertificates()
	if err != nil {
		return fmt.Errorf("making certificates: %w", err)
	}
	a.key, a.caPEM, a.roots, a.client = key, certs.caPEM, certs.roots, newClient(certs.roots)

	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	if a.entra, err = listen(ctx, a.entraHandler(), certs.server); err != nil {
		return err
	}
	if a.identity, err = listen(ctx, a.identityHandler(), nil); err != nil {
		return err
	}
	// Only now: the handlers need the addresses.
	a.entra.serve()
	a.identity.serve()
	return nil
}

// Close closes all connections, lets hanging requests fail, and returns when
// all goroutines have ended; it waits for Config.Issue. It may be called again.
func (a *Authority) Close() {
	if a.entra != nil {
		a.entra.close()
	}
	if a.identity != nil {
		a.identity.close()
	}
	if a.stop != nil {
		// Only now that connections are closed: what hangs must not be answered.
		a.stop()
	}
	if a.entra != nil {
		a.entra.wait()
	}
	if a.identity != nil {
		a.identity.wait()
	}
	if a.client != nil {
		a.client.CloseIdleConnections()
	}
}

// Host returns the URL of Entra, as in "https://127.0.0.1:8443/", for
// cloud.Configuration.ActiveDirectoryAuthorityHost or AZURE_AUTHORITY_HOST.
func (a *Authority) Host() string { return "https://" + a.entra.addr + "/" }

// CA returns a pool with the certificate that signed the one of Host.
func (a *Authority) CA() *x509.CertPool { return a.roots.Clone() }

// CAPEM returns the certificate of CA as PEM text.
func (a *Authority) CAPEM() []byte { return append([]byte(nil), a.caPEM...) }

// HTTPClient returns a client that trusts Host, and nothing else, for
// azcore.ClientOptions.Transport. It is the same one each time; Close closes
// its idle connections.
func (a *Authority) HTTPClient() *http.Client { return a.client }

// PublicKey returns the key that verifies the tokens' signatures, which are
// RS256. All stand-ins of a process have the same one.
func (a *Authority) PublicKey() *rsa.PublicKey { return &a.key.PublicKey }

// ManagedIdentity returns the values of IDENTITY_ENDPOINT and IDENTITY_HEADER
// that make azidentity take this for the endpoint of App Service, with
// api-version 2019-08-01.
func (a *Authority) ManagedIdentity() (endpoint, header string) {
	return "http://" + a.identity.addr + identityPath, a.header
}
