package redisbinding

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/golang-jwt/jwt/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/entratest"
	"github.com/redisbinding/redisbinding/internal/redact"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

// newAzureCertificate returns a certificate with its key in PEM as an
// application has it, and what Entra ID has of it.
func newAzureCertificate(t testing.TB) (application string, registered *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(cryptorand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "an application"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	certificate, err := x509.CreateCertificate(cryptorand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	registered, err = x509.ParseCertificate(certificate)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})), registered
}

// azure is a stand-in for Entra ID, and a Redis that knows its tokens.
type azure struct {
	*entratest.Authority
	redis *redistest.Entra
}

const (
	azureTenant = "0f0e0d0c-0b0a-4908-8706-050403020100"
	azureClient = "10111213-1415-4617-9819-1a1b1c1d1e1f"
	azureSecret = "hunter2~client-secret"
)

// startAzure starts both. Tokens are known to Redis from just before they are
// handed out until they expire.
func startAzure(t testing.TB, redis *redistest.Entra, lifetime time.Duration, change ...func(*entratest.Config)) *azure {
	t.Helper()
	a := &azure{redis: redis}
	config := entratest.Config{
		TenantID: azureTenant, ClientID: azureClient, ClientSecret: azureSecret, ObjectID: testObjectID, Lifetime: lifetime,
		Issue: func(token string, expires time.Time) error {
			expiry := time.AfterFunc(time.Until(expires), func() { assert.NoError(t, redis.RemoveToken(token)) })
			t.Cleanup(func() { expiry.Stop() })
			return redis.AddToken(token)
		},
	}
	for _, f := range change {
		f(&config)
	}
	var err error
	a.Authority, err = entratest.Start(config)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	return a
}

// reach makes a binding ask this authority.
func (a *azure) reach() Option {
	return func(o *options) {
		o.identity = func(i *identity) {
			i.client.Cloud.ActiveDirectoryAuthorityHost = a.Host()
			transport := newAzureTransport()
			transport.TLSClientConfig.RootCAs = a.CA()
			i.client.Transport = &http.Client{Transport: transport}
			i.privateCloud = true
		}
	}
}

// fields is the metadata of the application with its secret.
func (a *azure) fields(overrides ...string) map[string]string {
	return a.redis.Fields(append([]string{"useEntraID", "true",
		"azureTenantID", azureTenant, "azureClientID", azureClient, "azureClientSecret", azureSecret}, overrides...)...)
}

// binding returns a binding that is closed at the end of the test.
func (a *azure) binding(t *testing.T, overrides ...string) *RedisBinding {
	t.Helper()
	return newBinding(t, a.fields(overrides...), a.reach())
}

// entraKinds are the servers that a token has to reach every connection of.
var entraKinds = map[string]func(testing.TB, string) *redistest.Entra{
	"node":    redistest.StartEntra,
	"cluster": redistest.StartEntraCluster,
}

func TestEntraIDWhileTokensComeAndGo(t *testing.T) {
	t.Parallel()
	// On a busy machine every connection needs time to authenticate with the next token
	// before this one expires.
	const callers, tokens, lifetime = 64, 2, 30 * time.Second
	for kind, start := range entraKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			a := startAzure(t, start(t, testObjectID), lifetime)
			binding := a.binding(t, "poolSize", "32", "minIdleConns", "4", "idleTimeout", "-1")

			ctx, cancel := context.WithCancel(t.Context())
			var (
				calling sync.WaitGroup
				calls   atomic.Int64
				failed  atomic.Pointer[error]
			)
			for caller := range callers {
				calling.Go(func() {
					for call := 0; ctx.Err() == nil; call++ {
						key := fmt.Sprintf("entra:%d:%d", caller, call%7)
						for _, req := range []*InvokeRequest{create(key, "1"), request(IncrementOperation, key), request(GetOperation, key)} {
							if _, err := binding.Invoke(context.Background(), req); err != nil {
								failed.CompareAndSwap(nil, &err)
								cancel()
							}
							calls.Add(1)
							time.Sleep(rand.N(500 * time.Millisecond))
						}
					}
				})
			}
			require.Eventually(t, func() bool { return len(a.Tokens()) > tokens || ctx.Err() != nil }, time.Minute, 10*time.Millisecond)
			cancel()
			calling.Wait()
			if err := failed.Load(); err != nil {
				t.Fatal(*err)
			}
			assert.Zero(t, a.redis.Cut(), "every connection authenticated again in time")
			assert.Empty(t, a.redis.ACLLog(t))
			t.Logf("%d calls, authentications by token: %v", calls.Load(), slices.Sorted(maps.Values(a.redis.Authentications())))
		})
	}
}

