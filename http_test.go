package redisbinding

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// stubBinding is an output binding that answers what it is told to.
type stubBinding struct {
	OutputBinding
	invoke func(ctx context.Context, req *InvokeRequest) (*InvokeResponse, error)
	ping   error
	pinged func()
}

// failing is a binding whose Invoke answers the error.
func failing(err error) stubBinding {
	return stubBinding{invoke: func(context.Context, *InvokeRequest) (*InvokeResponse, error) { return nil, err }}
}

func (b stubBinding) Invoke(ctx context.Context, req *InvokeRequest) (*InvokeResponse, error) {
	return b.invoke(ctx, req)
}

func (b stubBinding) Ping(context.Context) error {
	if b.pinged != nil {
		b.pinged()
	}
	return b.ping
}

// serve serves the bindings until the end of the test.
func serve(t *testing.T, bindings map[string]OutputBinding, opts ...HandlerOption) (url string) {
	t.Helper()
	server := httptest.NewServer(Handler(bindings, opts...))
	t.Cleanup(server.Close)
	return server.URL
}

// answered is an answer whose body has been read.
type answered struct {
	StatusCode int
	Header     http.Header
}

// exchange sends a request and returns the answer with its body. Headers are name and value in turn.
func exchange(t *testing.T, method, url, body string, headers ...string) (answered, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answered{resp.StatusCode, resp.Header}, string(text)
}

// assertRefused checks that an answer is an error in daprd's form, and returns its message.
func assertRefused(t *testing.T, resp answered, body string, status int, code string) (message string) {
	t.Helper()
	assert.Equal(t, status, resp.StatusCode, body)
	assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	var document map[string]string
	require.NoError(t, json.Unmarshal([]byte(body), &document), body)
	assert.Len(t, document, 2)
	assert.Equal(t, code, document["errorCode"])
	assert.NotEmpty(t, document["message"])
	return document["message"]
}

func TestHandlerOperations(t *testing.T) {
	t.Parallel()
	for _, target := range targets(t) {
		t.Run(target.name, func(t *testing.T) {
			url := serve(t, map[string]OutputBinding{"store": newBinding(t, target.metadata)}) + "/v1.0/bindings/store"
			key := fmt.Sprint("handler ", time.Now().UnixNano())
			do := func(method, document string) (int, string) {
				resp, body := exchange(t, method, url, strings.ReplaceAll(document, "$", key))
				if resp.StatusCode == http.StatusOK {
					assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
				}
				return resp.StatusCode, body
			}
			for _, step := range []struct {
				document string
				status   int
				body     string
			}{
				{`{"operation":"get","metadata":{"key":"$"}}`, 204, ""},
				{`{"operation":"create","metadata":{"key":"$"},"data":{"n":9007199254740993, "b":"<&>","a":1.0}}`, 204, ""},
				{`{"operation":"get","metadata":{"key":"$"},"data":{}}`, 200, `{"n":9007199254740993, "b":"<&>","a":1.0}`},
				{`{"operation":"create","metadata":{"key":"$","ttlInSeconds":"60"},"data":"text"}`, 204, ""},
				{`{"operation":"get","metadata":{"key":"$","delete":"true"}}`, 200, `"text"`},
				{`{"operation":"get","metadata":{"key":"$","delete":"true"}}`, 204, ""},
				{`{"operation":"create","metadata":{"key":"$"}}`, 204, ""},
				{`{"operation":"get","metadata":{"key":"$"}}`, 200, ""},
				{`{"operation":"create","metadata":{"key":"$"},"data":null}`, 204, ""},
				{`{"operation":"get","metadata":{"key":"$"}}`, 200, "null"},
				{`{"operation":"create","metadata":{"key":"$","contentEncoding":"base64"},"data":"AP8="}`, 204, ""},
				{`{"operation":"get","metadata":{"key":"$"}}`, 200, "\x00\xff"},
				{`{"operation":"delete","metadata":{"key":"$"}}`, 204, ""},
				{`{"operation":"increment","metadata":{"key":"$"}}`, 200, "1"},
				{`{"operation":"increment","metadata":{"key":"$","ttlInSeconds":"60"}}`, 200, "2"},
				{`{"operation":"delete","metadata":{"key":"$"}}`, 204, ""},
			} {
				status, body := do(http.MethodPost, step.document)
				require.Equal(t, step.status, status, "%s: %s", step.document, body)
				require.Equal(t, step.body, body, step.document)
			}
			status, _ := do(http.MethodPut, `{"operation":"create","metadata":{"key":"$"},"data":1}`)
			assert.Equal(t, 204, status)
			assert.Equal(t, "1", target.admin.Get(t.Context(), key).Val())
		})
	}
}

