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
}

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
// kept answers with the old token until five minutes before its end, and does
// not see that a certificate file has been replaced.
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
	}
	return nil, nil, fmt.Errorf("takes a certificate with its RSA key in PEM or PKCS#12: %w", err)
}

// certificateBytes is a certificate as text in bytes: PEM, or PKCS#12 in base64.
func certificateBytes(text string) []byte {
	if data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
		return data
	}
	return pemBytes(text)
}

// surroundings is what the place where the program runs offers, the first that
// is there. azidentity's own chain of this kind takes the client ID of a managed
// identity from an environment variable only.
func (i *identity) surroundings() (azcore.TokenCredential, error) {
	m := i.metadata
	var sources []azcore.TokenCredential
	add := func(name string, credential azcore.TokenCredential, err error) {
		if err != nil {
			credential = unavailable{fmt.Errorf("%s: %w", name, err)}
		}
		sources = append(sources, credential)
	}
	environment, err := azidentity.NewEnvironmentCredential(&azidentity.EnvironmentCredentialOptions{
		ClientOptions: i.client, DisableInstanceDiscovery: i.privateCloud})
	add("EnvironmentCredential", environment, err)
	workload, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: i.client, DisableInstanceDiscovery: i.privateCloud,
		TenantID: m.AzureTenantID, ClientID: m.AzureClientID})
	add("WorkloadIdentityCredential", workload, err)
	managed := azidentity.ManagedIdentityCredentialOptions{ClientOptions: i.client}
	if m.AzureClientID != "" {
		managed.ID = azidentity.ClientID(m.AzureClientID)
	}
	managedIdentity, err := azidentity.NewManagedIdentityCredential(&managed)
	add("ManagedIdentityCredential", whereAnswered{managedIdentity}, err)
	cli, err := azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: m.AzureTenantID})
	add("AzureCLICredential", cli, err)
	return azidentity.NewChainedTokenCredential(sources, nil)
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