// Connections that nobody uses hear of a new token as well: none is left to the
// server to cut.
func TestEntraIDWithIdleConnections(t *testing.T) {
	t.Parallel()
	for kind, start := range entraKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			a := startAzure(t, start(t, testObjectID), 20*time.Second)
			binding := a.binding(t, "poolSize", "8", "poolTimeout", "1m", "idleTimeout", "-1")
			busy := func() {
				var calling sync.WaitGroup
				for i := range 50 {
					calling.Go(func() { invoke(t, binding, request(GetOperation, fmt.Sprint("entra:idle:", i))) })
				}
				calling.Wait()
			}
			busy()
			require.Greater(t, a.redis.Connections(), 1)
			for range 2 {
				tokens := len(a.Tokens())
				require.Eventually(t, func() bool { return len(a.Tokens()) > tokens+1 }, time.Minute, 10*time.Millisecond)
				busy()
			}
			assert.Zero(t, a.redis.Cut())
			assert.Empty(t, a.redis.ACLLog(t))
		})
	}
}

// What each identity is, and whether it is asked for as such.
func TestEntraIDIdentities(t *testing.T) {
	certificate, registered := newAzureCertificate(t)
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
		return path
	}
	certificateFile := write("application.pem", certificate, 0o600)
	federatedToken := write("token", "a federated token", 0o600)
	const none = "" // removes a field

	a := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute, func(c *entratest.Config) {
		c.Certificate, c.FederatedToken = registered, "a federated token"
	})
	endpoint, header := a.ManagedIdentity()
	environment := map[string]string{"AZURE_TENANT_ID": azureTenant, "AZURE_CLIENT_ID": azureClient, "AZURE_CLIENT_SECRET": azureSecret}
	workload := map[string]string{"AZURE_TENANT_ID": azureTenant, "AZURE_CLIENT_ID": azureClient, "AZURE_FEDERATED_TOKEN_FILE": federatedToken}
	managed := map[string]string{"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": header}
	surroundings := []string{"azureTenantID", none, "azureClientID", none, "azureClientSecret", none}
	all := map[string]string{}
	for _, variables := range []map[string]string{workload, managed, environment} {
		maps.Copy(all, variables)
	}
	tests := map[string]struct {
		fields    []string
		variables map[string]string
		via       string
		clientID  string // of a managed identity
	}{
		"secret":              {nil, nil, entratest.ViaClientSecret, ""},
		"secret before all":   {nil, map[string]string{"AZURE_CLIENT_SECRET": "wrong", "AZURE_CLIENT_ID": "wrong", "AZURE_TENANT_ID": "wrong"}, entratest.ViaClientSecret, ""},
		"certificate":         {[]string{"azureClientSecret", none, "azureCertificate", certificate}, nil, entratest.ViaCertificate, ""},
		"certificate file":    {[]string{"azureClientSecret", none, "azureCertificateFile", certificateFile}, nil, entratest.ViaCertificate, ""},
		"environment":         {surroundings, environment, entratest.ViaClientSecret, ""},
		"environment first":   {surroundings, all, entratest.ViaClientSecret, ""},
		"workload identity":   {surroundings, workload, entratest.ViaWorkload, ""},
		"workload, own names": {[]string{"azureClientSecret", none}, map[string]string{"AZURE_FEDERATED_TOKEN_FILE": federatedToken}, entratest.ViaWorkload, ""},
		"workload second": {surroundings, map[string]string{"AZURE_TENANT_ID": azureTenant, "AZURE_CLIENT_ID": azureClient,
			"AZURE_FEDERATED_TOKEN_FILE": federatedToken, "IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": header}, entratest.ViaWorkload, ""},
		"system-assigned": {surroundings, managed, entratest.ViaManagedIdentity, ""},
		"user-assigned":   {[]string{"azureClientSecret", none, "azureTenantID", none}, managed, entratest.ViaManagedIdentity, azureClient},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clearAzureVariables(t)
			for variable, value := range test.variables {
				t.Setenv(variable, value)
			}
			binding := a.binding(t, test.fields...)
			key := strings.ReplaceAll(t.Name(), "/", ":")
			invoke(t, binding, create(key, "value"))
			assert.Equal(t, "value", string(invoke(t, binding, request(GetOperation, key)).Data))

			tokens := a.Tokens()
			assert.Equal(t, test.via, tokens[len(tokens)-1].Via)
			if test.via == entratest.ViaManagedIdentity {
				asked := a.ManagedIdentityClientIDs()
				assert.Equal(t, test.clientID, asked[len(asked)-1])
			}
			assert.Empty(t, a.redis.ACLLog(t))
		})
	}

	t.Run("Azure CLI", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("az is a batch file there")
		}
		clearAzureVariables(t)
		// Nothing answers for managed identities, so that the CLI has its turn.
		t.Setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/")
		t.Setenv("IDENTITY_HEADER", "header")
		token := newJWT(t, jwt.MapClaims{"oid": testObjectID, "jti": "cli"})
		require.NoError(t, a.redis.AddToken(token))
		answer := write("answer.json", fmt.Sprintf(`{"accessToken": %q, "expires_on": %d}`, token, time.Now().Add(time.Minute).Unix()), 0o600)
		arguments := filepath.Join(dir, "arguments")
		write("az", "#!/bin/sh\necho \"$@\" > "+arguments+"\ncat "+answer+"\n", 0o700)
		t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		binding := a.binding(t, surroundings...)
		invoke(t, binding, create("entra:cli", "value"))
		asked, err := os.ReadFile(arguments)
		require.NoError(t, err)
		assert.Contains(t, string(asked), "--resource "+strings.TrimSuffix(DefaultAzureRedisScope, "/.default"))
	})

	t.Run("no identity", func(t *testing.T) {
		clearAzureVariables(t)
		t.Setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/")
		t.Setenv("IDENTITY_HEADER", "header")
		t.Setenv("PATH", dir+"/nowhere")
		_, err := NewRedisBinding(a.fields(surroundings...), a.reach())
		for _, source := range []string{"EnvironmentCredential", "WorkloadIdentityCredential", "ManagedIdentityCredential", "AzureCLICredential"} {
			assert.ErrorContains(t, err, source)
		}
		assert.NotContains(t, err.Error(), "\n")
	})
}