// What is wrong with a request is said, and nothing is stored.
func TestHandlerRefuses(t *testing.T) {
	t.Parallel()
	fake := miniredis.RunT(t)
	binding := newBinding(t, map[string]string{"redisHost": fake.Addr()})
	url := serve(t, map[string]OutputBinding{"store": binding, "other": binding}, WithBodyLimit(200))

	const good = `{"operation":"create","metadata":{"key":"k"},"data":1}`
	for _, test := range []struct {
		method, path, body string
		status             int
		code, message      string
	}{
		{"POST", "/v1.0/bindings/store", "", 400, codeMalformed, "failed deserializing HTTP body: unexpected end of JSON input"},
		{"POST", "/v1.0/bindings/store", "not JSON", 400, codeMalformed, "failed deserializing HTTP body: invalid character 'o' in literal null (expecting 'u')"},
		{"POST", "/v1.0/bindings/store", good + "x", 400, codeMalformed, "failed deserializing HTTP body: invalid character 'x' after top-level value"},
		{"POST", "/v1.0/bindings/store", good + good, 400, codeMalformed, "failed deserializing HTTP body: invalid character '{' after top-level value"},
		{"POST", "/v1.0/bindings/store", `[` + good + `]`, 400, codeMalformed, "failed deserializing HTTP body: redisbinding: the request takes a JSON object, got a list"},
		{"POST", "/v1.0/bindings/store", `{"operation":"create","metadata":{"key":"k"},"date":1}`, 400, codeMalformed,
			`failed deserializing HTTP body: redisbinding: the request has the member "date", which it does not take (it takes operation, metadata, data)`},
		{"POST", "/v1.0/bindings/store", `{"operation":"create","metadata":{"key":"k","ttlInSeconds":60},"data":1}`, 400, codeMalformed,
			`failed deserializing HTTP body: redisbinding: the request has a member metadata "ttlInSeconds" that takes a string, got a number`},
		{"POST", "/v1.0/bindings/store", "null", 400, codeInvoke,
			`error invoking output binding store: redisbinding: unsupported operation: "" (supported: create, get, delete, increment)`},
		{"POST", "/v1.0/bindings/store", `{"operation":"create","data":1}`, 400, codeInvoke,
			`error invoking output binding store: redisbinding: request metadata "key" is missing or empty`},
		{"POST", "/v1.0/bindings/store", `{"operation":"create","metadata":{"key":"k","ttlInSeconds":"0"},"data":1}`, 400, codeInvoke,
			`error invoking output binding store: redisbinding: request metadata ttlInSeconds: takes a whole number of seconds from 1 to 9223372036, or a duration of at least 1ms such as "90s", got "0"`},
		{"POST", "/v1.0/bindings/nobody", good, 404, codeInvoke, `no output binding "nobody": there are other, store`},
		{"POST", "/v1.0/bindings/", good, 404, codeInvoke, `no output binding "": there are other, store`},
		{"POST", "/v1.0/bindings/store/", good, 404, codeInvoke, `no output binding "store/": there are other, store`},
		{"POST", "/v1.0/bindings//store", good, 404, codeInvoke, `no output binding "/store": there are other, store`},
		{"POST", "/v1.0/bindings/a%2Fb", good, 404, codeInvoke, `no output binding "a/b": there are other, store`},
		{"POST", "/v1.0/bindings/../store", good, 404, codeInvoke, `no output binding "../store": there are other, store`},
		{"GET", "/v1.0/bindings/store", good, 405, codeNoMethod, `method "GET": "/v1.0/bindings/store" takes POST, PUT`},
		{"DELETE", "/v1.0/bindings/store", good, 405, codeNoMethod, `method "DELETE": "/v1.0/bindings/store" takes POST, PUT`},
		{"POST", "/v1.0/healthz", good, 405, codeNoMethod, `method "POST": "/v1.0/healthz" takes GET, HEAD`},
		{"POST", "/v1.0/bindings", good, 404, codeNoRoute, `no route "/v1.0/bindings": there are /v1.0/bindings/{name}, /v1.0/healthz and /v1.0/metadata`},
		{"GET", "/", "", 404, codeNoRoute, `no route "/": there are /v1.0/bindings/{name}, /v1.0/healthz and /v1.0/metadata`},
		{"POST", "/v1.0/bindings/store", `{"data":"` + strings.Repeat("x", 200) + `"}`, 413, codeMalformed,
			"failed deserializing HTTP body: it is longer than the 200 bytes that are taken"},
	} {
		resp, body := exchange(t, test.method, url+test.path, test.body)
		message := assertRefused(t, resp, body, test.status, test.code)
		assert.Equal(t, test.message, message, "%s %s %s", test.method, test.path, test.body)
		if test.status == http.StatusMethodNotAllowed {
			assert.Equal(t, test.message[strings.Index(test.message, "takes ")+len("takes "):], resp.Header.Get("Allow"))
		}
	}
	assert.Empty(t, fake.Keys())
}

