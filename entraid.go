package redisbinding

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
)

// identity is whom to ask Microsoft Entra ID for tokens as: what the azure
// fields of the metadata say, put into azidentity's terms.
type identity struct {
	metadata *Metadata
	client   azcore.ClientOptions
	// privateCloud trusts the authority without asking Microsoft's about it.
	privateCloud bool

	// found is the source that has brought the first token where the metadata
	// names none: another one would be somebody else.
	found source
}

// source makes a credential.
type source func() (azcore.TokenCredential, error)

// clouds are the values of azureEnvironment. The public one is azidentity's
// default, which the environment variable AZURE_AUTHORITY_HOST may replace.
var clouds = map[string]cloud.Configuration{
	DefaultAzureEnvironment:  {},
	"AzureChinaCloud":        cloud.AzureChina,
	"AzureUSGovernmentCloud": cloud.AzureGovernment,
}

func newIdentity(m *Metadata) *identity {
	return &identity{metadata: m, client: azcore.ClientOptions{
		Cloud: clouds[m.AzureEnvironment],
		// A failed request is repeated by tokens, which knows how urgent it is.
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Transport: &http.Client{Transport: newAzureTransport()},
	}}
}

// linkLocalTimeout bounds connecting to an address that is on the link or not
// there at all, such as that of the managed identities of a virtual machine.
const linkLocalTimeout = time.Second

func newAzureTransport() *http.Transport {
	var dialer net.Dialer
	return &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if isLinkLocal(r.URL.Hostname()) {
				return nil, nil // of this machine's link no proxy knows
			}
			return http.ProxyFromEnvironment(r)
		},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(addr); isLinkLocal(host) {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, linkLocalTimeout)
				defer cancel()
			}
			return dialer.DialContext(ctx, network, addr)
		},
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12},
	}
}

func isLinkLocal(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLinkLocalUnicast()
}

// GetToken asks for a token. The credential is made anew each time: one that is
// kept answers with the old token until five minutes before its end (as managed
// identities do all the same, whose tokens are kept for the whole process), and
// does not see that a certificate file has been replaced. Not for more than one
// goroutine at a time.
func (i *identity) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if client, ok := i.client.Transport.(*http.Client); ok {
		defer client.CloseIdleConnections() // the next request is long after
	}
	credential, err := i.credential()
	if err != nil {
		return azcore.AccessToken{}, err
	}
	return credential.GetToken(ctx, options)
}

// credential is the one that the fields name, or what the surroundings offer.
func (i *identity) credential() (azcore.TokenCredential, error) {
	m := i.metadata
	switch {
	case m.AzureClientSecret != "":
		return azidentity.NewClientSecretCredential(m.AzureTenantID, m.AzureClientID, string(m.AzureClientSecret),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: i.client, DisableInstanceDiscovery: i.privateCloud})
	case m.AzureCertificate != "" || m.AzureCertificateFile != "":
		return i.certificateCredential()
	}
	if i.found != nil {
		return i.found()
	}
	return i.surroundings()
}

func (i *identity) certificateCredential() (azcore.TokenCredential, error) {
	certificates, key, err := i.metadata.certificate()
	if err != nil {
		return nil, fmt.Errorf("azureCertificateFile %w", err)
	}
	return azidentity.NewClientCertificateCredential(i.metadata.AzureTenantID, i.metadata.AzureClientID, certificates, key,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: i.client, DisableInstanceDiscovery: i.privateCloud})
}