// Whoever has answered first is who we are: a managed identity that does not
// answer for a while does not make us the one who has logged in to the CLI.
func TestEntraIDDoesNotChange(t *testing.T) {
	clearAzureVariables(t)
	a := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute)
	dir := t.TempDir()
	az := "#!/bin/sh\necho '{\"accessToken\": \"a.b.c\", \"expires_on\": 4000000000}'\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "az"), []byte(az), 0o700))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	endpoint, header := a.ManagedIdentity()
	t.Setenv("IDENTITY_HEADER", header)
	m, err := ParseMetadata(entraFields())
	require.NoError(t, err)
	scope := policy.TokenRequestOptions{Scopes: []string{DefaultAzureRedisScope}}

	who := newIdentity(m)
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	token, err := who.GetToken(t.Context(), scope)
	require.NoError(t, err)
	t.Setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/")
	_, err = who.GetToken(t.Context(), scope)
	require.ErrorContains(t, err, "127.0.0.1:1")
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	next, err := who.GetToken(t.Context(), scope)
	require.NoError(t, err)
	assert.NotEqual(t, token.Token, next.Token)

	t.Setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/")
	token, err = newIdentity(m).GetToken(t.Context(), scope)
	require.NoError(t, err)
	assert.Equal(t, "a.b.c", token.Token, "who has not found anybody yet asks the CLI")
}