// bodyOf is a body of that many bytes, whose length the client does not tell.
type bodyOf struct{ left int64 }

func (b *bodyOf) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), b.left)
	for i := range p[:n] {
		p[i] = '['
	}
	b.left -= n
	return int(n), nil
}

func TestHandlerBodyLimit(t *testing.T) {
	t.Parallel()
	fake := miniredis.RunT(t)
	binding := newBinding(t, map[string]string{"redisHost": fake.Addr()})
	bindings := map[string]OutputBinding{"store": binding}
	const head, tail = `{"operation":"create","metadata":{"key":"k"},"data":"`, `"}`
	post := func(h http.Handler, body io.Reader) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/v1.0/bindings/store", body))
		return recorder
	}
	for _, h := range []http.Handler{Handler(bindings), Handler(bindings, WithBodyLimit(0))} {
		value := strings.Repeat("x", DefaultBodyLimit-len(head)-len(tail))
		require.Equal(t, 204, post(h, strings.NewReader(head+value+tail)).Code)
		require.Equal(t, 413, post(h, strings.NewReader(head+value+"x"+tail)).Code)
		stored, _ := fake.Get("k")
		require.Equal(t, `"`+value+`"`, stored)
	}
	long := head + strings.Repeat("x", 2*DefaultBodyLimit) + tail
	require.Equal(t, 204, post(Handler(bindings, WithBodyLimit(-1)), strings.NewReader(long)).Code)

	// What says that it is too long is not even read.
	told := httptest.NewRequest(http.MethodPost, "/v1.0/bindings/store", iotest.ErrReader(errors.New("it is read")))
	told.ContentLength = 100 << 20
	recorder := httptest.NewRecorder()
	Handler(bindings).ServeHTTP(recorder, told)
	assert.Equal(t, 413, recorder.Code)
}

// A body costs no more memory than a small multiple of the limit, whatever it is.
func TestHandlerMemory(t *testing.T) {
	h := Handler(map[string]OutputBinding{"store": stubBinding{invoke: func(context.Context, *InvokeRequest) (*InvokeResponse, error) {
		return &InvokeResponse{}, nil
	}}})
	entries := []byte(`{"metadata":{"":""`)
	for i := 0; len(entries) < DefaultBodyLimit-20; i++ {
		entries = fmt.Appendf(entries, `,"%d":""`, i)
	}
	for name, test := range map[string]struct {
		body   io.Reader
		status int
	}{
		"100 MB":       {&bodyOf{100 << 20}, 413},
		"brackets":     {io.LimitReader(&bodyOf{100 << 20}, DefaultBodyLimit), 400},
		"data":         {strings.NewReader(`{"data":"` + strings.Repeat("x", DefaultBodyLimit-11) + `"}`), 204},
		"base64":       {strings.NewReader(`{"metadata":{"contentEncoding":"base64"},"data":"` + strings.Repeat("AAAA", DefaultBodyLimit/4-16) + `"}`), 204},
		"a name":       {strings.NewReader(`{"metadata":{"` + strings.Repeat("x", DefaultBodyLimit-20) + `":""}}`), 204},
		"many entries": {bytes.NewReader(append(entries, "}}"...)), 204},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/v1.0/bindings/store", test.body))
		runtime.ReadMemStats(&after)
		assert.Equal(t, test.status, recorder.Code, name)
		t.Logf("%s: %.1f of the limit", name, float64(after.TotalAlloc-before.TotalAlloc)/DefaultBodyLimit)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(25*DefaultBodyLimit), name)
	}
}

