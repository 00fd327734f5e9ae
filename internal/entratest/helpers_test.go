package entratest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testTenant    = "8b3e1a0c-1d1a-4b6e-9f5a-2d2c7f0f3a11"
	testClient    = "4c0e2f4e-9f0d-4a57-a0c5-0b8a7f3c6d22"
	testObject    = "f1d2d2f9-24e9-48a6-8f0e-6b1a5c9e7d33"
	testSecret    = "correct~secret"
	testFederated = "header.payload.signature"

	// Tokens as short as this are not kept by MSAL.
	testLifetime = 4 * time.Minute

	testTimeout = 10 * time.Second
)

// applicationKey is the key of the application's certificate.
var applicationKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func start(t *testing.T, edit func(*Config)) *Authority {
	t.Helper()
	config := Config{
		TenantID:       testTenant,
		ClientID:       testClient,
		ClientSecret:   testSecret,
		FederatedToken: testFederated,
		ObjectID:       testObject,
		Lifetime:       testLifetime,
	}
	if edit != nil {
		edit(&config)
	}
	a, err := Start(config)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	return a
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

func (a *Authority) options() azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: a.HTTPClient(),
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: a.Host()},
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}
}

func secretCredential(t *testing.T, a *Authority, tenant, client, secret string) azcore.TokenCredential {
	t.Helper()
	cred, err := azidentity.NewClientSecretCredential(tenant, client, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions:            a.options(),
		DisableInstanceDiscovery: true,
	})
	require.NoError(t, err)
	return cred
}

func rightSecret(t *testing.T, a *Authority) azcore.TokenCredential {
	t.Helper()
	return secretCredential(t, a, testTenant, testClient, testSecret)
}

func certificateCredential(t *testing.T, a *Authority, cert *x509.Certificate, key *rsa.PrivateKey) azcore.TokenCredential {
	t.Helper()
	cred, err := azidentity.NewClientCertificateCredential(testTenant, testClient, []*x509.Certificate{cert}, key,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: a.options(), DisableInstanceDiscovery: true})
	require.NoError(t, err)
	return cred
}

func workloadCredential(t *testing.T, a *Authority, assertion string) azcore.TokenCredential {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(assertion), 0o600))
	cred, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions:            a.options(),
		DisableInstanceDiscovery: true,
		TenantID:                 testTenant,
		ClientID:                 testClient,
		TokenFilePath:            file,
	})
	require.NoError(t, err)
	return cred
}

func identityCredential(t *testing.T, a *Authority, id azidentity.ManagedIDKind) azcore.TokenCredential {
	t.Helper()
	endpoint, header := a.ManagedIdentity()
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	cred, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
		ClientOptions: a.options(),
		ID:            id,
	})
	require.NoError(t, err)
	return cred
}

func newCertificate(t *testing.T, notAfter time.Time) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := applicationKey()
	require.NoError(t, err)
	return signCertificate(t, key, notAfter), key
}

func signCertificate(t *testing.T, key *rsa.PrivateKey, notAfter time.Time) *x509.Certificate {
	t.Helper()
	template, err := newTemplate("application")
	require.NoError(t, err)
	template.NotAfter = notAfter
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

func getToken(t *testing.T, cred azcore.TokenCredential, scope string) (azcore.AccessToken, error) {
	t.Helper()
	return cred.GetToken(testContext(t), policy.TokenRequestOptions{Scopes: []string{scope}})
}

// waitFor waits until the condition holds.
func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, testTimeout, time.Millisecond)
}
