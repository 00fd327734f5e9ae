package entratest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCredentials(t *testing.T) {
	cert, key := newCertificate(t, time.Now().Add(time.Hour))
	tests := []struct {
		name string
		via  string
		cred func(*testing.T, *Authority) azcore.TokenCredential
	}{
		{"secret", ViaClientSecret, rightSecret},
		{"certificate", ViaCertificate, func(t *testing.T, a *Authority) azcore.TokenCredential {
			return certificateCredential(t, a, cert, key)
		}},
		{"workload identity", ViaWorkload, func(t *testing.T, a *Authority) azcore.TokenCredential {
			return workloadCredential(t, a, testFederated)
		}},
		{"system-assigned identity", ViaManagedIdentity, func(t *testing.T, a *Authority) azcore.TokenCredential {
			return identityCredential(t, a, nil)
		}},
		{"user-assigned identity", ViaManagedIdentity, func(t *testing.T, a *Authority) azcore.TokenCredential {
			return identityCredential(t, a, azidentity.ClientID(testClient))
		}},
		{"user-assigned identity by object ID", ViaManagedIdentity, func(t *testing.T, a *Authority) azcore.TokenCredential {
			return identityCredential(t, a, azidentity.ObjectID(testObject))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := start(t, func(c *Config) { c.Certificate = cert })
			before := time.Now()
			got, err := getToken(t, tt.cred(t, a), DefaultScope)
			require.NoError(t, err)
			after := time.Now()

			claims := jwt.MapClaims{}
			_, err = jwt.ParseWithClaims(got.Token, claims,
				func(*jwt.Token) (any, error) { return a.PublicKey(), nil },
				jwt.WithValidMethods([]string{"RS256"}),
				jwt.WithAudience("https://redis.azure.com"),
				jwt.WithIssuer(a.Host()+testTenant+"/v2.0"),
				jwt.WithIssuedAt(),
				jwt.WithExpirationRequired(),
			)
			require.NoError(t, err)
			assert.Equal(t, testObject, claims["oid"])
			assert.Equal(t, testObject, claims["sub"])
			assert.Equal(t, testTenant, claims["tid"])
			assert.Equal(t, testClient, claims["appid"])
			assert.NotEmpty(t, claims["uti"])

			require.Len(t, a.Tokens(), 1)
			token := a.Tokens()[0]
			assert.Equal(t, got.Token, token.Value)
			assert.Equal(t, tt.via, token.Via)
			assert.Equal(t, 1, a.Requests())

			exp, err := claims.GetExpirationTime()
			require.NoError(t, err)
			assert.True(t, exp.Equal(token.Expires))
			assert.False(t, token.Issued.Before(before))
			assert.False(t, token.Expires.Before(before.Add(testLifetime)))
			assert.Less(t, token.Expires.Sub(after), testLifetime+time.Second)
			if tt.via == ViaManagedIdentity {
				assert.True(t, got.ExpiresOn.Equal(token.Expires))
			} else {
				assert.Greater(t, got.ExpiresOn, token.Expires.Add(-time.Second))
				assert.LessOrEqual(t, got.ExpiresOn, token.Expires.Add(after.Sub(before)))
			}
		})
	}
}

// It is what makes the stand-in's short lifetimes useful, so it is checked
// against new versions of MSAL.
func TestShortTokensAreNotKept(t *testing.T) {
	a := start(t, nil)
	cred := rightSecret(t, a)
	for range 3 {
		_, err := getToken(t, cred, DefaultScope)
		require.NoError(t, err)
	}
	tokens := a.Tokens()
	require.Len(t, tokens, 3)
	assert.NotEqual(t, tokens[0].Value, tokens[1].Value)
	assert.NotEqual(t, tokens[1].Value, tokens[2].Value)

	a.SetLifetime(DefaultLifetime)
	for range 3 {
		_, err := getToken(t, cred, DefaultScope)
		require.NoError(t, err)
	}
	assert.Len(t, a.Tokens(), 4)
	assert.Equal(t, 4, a.Requests())
}

func TestManagedIdentityClientIDs(t *testing.T) {
	a := start(t, nil)
	_, err := getToken(t, identityCredential(t, a, nil), DefaultScope)
	require.NoError(t, err)
	_, err = getToken(t, identityCredential(t, a, azidentity.ClientID(testClient)), DefaultScope)
	require.NoError(t, err)
	_, err = getToken(t, identityCredential(t, a, azidentity.ClientID("other")), DefaultScope)
	require.ErrorContains(t, err, "No User Assigned or Delegated Managed Identity found")
	assert.Equal(t, []string{"", testClient, "other"}, a.ManagedIdentityClientIDs())
}

