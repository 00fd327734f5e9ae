package entratest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRefusals(t *testing.T) {
	cert, key := newCertificate(t, time.Now().Add(time.Hour))
	expired, _ := newCertificate(t, time.Now().Add(-time.Minute))
	otherKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	otherCert := signCertificate(t, otherKey, time.Now().Add(time.Hour))

	const wrong = "wrong~secret"
	secret := func(tenant, client, secret string) func(*testing.T, *Authority) azcore.TokenCredential {
		return func(t *testing.T, a *Authority) azcore.TokenCredential {
			return secretCredential(t, a, tenant, client, secret)
		}
	}
	withCertificate := func(c *Config) { c.Certificate = cert }
	tests := []struct {
		name   string
		config func(*Config)
		cred   func(*testing.T, *Authority) azcore.TokenCredential
		scope  string
		status int
		kind   string
		code   string
	}{
		{name: "wrong secret", cred: secret(testTenant, testClient, wrong), status: 401, kind: "invalid_client", code: "AADSTS7000215"},
		{name: "no secret configured", config: func(c *Config) { c.ClientSecret = "" },
			cred: secret(testTenant, testClient, wrong), status: 401, kind: "invalid_client", code: "AADSTS7000215"},
		{name: "unknown client", cred: secret(testTenant, "other", testSecret), status: 400, kind: "unauthorized_client", code: "AADSTS700016"},
		{name: "unknown tenant", cred: secret("other", testClient, testSecret), status: 400, kind: "invalid_request", code: "AADSTS90002"},
		{name: "other resource", cred: rightSecret, scope: "https://vault.azure.net/.default",
			status: 400, kind: "invalid_resource", code: "AADSTS500011"},
		{name: "scope of a user", cred: rightSecret, scope: "https://redis.azure.com/user_impersonation",
			status: 400, kind: "invalid_scope", code: "AADSTS1002012"},
		{name: "wrong assertion", cred: func(t *testing.T, a *Authority) azcore.TokenCredential {
			return workloadCredential(t, a, wrong)
		}, status: 401, kind: "invalid_client", code: "AADSTS700213"},
		{name: "wrong assertion beside a certificate", config: withCertificate, cred: func(t *testing.T, a *Authority) azcore.TokenCredential {
			return workloadCredential(t, a, wrong)
		}, status: 401, kind: "invalid_client", code: "AADSTS700027"},
		{name: "other certificate", config: withCertificate, cred: func(t *testing.T, a *Authority) azcore.TokenCredential {
			return certificateCredential(t, a, otherCert, otherKey)
		}, status: 401, kind: "invalid_client", code: "AADSTS700027"},
		{name: "certificate past its time", config: func(c *Config) { c.Certificate = expired },
			cred: func(t *testing.T, a *Authority) azcore.TokenCredential {
				return certificateCredential(t, a, expired, key)
			}, status: 401, kind: "invalid_client", code: "AADSTS700027"},
		{name: "no certificate configured", cred: func(t *testing.T, a *Authority) azcore.TokenCredential {
			return certificateCredential(t, a, cert, key)
		}, status: 401, kind: "invalid_client", code: "AADSTS700213"},
		{name: "identity for another resource", cred: func(t *testing.T, a *Authority) azcore.TokenCredential {
			return identityCredential(t, a, nil)
		}, scope: "https://vault.azure.net/.default", status: 400, kind: "invalid_resource", code: "AADSTS500011"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := start(t, tt.config)
			scope := tt.scope
			if scope == "" {
				scope = DefaultScope
			}
			_, err := getToken(t, tt.cred(t, a), scope)
			var failed *azidentity.AuthenticationFailedError
			require.ErrorAs(t, err, &failed)
			require.NotNil(t, failed.RawResponse)
			assert.Equal(t, tt.status, failed.RawResponse.StatusCode)
			assert.ErrorContains(t, err, tt.code+": ")
			assert.ErrorContains(t, err, `"error": "`+tt.kind+`"`)
			assert.NotContains(t, err.Error(), wrong)
			assert.NotContains(t, err.Error(), testSecret)
			assert.Empty(t, a.Tokens())
		})
	}
}