// certificate returns the application's certificate, that of a file as it is
// now. The error does not show it.
func (m *Metadata) certificate() ([]*x509.Certificate, crypto.PrivateKey, error) {
	data := certificateBytes(string(m.AzureCertificate))
	if m.AzureCertificateFile != "" {
		var err error
		if data, err = os.ReadFile(m.AzureCertificateFile); err != nil {
			return nil, nil, fmt.Errorf("cannot be read: %w", err)
		}
	}
	certificates, key, err := azidentity.ParseCertificates(data, []byte(m.AzureCertificatePassword))
	switch {
	case err == nil:
		return certificates, key, nil
	case strings.Contains(err.Error(), "asn1"): // and some of the bytes
		err = errors.New("is neither")
	case strings.Contains(err.Error(), "unknown digest algorithm"):
		err = fmt.Errorf("%w (PKCS#12 by OpenSSL 3 needs its option -legacy)", err)
	}
	return nil, nil, fmt.Errorf("takes a certificate with its RSA key in PEM or PKCS#12: %w", err)
}

// certificateBytes is a certificate as text in bytes: PEM, or PKCS#12 in base64.
func certificateBytes(text string) []byte {
	pem := pemBytes(text)
	if data, err := base64.StdEncoding.DecodeString(string(pem)); err == nil {
		return data
	}
	return pem
}

// surroundings is what the place where the program runs offers, the first that
// is there. azidentity's own chain of this kind takes the client ID of a managed
// identity from an environment variable only.
func (i *identity) surroundings() (azcore.TokenCredential, error) {
	var chain []azcore.TokenCredential
	for _, from := range []source{i.environment, i.workloadIdentity, i.managedIdentity, i.azureCLI} {
		credential, err := from()
		if err != nil {
			credential = unavailable{err}
		}
		chain = append(chain, finding{credential, func() { i.found = from }})
	}
	return azidentity.NewChainedTokenCredential(chain, nil)
}

func (i *identity) environment() (azcore.TokenCredential, error) {
	credential, err := azidentity.NewEnvironmentCredential(&azidentity.EnvironmentCredentialOptions{
		ClientOptions: i.client, DisableInstanceDiscovery: i.privateCloud})
	return credential, named("EnvironmentCredential", err)
}

func (i *identity) workloadIdentity() (azcore.TokenCredential, error) {
	credential, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: i.client, DisableInstanceDiscovery: i.privateCloud,
		TenantID: i.metadata.AzureTenantID, ClientID: i.metadata.AzureClientID})
	return credential, named("WorkloadIdentityCredential", err)
}

func (i *identity) managedIdentity() (azcore.TokenCredential, error) {
	options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: i.client}
	if i.metadata.AzureClientID != "" {
		options.ID = azidentity.ClientID(i.metadata.AzureClientID)
	}
	credential, err := azidentity.NewManagedIdentityCredential(options)
	return whereAnswered{credential}, named("ManagedIdentityCredential", err)
}

func (i *identity) azureCLI() (azcore.TokenCredential, error) {
	credential, err := azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: i.metadata.AzureTenantID})
	return credential, named("AzureCLICredential", err)
}

// named says whose error it is.
func named(credential string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", credential, err)
}

// finding tells when its credential has brought a token.
type finding struct {
	credential azcore.TokenCredential
	found      func()
}

func (f finding) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := f.credential.GetToken(ctx, options)
	if err == nil {
		f.found()
	}
	return token, err
}

// unavailable stands for a source that is not there, and lets a chain go on.
type unavailable struct{ why error }

func (u unavailable) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, azidentity.NewCredentialUnavailableError(u.why.Error())
}

// whereAnswered lets a chain go on where nothing answers for managed
// identities: by itself the credential takes that for a failure of one.
type whereAnswered struct {
	credential *azidentity.ManagedIdentityCredential
}

func (w whereAnswered) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := w.credential.GetToken(ctx, options)
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse == nil {
		err = azidentity.NewCredentialUnavailableError(err.Error())
	}
	return token, err
}

// objectIDOf returns the object ID of whom the token is for, which is the name
// of the user in Redis. The token is not verified: that is the server's part.
func objectIDOf(token string) (string, error) {
	var claims jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		return "", errors.New("the token is not a JWT: set azureObjectID to the object ID of the identity")
	}
	if id, _ := claims["oid"].(string); id != "" {
		return id, nil
	}
	return "", errors.New("the token has no claim oid: set azureObjectID to the object ID of the identity")
}