// clearAzureVariables hides what the machine has to do with Azure.
func clearAzureVariables(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		for _, prefix := range []string{"AZURE_", "IDENTITY_", "MSI_", "IMDS_"} {
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, value) // so that it comes back
				require.NoError(t, os.Unsetenv(name))
			}
		}
	}
}

func TestFieldAzureEnvironment(t *testing.T) {
	t.Parallel()
	for environment, host := range map[string]string{
		"AzurePublicCloud":       "", // azidentity's default
		"AzureChinaCloud":        "https://login.chinacloudapi.cn/",
		"AzureUSGovernmentCloud": "https://login.microsoftonline.us/",
	} {
		m, err := ParseMetadata(entraFields("azureEnvironment", environment))
		require.NoError(t, err)
		assert.Equal(t, host, newIdentity(m).client.Cloud.ActiveDirectoryAuthorityHost)
	}
}

// A managed identity is asked on the machine's own link, where no proxy leads.
func TestEntraIDOnTheLink(t *testing.T) {
	t.Parallel()
	for address, direct := range map[string]bool{
		"http://169.254.169.254/metadata/identity/oauth2/token": true,
		"http://[fe80::1]:80/":               true,
		"https://login.microsoftonline.com/": false,
		"https://10.0.0.1:8443/":             false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		require.NoError(t, err)
		assert.Equal(t, direct, isLinkLocal(r.URL.Hostname()), address)
		if direct {
			proxy, err := newAzureTransport().Proxy(r)
			assert.NoError(t, err)
			assert.Nil(t, proxy)
		}
	}
}

// A certificate that is replaced on disk is used with the next token.
func TestEntraIDCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	old, _ := newAzureCertificate(t)
	renewed, accepted := newAzureCertificate(t)
	file := filepath.Join(t.TempDir(), "application.pem")
	require.NoError(t, os.WriteFile(file, []byte(old), 0o600))

	a := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute, func(c *entratest.Config) { c.Certificate = accepted })
	var log lockedBuffer
	binding := newBinding(t, a.fields("azureClientSecret", "", "azureCertificateFile", file),
		a.reach(), WithLazyConnect(), WithLogger(testLogger(&log)))
	_, err := binding.Invoke(t.Context(), request(GetOperation, "entra:certificate"))
	require.ErrorContains(t, err, "no Entra ID token: ClientCertificateCredential authentication failed")
	require.NoError(t, os.Remove(file))
	require.Eventually(t, func() bool {
		_, err = binding.Invoke(t.Context(), request(GetOperation, "entra:certificate"))
		return err != nil && strings.Contains(err.Error(), "azureCertificateFile cannot be read")
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, os.WriteFile(file, []byte(renewed), 0o600))
	require.Eventually(t, func() bool {
		_, err = binding.Invoke(t.Context(), request(GetOperation, "entra:certificate"))
		return err == nil
	}, time.Minute, 10*time.Millisecond)
}

