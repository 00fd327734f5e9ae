package redisbinding

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/wording"
)

const (
	// DefaultBodyLimit is how long the body of a request to [Handler] may be
	// unless [WithBodyLimit] says otherwise: 4 MiB, as with daprd.
	DefaultBodyLimit = 4 << 20
	// APITokenHeader is the header of a request that carries the token of [WithAPIToken].
	APITokenHeader = "dapr-api-token" //nolint:gosec // the name, not a token
)

// The codes in the error bodies of [Handler]. The first three are daprd's own.
const (
	codeMalformed    = "ERR_MALFORMED_REQUEST"
	codeInvoke       = "ERR_INVOKE_OUTPUT_BINDING"
	codeNotReady     = "ERR_HEALTH_NOT_READY"
	codeNoMethod     = "ERR_METHOD_NOT_ALLOWED"
	codeNoRoute      = "ERR_NOT_FOUND"
	codeUnauthorized = "ERR_UNAUTHORIZED"
)

// HandlerOption changes how [Handler] answers.
type HandlerOption func(*handler)

// WithAPIToken has the handler answer 401 to requests whose header [APITokenHeader] is
// not token, those for health excepted, whose errors then name nothing. It is compared in
// constant time. An empty token is the default: requests need none.
func WithAPIToken(token string) HandlerOption {
	return func(h *handler) {
		h.wantsToken = token != ""
		h.token = sha256.Sum256([]byte(token))
	}
}

// WithBodyLimit sets how many bytes the body of a request may have, overriding
// [DefaultBodyLimit]; longer ones are answered 413. 0 is the default, and a negative
// number means no limit. Reading a body allocates some four times its length, and
// thirteen times that of one that is nothing but small metadata.
func WithBodyLimit(bytes int64) HandlerOption {
	return func(h *handler) {
		if h.limit = bytes; bytes == 0 {
			h.limit = DefaultBodyLimit
		}
	}
}

// Handler serves the bindings, by their names, over the HTTP API of Dapr's bindings:
//
//	POST, PUT /v1.0/bindings/{name}   {"operation":..., "metadata":{...}, "data":...}
//	GET /v1.0/healthz                 Ping of all bindings: 204, or 503
//	GET /v1.0/healthz/outbound        the same
//	GET /v1.0/metadata                the names of the bindings and their operations
//
// The body is the JSON form of [InvokeRequest]. The answer is the data of the
// response as it is, with status 200 and Content-Type application/json (or what
// the response says); nil data, and so a missing key, is a 204; data of length 0 a
// 200 without a body. An entry of the response's metadata is a header metadata.<key>; those
// that cannot be one are left out.
//
// An error is {"errorCode":..., "message":...}: 400 for a mistake in the request, 401 for a
// wrong token, 404 for an unknown binding or route, 405 for another method, 413 for a
// body that is too long, 408 for one that does not come in the time the server gives it; 503
// for [ErrClosed] and [ErrNotExecuted], 502 for any other [ErrUnavailable],
// such as a lost connection to Redis, and 504 when a deadline or readTimeout has passed
// (whether the operation was carried out is then unknown); and 500 for any other error of the
// binding. The codes are daprd's:
// ERR_MALFORMED_REQUEST, ERR_INVOKE_OUTPUT_BINDING, ERR_HEALTH_NOT_READY; and where it
// has none, ERR_UNAUTHORIZED, ERR_NOT_FOUND and ERR_METHOD_NOT_ALLOWED.
//
// The context of a request is that of Invoke, so that a client that goes away ends its call.
// The handler closes no binding and starts no goroutine that outlives a request; it may be
// used from any number of goroutines. It listens nowhere: how long a client may take is for the
// [http.Server] to say, whose ReadTimeout and WriteTimeout should be set ([http.ListenAndServe]
// sets none: a client that sends a byte now and then is waited for as long as it likes), and so is
// how many may call at once. Who may call is for the address to say, for [WithAPIToken], and, when
// browsers can reach it, for [http.CrossOriginProtection]. This lets a page through whose own name leads
// to this machine (DNS rebinding): only a token, or a look at Host, keeps that out.
// Request bodies are taken as they are: none is decompressed.
//
// A nil binding in the map is a mistake in the program: Handler panics.
func Handler(bindings map[string]OutputBinding, opts ...HandlerOption) http.Handler {
	h := &handler{bindings: maps.Clone(bindings), limit: DefaultBodyLimit}
	for name, binding := range h.bindings {
		if binding == nil {
			panic("redisbinding: Handler: binding " + strconv.Quote(name) + " is nil")
		}
	}
	for _, opt := range opts {
		opt(h)
	}
	return h
}