func TestHandlerErrors(t *testing.T) {
	t.Parallel()
	fake := miniredis.RunT(t)
	metadata := map[string]string{"redisHost": fake.Addr()}
	binding := newBinding(t, metadata)
	closed := newBinding(t, metadata)
	require.NoError(t, closed.Close())
	silent := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	down, err := NewRedisBinding(map[string]string{"redisHost": "127.0.0.1:1"}, WithLazyConnect())
	require.NoError(t, err)
	defer down.Close()
	proxied := redistest.StartProxied(t, "plain")
	lossy := newBinding(t, proxied.Fields("readTimeout", "1m"))
	slow, err := NewRedisBinding(proxied.Fields("readTimeout", "1s"), WithLazyConnect())
	require.NoError(t, err)
	defer slow.Close()
	odd := listen(t, func(conn net.Conn) { // says something, but not in the protocol
		_, _ = conn.Read(make([]byte, 1000))
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	strange, err := NewRedisBinding(map[string]string{"redisHost": odd}, WithLazyConnect())
	require.NoError(t, err)
	defer strange.Close()
	undialable, err := NewRedisBinding(map[string]string{"redisHost": silent, "enableTLS": "true", "dialTimeout": "20ms"}, WithLazyConnect())
	require.NoError(t, err)
	defer undialable.Close()

	url := serve(t, map[string]OutputBinding{"store": binding, "closed": closed, "down": down, "slow": slow, "lossy": lossy,
		"undialable": undialable, "strange": strange,
		"canceled": failing(context.Canceled), "busy": failing(redis.ErrPoolTimeout), "tokenless": failing(ErrNoToken),
		"unavailable": failing(fmt.Errorf("remote: %w", ErrUnavailable)),
		"interrupted": failing(&failure{error: fmt.Errorf("%w: %w", ErrClosed, os.ErrDeadlineExceeded), outcome: unknown}),
		"late":        failing(fmt.Errorf("late: %w", context.DeadlineExceeded)), "other": failing(errors.New("other")),
	})
	post := func(name, document string) (answered, string) {
		return exchange(t, http.MethodPost, url+"/v1.0/bindings/"+name, document)
	}
	const get, increment = `{"operation":"get","metadata":{"key":"k"}}`, `{"operation":"increment","metadata":{"key":"k"}}`

	require.NoError(t, fake.Set("k", "no number"))
	resp, body := post("store", increment)
	message := assertRefused(t, resp, body, 500, codeInvoke)
	assert.Equal(t, "error invoking output binding store: redisbinding: increment: ERR value is not an integer or out of range", message)
	fake.SetError("LOADING Redis is loading the dataset in memory")
	resp, body = post("store", get)
	assertRefused(t, resp, body, 503, codeInvoke)

	for name, status := range map[string]int{"closed": 503, "down": 503, "busy": 503, "tokenless": 503, "undialable": 503, "late": 504, "canceled": 504, "other": 500, "unavailable": 502, "interrupted": 502, "strange": 503} {
		resp, body = post(name, get)
		assertRefused(t, resp, body, status, codeInvoke)
	}
	proxied.Proxies[0].SwallowReplies(true) // carried out, and nobody hears of it
	for _, document := range []string{get, increment} {
		resp, body = post("lossy", document)
		assertRefused(t, resp, body, 502, codeInvoke)
	}
	proxied.Proxies[0].SwallowReplies(false)
	proxied.Proxies[0].HoldNextReply(t)
	resp, body = post("slow", get)
	assertRefused(t, resp, body, 504, codeInvoke)
}

// A client that goes away ends its call.
func TestHandlerContext(t *testing.T) {
	t.Parallel()
	entered, left := make(chan struct{}), make(chan error, 1)
	url := serve(t, map[string]OutputBinding{"store": stubBinding{invoke: func(ctx context.Context, _ *InvokeRequest) (*InvokeResponse, error) {
		close(entered)
		<-ctx.Done()
		left <- ctx.Err()
		return nil, ctx.Err()
	}}})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1.0/bindings/store", strings.NewReader("{}"))
	require.NoError(t, err)
	go func() {
		<-entered
		cancel()
	}()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	_, err = client.Do(req) //nolint:bodyclose // there is no answer
	require.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, <-left, context.Canceled)
}

func TestHandlerResponses(t *testing.T) {
	t.Parallel()
	contentType := "text/plain"
	for _, test := range []struct {
		resp   *InvokeResponse
		status int
		header http.Header
	}{
		{nil, 204, http.Header{}},
		{&InvokeResponse{Metadata: map[string]string{"etag": "5"}}, 204, http.Header{"Metadata.etag": {"5"}}},
		{&InvokeResponse{Data: []byte{}}, 200, http.Header{"Content-Type": {"application/json"}, "Content-Length": {"0"}}},
		{&InvokeResponse{Data: []byte("hello"), ContentType: &contentType}, 200, http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"5"}}},
		{&InvokeResponse{Data: []byte("x"), Metadata: map[string]string{"split": "a\r\nSet-Cookie: b"}}, 200,
			http.Header{"Content-Type": {"application/json"}, "Content-Length": {"1"}}},
		{&InvokeResponse{Data: []byte("x"), Metadata: map[string]string{"nul": "a\x00b", "no name": "x", "": "x", "good": "ü"}}, 200,
			http.Header{"Content-Type": {"application/json"}, "Content-Length": {"1"}, "Metadata.": {"x"}, "Metadata.good": {"ü"}}},
	} {
		url := serve(t, map[string]OutputBinding{"a/b": stubBinding{invoke: func(context.Context, *InvokeRequest) (*InvokeResponse, error) {
			return test.resp, nil
		}}})
		resp, body := exchange(t, http.MethodPost, url+"/v1.0/bindings/a%2Fb", "{}")
		assert.Equal(t, test.status, resp.StatusCode)
		test.header.Set("X-Content-Type-Options", "nosniff")
		resp.Header.Del("Date")
		resp.Header.Del("Connection")
		assert.Equal(t, test.header, resp.Header)
		if test.resp != nil {
			assert.Equal(t, string(test.resp.Data), body)
		}
	}
}