// The authority is down for several lifetimes of a token.
func TestEntraIDAuthorityDown(t *testing.T) {
	t.Parallel()
	for kind, start := range entraKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			a := startAzure(t, start(t, testObjectID), 2*time.Second)
			var log lockedBuffer
			binding := newBinding(t, a.fields(), a.reach(), WithLogger(testLogger(&log)))
			get := request(GetOperation, "entra:down")
			invoke(t, binding, get)

			a.SetDown(true)
			// One that was asked for before may still come.
			expiry := func() time.Time { return binding.client.tokens.current.Load().expires }
			for {
				expires := expiry()
				ping := binding.Ping(t.Context())
				_, err := binding.Invoke(t.Context(), get)
				if time.Until(expires) < 200*time.Millisecond { // the server may be early
					break
				}
				require.NoError(t, errors.Join(ping, err))
				time.Sleep(10 * time.Millisecond)
			}
			require.Eventually(t, func() bool {
				_, err := binding.Invoke(t.Context(), get)
				return err != nil && binding.Ping(t.Context()) != nil
			}, time.Minute, 10*time.Millisecond)
			expires, refused := expiry(), a.redis.ACLLog(t) // the server's clock may be ahead
			for down := time.Now(); time.Since(down) < 3*2*time.Second; time.Sleep(50 * time.Millisecond) {
				for _, err := range []error{binding.Ping(t.Context()), func() error { _, err := binding.Invoke(t.Context(), get); return err }()} {
					require.ErrorContains(t, err, "the Entra ID token expired at "+expires.UTC().Format(time.RFC3339)+
						" and could not be renewed: ClientSecretCredential authentication failed")
					require.ErrorContains(t, err, "RESPONSE 503")
					var failed *azidentity.AuthenticationFailedError
					require.ErrorAs(t, err, &failed)
				}
			}
			assert.Contains(t, log.String(), "no new Entra ID token")
			assert.Equal(t, refused, a.redis.ACLLog(t), "no server is asked with a token that has expired")

			a.SetDown(false)
			back := time.Now()
			require.Eventually(t, func() bool {
				_, err := binding.Invoke(t.Context(), get)
				return err == nil
			}, time.Minute, time.Millisecond)
			t.Log("healed after", time.Since(back))
			require.NoError(t, binding.Ping(t.Context()))
			assertNoSecret(t, azureSecret, log.String())
			for _, token := range a.Tokens() {
				assert.NotContains(t, log.String(), token.Value)
			}
		})
	}
}

// Where the server takes no notice of the expiry, calls go on; Ping tells.
func TestEntraIDPingTellsOfExpiry(t *testing.T) {
	t.Parallel()
	redis := redistest.StartEntra(t, testObjectID)
	a := startAzure(t, redis, 2*time.Second, func(c *entratest.Config) {
		c.Issue = func(token string, _ time.Time) error { return redis.AddToken(token) }
	})
	binding := a.binding(t)
	a.SetDown(true)
	require.Eventually(t, func() bool { return errors.Is(binding.Ping(t.Context()), ErrNoToken) }, time.Minute, time.Millisecond)
	invoke(t, binding, create("entra:expired", "value"))
	a.SetDown(false)
	require.Eventually(t, func() bool { return binding.Ping(t.Context()) == nil }, time.Minute, time.Millisecond)
}