func TestLifetime(t *testing.T) {
	a := start(t, nil)
	cred := rightSecret(t, a)
	for _, lifetime := range []time.Duration{2 * time.Second, 1500 * time.Millisecond, time.Second, 300 * time.Millisecond} {
		a.SetLifetime(lifetime)
		before := time.Now()
		got, err := getToken(t, cred, DefaultScope)
		require.NoError(t, err)
		after := time.Now()
		tokens := a.Tokens()
		token := tokens[len(tokens)-1]
		assert.False(t, token.Expires.Before(before.Add(lifetime)))
		assert.Less(t, token.Expires.Sub(token.Issued), lifetime+time.Second)
		assert.Greater(t, got.ExpiresOn, token.Expires.Add(-time.Second))
		assert.LessOrEqual(t, got.ExpiresOn, token.Expires.Add(after.Sub(before)))
	}

	a.SetLifetime(-time.Minute)
	got, err := getToken(t, cred, DefaultScope)
	require.NoError(t, err)
	assert.Less(t, got.ExpiresOn, time.Now())
}

func TestClaims(t *testing.T) {
	a := start(t, nil)
	cred := rightSecret(t, a)
	claimsOf := func() jwt.MapClaims {
		got, err := getToken(t, cred, DefaultScope)
		require.NoError(t, err)
		claims := jwt.MapClaims{}
		_, _, err = jwt.NewParser().ParseUnverified(got.Token, claims)
		require.NoError(t, err)
		return claims
	}

	a.SetClaims(func(claims jwt.MapClaims) { delete(claims, "oid") })
	assert.NotContains(t, claimsOf(), "oid")
	a.SetClaims(nil)
	assert.Contains(t, claimsOf(), "oid")

	// Claims that cannot be written fail the request, and it alone.
	a.SetClaims(func(claims jwt.MapClaims) { claims["oid"] = func() {} })
	_, err := getToken(t, cred, DefaultScope)
	require.ErrorContains(t, err, "RESPONSE 500")
	assert.Len(t, a.Tokens(), 2)
}

func TestOpaque(t *testing.T) {
	a := start(t, nil)
	cred := rightSecret(t, a)
	a.SetOpaque(true)
	got, err := getToken(t, cred, DefaultScope)
	require.NoError(t, err)
	assert.NotContains(t, got.Token, ".")
	assert.Equal(t, got.Token, a.Tokens()[0].Value)

	a.SetOpaque(false)
	got, err = getToken(t, cred, DefaultScope)
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(got.Token, "."))
}

func TestIssue(t *testing.T) {
	var mu sync.Mutex
	var issued []string
	var fail error
	a := start(t, func(c *Config) {
		c.Issue = func(token string, expires time.Time) error {
			mu.Lock()
			defer mu.Unlock()
			issued = append(issued, token)
			assert.True(t, expires.After(time.Now()))
			return fail
		}
	})
	cred := rightSecret(t, a)
	got, err := getToken(t, cred, DefaultScope)
	require.NoError(t, err)
	assert.Equal(t, []string{got.Token}, issued)

	mu.Lock()
	fail = errors.New("no room")
	mu.Unlock()
	_, err = getToken(t, cred, DefaultScope)
	require.ErrorContains(t, err, "RESPONSE 500")
	require.ErrorContains(t, err, "no room")
	assert.Len(t, a.Tokens(), 1)
	assert.Len(t, issued, 2)
}

func TestDown(t *testing.T) {
	a := start(t, nil)
	secret, identity := rightSecret(t, a), identityCredential(t, a, nil)
	a.SetDown(true)
	a.SetHanging(true)
	_, err := getToken(t, secret, DefaultScope)
	require.ErrorContains(t, err, "RESPONSE 503")
	assert.Zero(t, a.Requests(), "the discovery document is asked for first")
	_, err = getToken(t, identity, DefaultScope)
	require.ErrorContains(t, err, "RESPONSE 503")
	assert.Equal(t, 1, a.Requests())

	a.SetHanging(false)
	a.SetDown(false)
	_, err = getToken(t, secret, DefaultScope)
	require.NoError(t, err)
	a.SetDown(true)
	_, err = getToken(t, secret, DefaultScope)
	require.ErrorContains(t, err, "RESPONSE 503")
	assert.Equal(t, 3, a.Requests())
	assert.Len(t, a.Tokens(), 1)
}