func TestHandlerToken(t *testing.T) {
	t.Parallel()
	fake := miniredis.RunT(t)
	bindings := map[string]OutputBinding{"store": newBinding(t, map[string]string{"redisHost": fake.Addr()})}
	const create = `{"operation":"create","metadata":{"key":"k"},"data":1}`
	url := serve(t, bindings, WithAPIToken("s3cret"))
	for _, headers := range [][]string{nil, {APITokenHeader, ""}, {APITokenHeader, "s3cre"}, {APITokenHeader, "s3cretx"}, {"Authorization", "s3cret"}} {
		for _, path := range []string{"/v1.0/bindings/store", "/v1.0/bindings/nobody", "/v1.0/metadata", "/elsewhere"} {
			resp, body := exchange(t, http.MethodPost, url+path, create, headers...)
			message := assertRefused(t, resp, body, 401, codeUnauthorized)
			assert.NotContains(t, message, "s3cret")
		}
	}
	assert.Empty(t, fake.Keys())
	resp, body := exchange(t, http.MethodPost, url+"/v1.0/bindings/store", create, "Dapr-Api-Token", "s3cret")
	assert.Equal(t, 204, resp.StatusCode, body)
	assert.Equal(t, []string{"k"}, fake.Keys())

	// Whoever checks its health has no token, and learns nothing but that.
	resp, body = exchange(t, http.MethodGet, url+"/v1.0/healthz", "")
	assert.Equal(t, 204, resp.StatusCode, body)
	fake.Close()
	resp, body = exchange(t, http.MethodGet, url+"/v1.0/healthz", "")
	assert.Equal(t, "not ready", assertRefused(t, resp, body, 503, codeNotReady))
	resp, body = exchange(t, http.MethodGet, url+"/v1.0/healthz", "", APITokenHeader, "s3cret")
	assert.Contains(t, assertRefused(t, resp, body, 503, codeNotReady), "binding store: redisbinding: ping: ")

	for _, headers := range [][]string{nil, {APITokenHeader, "any"}} {
		resp, _ = exchange(t, http.MethodGet, serve(t, bindings, WithAPIToken(""))+"/v1.0/metadata", "", headers...)
		assert.Equal(t, 200, resp.StatusCode, "an empty token is none")
	}
}