func TestEntraIDStart(t *testing.T) {
	t.Parallel()
	a := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute)
	unknown := startAzure(t, redistest.StartEntra(t, "another-user"), time.Minute)
	noOID := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute)
	noOID.SetClaims(func(claims jwt.MapClaims) { delete(claims, "oid") })
	opaque := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute)
	opaque.SetOpaque(true)
	hanging := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute)
	hanging.SetHanging(true)

	tests := map[string]struct {
		azure  *azure
		fields []string
		want   string
	}{
		"wrong secret": {a, []string{"azureClientSecret", "hunter2~wrong"}, "AADSTS7000215"},
		"wrong tenant": {a, []string{"azureTenantID", "ffffffff-ffff-4fff-8fff-ffffffffffff"}, "no Entra ID token: "},
		"bad tenant":   {a, []string{"azureTenantID", "no/tenant"}, "no Entra ID token: "},
		"wrong scope":  {a, []string{"azureRedisScope", "https://redis.example/.default"}, "AADSTS"},
		"unknown user": {unknown, nil, "WRONGPASS invalid username-password pair or user is disabled.: user " + testObjectID +
			" (give the identity access to the cache"},
		"object ID": {a, []string{"azureObjectID", "somebody"}, "user somebody (give the identity access to the cache"},
		"no oid":    {noOID, nil, "no Entra ID token: the token has no claim oid: set azureObjectID"},
		"no JWT":    {opaque, nil, "no Entra ID token: the token is not a JWT: set azureObjectID"},
		"no answer": {hanging, []string{"dialTimeout", "100ms"},
			"no Entra ID token: the authority: no answer within dialTimeout (100ms) (raise dialTimeout if it takes longer)"},
		"no such file": {a, []string{"azureClientSecret", "", "azureCertificateFile", "/no/such/file"},
			"no Entra ID token: azureCertificateFile cannot be read: open /no/such/file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var log lockedBuffer
			_, err := NewRedisBinding(test.azure.fields(test.fields...), test.azure.reach(), WithLogger(testLogger(&log)))
			require.ErrorContains(t, err, "redisbinding: connect to 127.0.0.1:")
			require.ErrorContains(t, err, test.want)
			assertNoSecret(t, "hunter2", err)
			for _, token := range test.azure.Tokens() {
				assertNoSecret(t, token.Value, err)
				assert.NotContains(t, log.String(), token.Value)
			}
		})
	}

	for name, at := range map[string]*azure{"no oid": noOID, "no JWT": opaque} {
		t.Run("azureObjectID with "+name, func(t *testing.T) {
			invoke(t, at.binding(t, "azureObjectID", testObjectID), create("entra:objectid", "value"))
		})
	}
}

func TestEntraIDNeedsItsField(t *testing.T) {
	t.Parallel()
	_, err := NewRedisBinding(map[string]string{"redisHost": "h:1"}, WithTokenCredential(&fakeCredential{t: t}))
	require.EqualError(t, err, "redisbinding: metadata field useEntraID: must be true when a token credential is given")
}

func TestEntraIDWithTokenCredential(t *testing.T) {
	t.Parallel()
	a := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute)
	credential, err := azidentity.NewClientSecretCredential(azureTenant, azureClient, azureSecret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions:            azcore.ClientOptions{Transport: a.HTTPClient(), Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: a.Host()}},
		DisableInstanceDiscovery: true,
	})
	require.NoError(t, err)
	binding := newBinding(t, a.fields("azureClientSecret", "hunter2~wrong"), WithTokenCredential(credential))
	invoke(t, binding, create("entra:credential", "value"))
}

// The start does not wait for the authority, and the first call heals by itself.
func TestEntraIDLazyConnect(t *testing.T) {
	t.Parallel()
	a := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute)
	a.SetDown(true)
	binding := newBinding(t, a.fields("minIdleConns", "2"), a.reach(), WithLazyConnect())
	_, err := binding.Invoke(t.Context(), request(GetOperation, "entra:lazy"))
	require.ErrorContains(t, err, "redisbinding: get: no Entra ID token: ")
	require.ErrorContains(t, binding.Ping(t.Context()), "redisbinding: ping: no Entra ID token: ")
	a.SetDown(false)
	require.Eventually(t, func() bool { return binding.Ping(t.Context()) == nil }, time.Minute, time.Millisecond)
	invoke(t, binding, request(GetOperation, "entra:lazy"))
}

