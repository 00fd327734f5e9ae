package entratest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	identityPath       = "/msi/token"
	identityAPIVersion = "2019-08-01"
)

func (a *Authority) identityHandler() http.Handler {
	mux := http.NewServeMux()
	serve := a.tokenRequest(a.grantIdentity)
	mux.HandleFunc("GET "+identityPath, func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.clientIDs = append(a.clientIDs, r.URL.Query().Get("client_id"))
		a.mu.Unlock()
		serve(w, r)
	})
	mux.HandleFunc("/", a.otherRequest(notFound))
	return mux
}

// grantIdentity answers a request of the App Service protocol.
func (a *Authority) grantIdentity(r *http.Request) answer {
	query := r.URL.Query()
	switch {
	case !same(r.Header.Get("X-IDENTITY-HEADER"), a.header):
		return refuseIdentity(http.StatusUnauthorized, "The header X-IDENTITY-HEADER is missing or wrong.")
	case query.Get("api-version") != identityAPIVersion:
		return refuseIdentity(http.StatusBadRequest, "The api-version is not "+identityAPIVersion+".")
	case !a.knowsIdentity(query):
		return refuseIdentity(http.StatusBadRequest,
			"No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.")
	case query.Get("resource") != a.resource:
		return a.noResource(query.Get("resource"))
	}

	token, err := a.issue(ViaManagedIdentity)
	if err != nil {
		return failure(err)
	}
	return answer{http.StatusOK, map[string]string{
		"access_token": token.Value,
		"expires_on":   strconv.FormatInt(token.Expires.Unix(), 10),
		"resource":     a.resource,
		"token_type":   "Bearer",
	}}
}

// knowsIdentity tells whether the identity that the request names exists: the
// system-assigned one, which has no name, or that of the configuration.
func (a *Authority) knowsIdentity(query url.Values) bool {
	for name, id := range map[string]string{
		"client_id":    a.config.ClientID,
		"object_id":    a.config.ObjectID,
		"principal_id": a.config.ObjectID,
		"mi_res_id":    "", // There are no resources.
	} {
		if query.Has(name) && (id == "" || !strings.EqualFold(query.Get(name), id)) {
			return false
		}
	}
	return true
}

// refuseIdentity returns an error as App Service writes it.
func refuseIdentity(status int, message string) answer {
	return answer{status, map[string]any{"statusCode": status, "message": message}}
}