// What no azidentity client sends is refused all the same.
func TestBadRequests(t *testing.T) {
	a := start(t, nil)
	endpoint, header := a.ManagedIdentity()
	tokenURL := a.Host() + testTenant + "/oauth2/v2.0/token"
	form := func(edit map[string]string) string {
		values := url.Values{
			"grant_type": {grantType}, "client_id": {testClient}, "client_secret": {testSecret}, "scope": {DefaultScope},
		}
		for name, value := range edit {
			values.Set(name, value)
		}
		return values.Encode()
	}
	identity := func(edit map[string]string) string {
		values := url.Values{"api-version": {identityAPIVersion}, "resource": {"https://redis.azure.com"}}
		for name, value := range edit {
			values.Set(name, value)
		}
		return endpoint + "?" + values.Encode()
	}
	tests := []struct {
		name, method, url, body, header string
		status                          int
		text                            string
	}{
		{"no form", "POST", tokenURL, "%", "", 400, "AADSTS90023"},
		{"empty", "POST", tokenURL, "", "", 400, "'grant_type'"},
		{"no client", "POST", tokenURL, form(map[string]string{"client_id": ""}), "", 400, "'client_id'"},
		{"no scope", "POST", tokenURL, form(map[string]string{"scope": ""}), "", 400, "'scope'"},
		{"OIDC scopes only", "POST", tokenURL, form(map[string]string{"scope": "openid profile"}), "", 400, "AADSTS1002012"},
		{"other grant", "POST", tokenURL, form(map[string]string{"grant_type": "password"}), "", 400, "AADSTS70003"},
		{"no credential", "POST", tokenURL, form(map[string]string{"client_secret": ""}), "", 401, "AADSTS7000216"},
		{"assertion of no type", "POST", tokenURL,
			form(map[string]string{"client_secret": "", "client_assertion": testFederated}), "", 401, "AADSTS50027"},
		{"too long", "POST", tokenURL, form(map[string]string{"scope": strings.Repeat("x", maxBody)}), "", 400, "AADSTS90023"},
		{"wrong tenant", "POST", a.Host() + "other/oauth2/v2.0/token", form(nil), "", 400, "AADSTS90002"},
		{"wrong path", "GET", a.Host(), "", "", 404, "AADSTS90023"},
		{"wrong method", "GET", tokenURL, "", "", 404, "AADSTS90023"},
		{"identity without header", "GET", identity(nil), "", "", 401, "X-IDENTITY-HEADER"},
		{"identity with wrong header", "GET", identity(nil), "", "x", 401, "X-IDENTITY-HEADER"},
		{"identity of another version", "GET", identity(map[string]string{"api-version": "2017-09-01"}), "", header, 400, "api-version"},
		{"identity of a resource", "GET", identity(map[string]string{"mi_res_id": ""}), "", header, 400, "No User Assigned"},
		{"identity for nothing", "GET", identity(map[string]string{"resource": ""}), "", header, 400, "AADSTS500011"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, text := send(t, a, tt.method, tt.url, tt.body, tt.header)
			assert.Equal(t, tt.status, status)
			assert.Contains(t, text, tt.text)
			assert.True(t, json.Valid([]byte(text)), text)
			assert.NotContains(t, text, testSecret)
		})
	}
	assert.Empty(t, a.Tokens())

	status, _ := send(t, a, "POST", tokenURL, form(nil), "")
	assert.Equal(t, http.StatusOK, status, "the form that the cases change is right")
	status, _ = send(t, a, "GET", identity(nil), "", header)
	assert.Equal(t, http.StatusOK, status, "the query that the cases change is right")
}

func send(t *testing.T, a *Authority, method, target, body, header string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), method, target, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if header != "" {
		req.Header.Set("X-IDENTITY-HEADER", header)
	}
	resp, err := a.HTTPClient().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestAssertionOutsideItsTime(t *testing.T) {
	cert, key := newCertificate(t, time.Now().Add(time.Hour))
	a := start(t, func(c *Config) { c.Certificate = cert })
	post := func(edit func(jwt.MapClaims)) (int, string) {
		claims := jwt.MapClaims{
			"aud": a.tokenEndpoint(), "iss": testClient, "sub": testClient,
			"nbf": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		}
		edit(claims)
		assertion, err := jwt.NewWithClaims(jwt.SigningMethodPS256, claims).SignedString(key)
		require.NoError(t, err)
		return send(t, a, "POST", a.tokenEndpoint(), url.Values{
			"grant_type": {grantType}, "client_id": {testClient}, "scope": {DefaultScope},
			"client_assertion": {assertion}, "client_assertion_type": {assertionType},
		}.Encode(), "")
	}
	status, _ := post(func(jwt.MapClaims) {})
	assert.Equal(t, 200, status)
	for name, tt := range map[string]struct {
		edit func(jwt.MapClaims)
		code string
	}{
		"expired":        {func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Minute).Unix() }, "AADSTS700024"},
		"not yet valid":  {func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Minute).Unix() }, "AADSTS700024"},
		"without end":    {func(c jwt.MapClaims) { delete(c, "exp") }, "AADSTS700027"},
		"for another":    {func(c jwt.MapClaims) { c["aud"] = "https://example.org" }, "AADSTS700027"},
		"of another app": {func(c jwt.MapClaims) { c["sub"] = "other" }, "AADSTS700027"},
	} {
		status, text := post(tt.edit)
		assert.Equal(t, 401, status, name)
		assert.Contains(t, text, tt.code, name)
	}
}