func TestEntraIDCloseDuringRefresh(t *testing.T) {
	t.Parallel()
	a := startAzure(t, redistest.StartEntra(t, testObjectID), 2*time.Second)
	for name, opts := range map[string][]Option{"the first": {a.reach(), WithLazyConnect()}, "a later one": {a.reach()}} {
		t.Run(name, func(t *testing.T) {
			a.SetHanging(len(opts) > 1)
			binding, err := NewRedisBinding(a.fields("minIdleConns", "2", "dialTimeout", "1m"), opts...)
			require.NoError(t, err)
			a.SetHanging(true)
			require.Eventually(t, func() bool { return a.Waiting() > 0 }, time.Minute, time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var waiting sync.WaitGroup
			waiting.Go(func() { _ = binding.Ping(ctx) })
			require.NoError(t, binding.Close())
			waiting.Wait()
			assert.ErrorIs(t, binding.Ping(t.Context()), ErrClosed)
			require.Eventually(t, func() bool { return a.Waiting() == 0 }, time.Minute, time.Millisecond)
			a.SetHanging(false)
		})
	}
}

// Who waits for the first token takes no place in the pool.
func TestEntraIDWaitingTakesNoPlace(t *testing.T) {
	t.Parallel()
	a := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute)
	a.SetHanging(true)
	binding := newBinding(t, a.fields("poolSize", "1", "poolTimeout", "1ms", "dialTimeout", "200ms"), a.reach(), WithLazyConnect())
	var calling sync.WaitGroup
	for range 4 {
		calling.Go(func() {
			_, err := binding.Invoke(context.Background(), request(GetOperation, "entra:waiting"))
			assert.EqualError(t, err, "redisbinding: get: no Entra ID token: the authority: no answer within dialTimeout (200ms) (raise dialTimeout if it takes longer)")
		})
	}
	calling.Wait()
	a.SetHanging(false)
}