type handler struct {
	bindings   map[string]OutputBinding
	limit      int64 // negative: none
	wantsToken bool
	token      [sha256.Size]byte // of the same length whatever the token, and so compared in the same time
}

// ServeHTTP answers a request. It finds the route itself: http.ServeMux would redirect
// a name with slashes, and clients repeat a redirected POST as a GET.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	authorized := h.authorized(r)
	name, isBinding := strings.CutPrefix(r.URL.Path, "/v1.0/bindings/")
	switch {
	case r.URL.Path == "/v1.0/healthz" || r.URL.Path == "/v1.0/healthz/outbound":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			h.health(w, r, authorized)
		}
	case !authorized:
		refuse(w, http.StatusUnauthorized, codeUnauthorized, "invalid api token: the header "+APITokenHeader+" has to be the one of this server")
	case isBinding:
		if allow(w, r, http.MethodPost, http.MethodPut) {
			h.invoke(w, r, name)
		}
	case r.URL.Path == "/v1.0/metadata":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			h.describe(w)
		}
	default:
		refuse(w, http.StatusNotFound, codeNoRoute, fmt.Sprintf("no route %s: there are /v1.0/bindings/{name}, /v1.0/healthz and /v1.0/metadata", wording.Quoted(r.URL.Path)))
	}
}

// authorized says whether the request carries the token, if it has to.
func (h *handler) authorized(r *http.Request) bool {
	got := sha256.Sum256([]byte(r.Header.Get(APITokenHeader)))
	return !h.wantsToken || subtle.ConstantTimeCompare(got[:], h.token[:]) == 1
}

// allow says whether the method is one of those, and refuses it when not.
func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	allowed := strings.Join(methods, ", ")
	w.Header().Set("Allow", allowed)
	refuse(w, http.StatusMethodNotAllowed, codeNoMethod, fmt.Sprintf("method %s: %s takes %s", wording.Quoted(r.Method), wording.Quoted(r.URL.Path), allowed))
	return false
}

// invoke reads a request, has the binding carry it out and answers.
func (h *handler) invoke(w http.ResponseWriter, r *http.Request, name string) {
	binding, ok := h.bindings[name]
	if !ok {
		names := cmp.Or(strings.Join(h.names(), ", "), "none")
		refuse(w, http.StatusNotFound, codeInvoke, fmt.Sprintf("no output binding %s: there are %s", wording.Quoted(name), names))
		return
	}
	req, status, err := h.read(w, r)
	if err != nil {
		refuse(w, status, codeMalformed, "failed deserializing HTTP body: "+err.Error())
		return
	}
	resp, err := binding.Invoke(r.Context(), req)
	if err != nil {
		refuse(w, statusOf(err), codeInvoke, fmt.Sprintf("error invoking output binding %s: %s", name, err))
		return
	}
	answer(w, resp)
}

