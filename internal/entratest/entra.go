package entratest

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	grantType     = "client_credentials"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// oidcScopes are what MSAL adds to the scope of every request. Entra ignores
// them where no user signs in.
var oidcScopes = []string{"openid", "offline_access", "profile"}

func (a *Authority) entraHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", a.otherRequest(a.discover))
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", a.tokenRequest(a.grant))
	mux.HandleFunc("/", a.otherRequest(notFound))
	return mux
}

// issuer is the iss claim of tokens. MSAL accepts the issuer of the discovery
// document when it has the scheme and host of the authority that the client
// was configured with, whatever its path.
func (a *Authority) issuer() string { return a.Host() + a.config.TenantID + "/v2.0" }

func (a *Authority) tokenEndpoint() string {
	return a.Host() + a.config.TenantID + "/oauth2/v2.0/token"
}

// discover answers with the part of the discovery document that MSAL reads.
func (a *Authority) discover(r *http.Request) answer {
	if !a.knowsTenant(r) {
		return noTenant(r)
	}
	return answer{http.StatusOK, map[string]string{
		"issuer":                 a.issuer(),
		"authorization_endpoint": a.Host() + a.config.TenantID + "/oauth2/v2.0/authorize",
		"token_endpoint":         a.tokenEndpoint(),
	}}
}

// grant answers a request of the client credentials grant. It checks in the
// order of Entra: tenant, application, credential, resource.
func (a *Authority) grant(r *http.Request) answer {
	if !a.knowsTenant(r) {
		return noTenant(r)
	}
	if err := r.ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, 90023, "invalid_request", "The request body is not a form.")
	}
	for _, name := range []string{"grant_type", "client_id", "scope"} {
		if r.PostForm.Get(name) == "" {
			return refuse(http.StatusBadRequest, 900144, "invalid_request",
				"The request body must contain the following parameter: '%s'.", name)
		}
	}
	if grant := r.PostForm.Get("grant_type"); grant != grantType {
		return refuse(http.StatusBadRequest, 70003, "unsupported_grant_type",
			"The app requested an unsupported grant type '%s'.", grant)
	}
	if id := r.PostForm.Get("client_id"); !strings.EqualFold(id, a.config.ClientID) {
		return refuse(http.StatusBadRequest, 700016, "unauthorized_client",
			"Application with identifier '%s' was not found in the directory '%s'.", id, a.config.TenantID)
	}
	via, refusal := a.authenticate(r)
	if refusal != nil {
		return *refusal
	}
	if refusal := a.checkScope(r.PostForm.Get("scope")); refusal != nil {
		return *refusal
	}

	token, err := a.issue(via)
	if err != nil {
		return failure(err)
	}
	return answer{http.StatusOK, map[string]any{
		"token_type":     "Bearer",
		"expires_in":     token.secondsLeft(),
		"ext_expires_in": token.secondsLeft(),
		"access_token":   token.Value,
	}}
}

func (a *Authority) knowsTenant(r *http.Request) bool {
	return strings.EqualFold(r.PathValue("tenant"), a.config.TenantID)
}

func noTenant(r *http.Request) answer {
	return refuse(http.StatusBadRequest, 90002, "invalid_request",
		"Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.",
		r.PathValue("tenant"))
}

// authenticate checks the application's credential and returns what kind it
// is, or the refusal.
func (a *Authority) authenticate(r *http.Request) (via string, refusal *answer) {
	deny := func(code int, format string, args ...any) (string, *answer) {
		denied := refuse(http.StatusUnauthorized, code, "invalid_client", format, args...)
		return "", &denied
	}
	secret, assertion := r.PostForm.Get("client_secret"), r.PostForm.Get("client_assertion")
	switch {
	case secret != "":
		if !same(secret, a.config.ClientSecret) {
			return deny(7000215, "Invalid client secret provided. Ensure the secret being sent in the request is "+
				"the client secret value, not the client secret ID, for a secret added to app '%s'.", a.config.ClientID)
		}
		return ViaClientSecret, nil
	case assertion == "":
		return deny(7000216, "'client_assertion', 'client_secret' or 'request' is required for the '%s' grant type.", grantType)
	case r.PostForm.Get("client_assertion_type") != assertionType:
		return deny(50027, "The value of 'client_assertion_type' must be '%s'.", assertionType)
	case same(assertion, a.config.FederatedToken):
		return ViaWorkload, nil
	case a.config.Certificate == nil:
		return deny(700213, "No matching federated identity record found for presented assertion.")
	}

	err := a.verify(assertion)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet):
		return deny(700024, "Client assertion is not within its valid time range.")
	case err != nil || time.Now().After(a.config.Certificate.NotAfter):
		return deny(700027, "The certificate with identifier used to sign the client assertion is not registered on "+
			"application or has expired.")
	}
	return ViaCertificate, nil
}

// same compares a credential with the one of the configuration, which matches
// nothing when it is not set.
func same(given, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1
}

// verify checks an assertion that the application has signed itself. MSAL uses
// PS256, older libraries RS256.
func (a *Authority) verify(assertion string) error {
	_, err := jwt.Parse(assertion,
		func(*jwt.Token) (any, error) { return a.config.Certificate.PublicKey, nil },
		jwt.WithValidMethods([]string{"PS256", "RS256"}),
		jwt.WithIssuer(a.config.ClientID),
		jwt.WithSubject(a.config.ClientID),
		jwt.WithAudience(a.tokenEndpoint()),
		jwt.WithExpirationRequired(),
	)
	return err
}

// checkScope returns the refusal of a scope other than the configured one.
func (a *Authority) checkScope(scope string) *answer {
	scopes := slices.DeleteFunc(strings.Fields(scope), func(s string) bool { return slices.Contains(oidcScopes, s) })
	if len(scopes) == 1 && scopes[0] == a.config.Scope {
		return nil
	}
	var refusal answer
	if len(scopes) == 1 && strings.HasSuffix(scopes[0], scopeSuffix) {
		refusal = a.noResource(strings.TrimSuffix(scopes[0], scopeSuffix))
	} else {
		refusal = refuse(http.StatusBadRequest, 1002012, "invalid_scope",
			"The provided value for scope %s is not valid. Client credential flows must have a scope value with "+
				"/.default suffixed to the resource identifier (application ID URI).", scope)
	}
	return &refusal
}

func (a *Authority) noResource(resource string) answer {
	return refuse(http.StatusBadRequest, 500011, "invalid_resource",
		"The resource principal named %s was not found in the tenant named %s.", resource, a.config.TenantID)
}