func TestHanging(t *testing.T) {
	for name, newCredential := range map[string]func(*testing.T, *Authority) azcore.TokenCredential{
		"secret":   rightSecret,
		"identity": func(t *testing.T, a *Authority) azcore.TokenCredential { return identityCredential(t, a, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t, nil)
			cred := newCredential(t, a)
			a.SetHanging(true)
			a.SetHanging(true)
			ctx, cancel := context.WithCancel(testContext(t))
			ended := make(chan error, 1)
			get := func(ctx context.Context) {
				_, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{DefaultScope}})
				ended <- err
			}

			go get(ctx)
			waitFor(t, func() bool { return a.Waiting() == 1 })
			cancel()
			require.ErrorContains(t, <-ended, context.Canceled.Error())
			waitFor(t, func() bool { return a.Waiting() == 0 })
			assert.Empty(t, a.Tokens())

			go get(testContext(t))
			waitFor(t, func() bool { return a.Waiting() == 1 })
			a.SetHanging(false)
			require.NoError(t, <-ended)
			waitFor(t, func() bool { return a.Waiting() == 0 })
			assert.Len(t, a.Tokens(), 1)
			assert.Equal(t, 2, a.Requests())
		})
	}
}

func TestCloseWhileHanging(t *testing.T) {
	a := start(t, nil)
	a.SetHanging(true)
	cred := rightSecret(t, a)
	ended := make(chan error, 1)
	go func() {
		_, err := cred.GetToken(testContext(t), policy.TokenRequestOptions{Scopes: []string{DefaultScope}})
		ended <- err
	}()
	waitFor(t, func() bool { return a.Waiting() == 1 })
	a.Close()
	assert.Zero(t, a.Waiting(), "Close waits")
	require.Error(t, <-ended)
	assert.Empty(t, a.Tokens())

	a.Close()
	_, err := getToken(t, cred, DefaultScope)
	require.Error(t, err)
}

func TestConcurrentRequests(t *testing.T) {
	a := start(t, nil)
	var requests sync.WaitGroup
	const clients = 8
	for range clients {
		cred := rightSecret(t, a)
		requests.Go(func() {
			_, err := cred.GetToken(testContext(t), policy.TokenRequestOptions{Scopes: []string{DefaultScope}})
			assert.NoError(t, err)
		})
	}
	requests.Wait()
	values := map[string]bool{}
	for _, token := range a.Tokens() {
		values[token.Value] = true
	}
	assert.Len(t, values, clients)
}

func TestTrust(t *testing.T) {
	a := start(t, nil)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(a.CAPEM()))
	assert.True(t, roots.Equal(a.CA()))
	assert.Regexp(t, `^https://127\.0\.0\.1:\d+/$`, a.Host())

	client := newClient(x509.NewCertPool())
	t.Cleanup(client.CloseIdleConnections)
	req, err := http.NewRequestWithContext(testContext(t), http.MethodGet, a.Host(), nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)
}

func TestValidation(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for want, config := range map[string]Config{
		"entratest: no tenant ID":                                       {ObjectID: testObject},
		"entratest: no object ID":                                       {TenantID: testTenant},
		"entratest: a credential without a client ID":                   {TenantID: testTenant, ObjectID: testObject, ClientSecret: testSecret},
		`entratest: the scope "x" does not end in /.default`:            {TenantID: testTenant, ObjectID: testObject, Scope: "x"},
		"entratest: the certificate has a ECDSA key and not an RSA one": {TenantID: testTenant, ObjectID: testObject, ClientID: testClient, Certificate: &x509.Certificate{PublicKey: &key.PublicKey, PublicKeyAlgorithm: x509.ECDSA}},
	} {
		_, err := Start(config)
		require.EqualError(t, err, want)
	}
}

func TestDefaults(t *testing.T) {
	assert.Equal(t, "https://redis.azure.com/.default", DefaultScope)
	assert.Equal(t, time.Hour, DefaultLifetime)

	a := start(t, func(c *Config) { c.Lifetime = 0 })
	_, err := getToken(t, rightSecret(t, a), DefaultScope)
	require.NoError(t, err)
	token := a.Tokens()[0]
	assert.InDelta(t, time.Hour, token.Expires.Sub(token.Issued), float64(time.Second))
}