func TestHandlerHealth(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/v1.0/healthz", "/v1.0/healthz/outbound"} {
		resp, body := exchange(t, http.MethodGet, serve(t, nil)+path, "")
		assert.Equal(t, 204, resp.StatusCode, body)
		well, first, second := stubBinding{}, stubBinding{ping: errors.New("first")}, stubBinding{ping: errors.New("second")}
		resp, body = exchange(t, http.MethodGet, serve(t, map[string]OutputBinding{"a": well, "b": well})+path, "")
		assert.Equal(t, 204, resp.StatusCode, body)
		assert.Empty(t, body)
		resp, body = exchange(t, http.MethodGet, serve(t, map[string]OutputBinding{"a": first, "b": well, "c": second})+path, "")
		assert.Equal(t, "binding a: first\nbinding c: second", assertRefused(t, resp, body, 503, codeNotReady))
	}
	resp, body := exchange(t, http.MethodGet, serve(t, nil)+"/v1.0/bindings/store", "")
	assertRefused(t, resp, body, 405, codeNoMethod)
	resp, body = exchange(t, http.MethodPost, serve(t, nil)+"/v1.0/bindings/store", "")
	assert.Equal(t, `no output binding "store": there are none`, assertRefused(t, resp, body, 404, codeInvoke))
}

// One after the other they could not both come to the meeting.
func TestHandlerPingsAtOnce(t *testing.T) {
	t.Parallel()
	var meeting sync.WaitGroup
	meeting.Add(2)
	meets := stubBinding{pinged: func() {
		meeting.Done()
		meeting.Wait()
	}}
	resp, _ := exchange(t, http.MethodGet, serve(t, map[string]OutputBinding{"a": meets, "b": meets})+"/v1.0/healthz", "")
	assert.Equal(t, 204, resp.StatusCode)

	// A panic is the request's, which net/http recovers, and not the process's.
	panics := stubBinding{pinged: func() { panic("out of order") }}
	h := Handler(map[string]OutputBinding{"a": stubBinding{}, "b": panics})
	assert.PanicsWithValue(t, "out of order", func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v1.0/healthz", nil))
	})
}

func TestHandlerSlowBody(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(Handler(map[string]OutputBinding{"store": stubBinding{}}))
	server.Config.ReadTimeout = 500 * time.Millisecond
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "POST /v1.0/bindings/store HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	message := assertRefused(t, answered{resp.StatusCode, resp.Header}, string(body), 408, codeMalformed)
	assert.Equal(t, "failed deserializing HTTP body: it did not come in time", message)
}

// Clients of daprd ask for its metadata before anything else.
func TestHandlerMetadata(t *testing.T) {
	t.Parallel()
	fake := miniredis.RunT(t)
	url := serve(t, map[string]OutputBinding{"store": newBinding(t, map[string]string{"redisHost": fake.Addr()})})
	resp, body := exchange(t, http.MethodGet, url+"/v1.0/metadata", "")
	assert.Equal(t, 200, resp.StatusCode)
	assert.JSONEq(t, `{"components":[{"name":"store","capabilities":["create","get","delete","increment"]}]}`, body)
	_, body = exchange(t, http.MethodGet, serve(t, nil)+"/v1.0/metadata", "")
	assert.JSONEq(t, `{"components":[]}`, body)
}

func TestHandlerKeepsItsBindings(t *testing.T) {
	t.Parallel()
	bindings := map[string]OutputBinding{"store": stubBinding{}}
	url := serve(t, bindings)
	bindings["late"] = stubBinding{ping: errors.New("not mine")}
	resp, _ := exchange(t, http.MethodGet, url+"/v1.0/healthz", "")
	assert.Equal(t, 204, resp.StatusCode)
	assert.PanicsWithValue(t, `redisbinding: Handler: binding "store" is nil`, func() { Handler(map[string]OutputBinding{"store": nil}) })
}

// FuzzHandler: whatever body is posted is answered, and only what was carried out is stored.
func FuzzHandler(f *testing.F) {
	for document := range badDocuments {
		f.Add([]byte(document))
	}
	f.Add([]byte(`{"operation":"create","metadata":{"key":"k"},"data":{"a":[1,2,"<>"]}}`))
	f.Add([]byte(`{"operation":"create","metadata":{"key":"k"}}{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var got *InvokeRequest
		h := Handler(map[string]OutputBinding{"store": stubBinding{invoke: func(_ context.Context, req *InvokeRequest) (*InvokeResponse, error) {
			got = req
			return &InvokeResponse{Data: req.Data}, nil
		}}})
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/v1.0/bindings/store", bytes.NewReader(body)))
		switch recorder.Code {
		case 200, 204:
			require.NotNil(t, got)
			require.True(t, json.Valid(body))
			require.Equal(t, string(got.Data), recorder.Body.String())
		case 400:
			require.Nil(t, got)
			require.Contains(t, recorder.Body.String(), codeMalformed)
		default:
			t.Fatal(recorder.Code, recorder.Body)
		}
	})
}