// read reads the request in a body, or says with which status to refuse it.
func (h *handler) read(w http.ResponseWriter, r *http.Request) (*InvokeRequest, int, error) {
	body := r.Body
	if h.limit >= 0 {
		if r.ContentLength > h.limit {
			return nil, http.StatusRequestEntityTooLarge, h.tooLong()
		}
		body = http.MaxBytesReader(w, r.Body, h.limit)
	}
	text, err := io.ReadAll(body)
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, http.StatusRequestEntityTooLarge, h.tooLong()
	case isTimeout(err):
		return nil, http.StatusRequestTimeout, errors.New("it did not come in time")
	case err != nil:
		return nil, http.StatusBadRequest, err
	}
	req := new(InvokeRequest)
	if err := json.Unmarshal(text, req); err != nil {
		return nil, http.StatusBadRequest, err
	}
	return req, 0, nil
}

func (h *handler) tooLong() error {
	return fmt.Errorf("it is longer than the %d bytes that are taken", h.limit)
}

// statusOf returns the HTTP status of an error of a binding. Gateways repeat a request
// that was answered with 503, so that is for operations that were certainly not executed.
func statusOf(err error) int {
	var request *RequestError
	safe, closed := SafeToRetry(err), errors.Is(err, ErrClosed)
	switch {
	case errors.Is(err, ErrMissingKey), errors.Is(err, ErrUnsupportedOperation), errors.As(err, &request):
		return http.StatusBadRequest
	case safe && (closed || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNoToken) || errors.Is(err, redis.ErrPoolTimeout)):
		return http.StatusServiceUnavailable
	case closed:
		return http.StatusBadGateway
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), isTimeout(err):
		return http.StatusGatewayTimeout
	case errors.Is(err, ErrUnavailable):
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// answer writes the response of a binding.
func answer(w http.ResponseWriter, resp *InvokeResponse) {
	if resp == nil { // of a binding that has nothing to say
		resp = &InvokeResponse{}
	}
	for key, value := range resp.Metadata {
		if !strings.ContainsFunc(value, unicode.IsControl) { // a bad name net/http leaves out by itself
			w.Header().Set("metadata."+key, value)
		}
	}
	if resp.Data == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	contentType := "application/json"
	if resp.ContentType != nil {
		contentType = *resp.ContentType
	}
	if strings.ContainsFunc(contentType, unicode.IsControl) {
		contentType = "application/octet-stream" // none that can be said, and none that is to be guessed
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(resp.Data)))
	_, _ = w.Write(resp.Data) // a client that has gone needs no answer
}

// health pings all bindings at once. What is wrong with them is for those who may call them.
func (h *handler) health(w http.ResponseWriter, r *http.Request, authorized bool) {
	names := h.names()
	wrong, panics := make([]error, len(names)), make([]any, len(names))
	var pings sync.WaitGroup
	for i, name := range names {
		pings.Go(func() {
			defer func() { panics[i] = recover() }()
			if err := h.bindings[name].Ping(r.Context()); err != nil {
				wrong[i] = fmt.Errorf("binding %s: %w", name, err)
			}
		})
	}
	pings.Wait()
	if i := slices.IndexFunc(panics, func(p any) bool { return p != nil }); i >= 0 {
		panic(panics[i]) // on the goroutine of the request, whose panics net/http recovers and logs
	}
	switch err := errors.Join(wrong...); {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case authorized:
		refuse(w, http.StatusServiceUnavailable, codeNotReady, err.Error())
	default:
		refuse(w, http.StatusServiceUnavailable, codeNotReady, "not ready")
	}
}

// describe answers what daprd's clients ask before anything else, to see that it is there.
func (h *handler) describe(w http.ResponseWriter) {
	type component struct {
		Name         string          `json:"name"`
		Capabilities []OperationKind `json:"capabilities"`
	}
	components := []component{}
	for _, name := range h.names() {
		components = append(components, component{name, h.bindings[name].Operations()})
	}
	writeJSON(w, http.StatusOK, map[string]any{"components": components})
}

// names are the names of the bindings, in order.
func (h *handler) names() []string { return slices.Sorted(maps.Keys(h.bindings)) }

// refuse answers an error in daprd's form.
func refuse(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]string{"errorCode": code, "message": message})
}

func writeJSON(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document) // a client that has gone needs no answer
}