// The contexts of callers hold while a token is waited for.
func TestEntraIDContexts(t *testing.T) {
	t.Parallel()
	a := startAzure(t, redistest.StartEntra(t, testObjectID), time.Minute)
	a.SetHanging(true)
	binding := newBinding(t, a.fields(), a.reach(), WithLazyConnect())
	for name, call := range map[string]func(context.Context) error{
		"ping": binding.Ping,
		"invoke": func(ctx context.Context) error {
			_, err := binding.Invoke(ctx, request(GetOperation, "entra:context"))
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		require.ErrorIs(t, call(ctx), context.DeadlineExceeded, name)
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		require.ErrorIs(t, call(ctx), context.Canceled, name)
	}
	a.SetHanging(false)
	invoke(t, binding, request(GetOperation, "entra:context"))
}

// What connects to sentinels is not for them to know.
func TestEntraIDFailover(t *testing.T) {
	t.Parallel()
	a := startAzure(t, redistest.StartEntra(t, testObjectID), 10*time.Second)
	certificates := redistest.NewCertificates(t)
	pair, err := tls.X509KeyPair(certificates.Cert, certificates.Key)
	require.NoError(t, err)
	sentinel, err := server.NewServerTLS("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	require.NoError(t, err)
	defer sentinel.Close()
	var asked lockedBuffer
	host, port, _ := net.SplitHostPort(a.redis.Metadata["redisHost"])
	for name, answer := range map[string]server.Cmd{
		"HELLO": func(c *server.Peer, _ string, _ []string) { c.WriteError("ERR unknown command 'HELLO'") },
		"AUTH":  func(c *server.Peer, _ string, _ []string) { c.WriteOK() },
		"SENTINEL": func(c *server.Peer, _ string, arguments []string) {
			if strings.EqualFold(arguments[0], "get-master-addr-by-name") {
				c.WriteStrings([]string{host, port})
				return
			}
			c.WriteLen(0)
		},
	} {
		require.NoError(t, sentinel.Register(name, func(c *server.Peer, command string, arguments []string) {
			_, _ = fmt.Fprintln(&asked, command, arguments)
			answer(c, command, arguments)
		}))
	}

	binding := a.binding(t, "failover", "true", "sentinelMasterName", "mymaster", "redisHost", sentinel.Addr().String(),
		"caCert", a.redis.Metadata["caCert"]+string(certificates.CA))
	require.Eventually(t, func() bool {
		invoke(t, binding, create("entra:failover", "value"))
		return len(a.Tokens()) > 1
	}, time.Minute, 10*time.Millisecond)
	assert.Zero(t, a.redis.Cut())
	assert.Contains(t, asked.String(), "get-master-addr-by-name")
	assert.NotContains(t, asked.String(), testObjectID)
	for _, token := range a.Tokens() {
		assert.NotContains(t, asked.String(), token.Value)
	}
}

// An error of a connection whose token has expired says so.
func TestEntraIDIsBlamed(t *testing.T) {
	t.Parallel()
	credential := &fakeCredential{t: t, lifetime: time.Hour}
	tokens, _, stop := runTokens(t, credential)
	require.NoError(t, tokens.ready(t.Context()))
	stop()
	c := &client{tokens: tokens}
	assert.Equal(t, io.EOF, c.blameToken(unknown, io.EOF), "the token lives")

	expired := *tokens.current.Load()
	expired.expires = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tokens.current.Store(&expired)
	tokens.failure = errors.New("the authority is down")
	const why = ": the Entra ID token expired at 2026-01-02T03:04:05Z and could not be renewed: the authority is down"
	for _, err := range []error{io.EOF, redact.ReplyError("NOAUTH Authentication required."), redact.ReplyError("WRONGPASS no")} {
		sent := unknown
		if !errors.Is(err, io.EOF) {
			sent = refused
		}
		blamed := c.blameToken(sent, err)
		require.EqualError(t, blamed, err.Error()+why)
		require.ErrorIs(t, blamed, err)
		require.ErrorIs(t, blamed, ErrNoToken)
	}
	for _, err := range []error{context.Canceled, redact.ReplyError("WRONGTYPE no"), redis.ErrPoolTimeout, redis.Nil, nil} {
		assert.Equal(t, err, c.blameToken(refused, err))
	}
	assert.Equal(t, io.EOF, c.blameToken(notSent, io.EOF))
}

// BenchmarkEntraIDRenewal is what callers notice of the renewal of a token: the
// 99th percentile of calls shortly after one beside that of all others, and the
// most connections there were to a pool of 32.
func BenchmarkEntraIDRenewal(b *testing.B) {
	const callers = 64
	a := startAzure(b, redistest.StartEntra(b, testObjectID), 8*time.Second)
	binding, err := NewRedisBinding(a.fields("poolSize", "32"), a.reach())
	require.NoError(b, err)
	defer binding.Close()

	type call struct {
		began time.Time
		took  time.Duration
	}
	calls := make([][]call, callers)
	most := 0
	for b.Loop() {
		var calling sync.WaitGroup
		done := make(chan struct{})
		renewed := len(a.Tokens()) + 3
		for caller := range callers {
			calling.Go(func() {
				for {
					began := time.Now()
					if _, err := binding.Invoke(context.Background(), request(GetOperation, "entra:benchmark")); err != nil {
						b.Error(err)
					}
					calls[caller] = append(calls[caller], call{began, time.Since(began)})
					select {
					case <-done:
						return
					case <-time.After(5 * time.Millisecond):
					}
				}
			})
		}
		for len(a.Tokens()) < renewed {
			most = max(most, a.redis.Connections())
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		close(done)
		calling.Wait()
	}

	var during, otherwise []time.Duration
	for _, c := range slices.Concat(calls...) {
		if slices.ContainsFunc(a.Tokens()[1:], func(token entratest.Token) bool {
			since := c.began.Sub(token.Issued)
			return since > 0 && since < time.Second
		}) {
			during = append(during, c.took)
		} else {
			otherwise = append(otherwise, c.took)
		}
	}
	for name, took := range map[string][]time.Duration{"during": during, "otherwise": otherwise} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100])/1e6, "ms-p99-"+name)
	}
	b.ReportMetric(float64(most), "connections")
	b.ReportMetric(0, "ns/op")
}
