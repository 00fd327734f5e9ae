package redisbinding

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// echoing is a binding that answers the data that it is sent.
func echoing() stubBinding {
	return stubBinding{invoke: func(_ context.Context, req *InvokeRequest) (*InvokeResponse, error) {
		return &InvokeResponse{Data: req.Data}, nil
	}}
}

// serveDirectly hands a request to the handler as it is.
func serveDirectly(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder
}

// The token is one header: nothing else is taken for it.
func TestHandlerTokenHeader(t *testing.T) {
	t.Parallel()
	h := Handler(map[string]OutputBinding{"store": echoing()}, WithAPIToken("s3cret"))
	for name, test := range map[string]struct {
		target string
		header http.Header
		status int
	}{
		"none":                         {"/v1.0/bindings/store", nil, 401},
		"in the query":                 {"/v1.0/bindings/store?dapr-api-token=s3cret&" + APITokenHeader + "=s3cret", nil, 401},
		"in the path":                  {"/v1.0/bindings/store;dapr-api-token=s3cret", nil, 401},
		"as user":                      {"http://s3cret:s3cret@x/v1.0/bindings/store", nil, 401},
		"in a cookie":                  {"/v1.0/bindings/store", http.Header{"Cookie": {"dapr-api-token=s3cret"}}, 401},
		"bearer":                       {"/v1.0/bindings/store", http.Header{"Authorization": {"Bearer s3cret"}}, 401},
		"in a list":                    {"/v1.0/bindings/store", http.Header{"Dapr-Api-Token": {"x, s3cret"}}, 401},
		"in other letters":             {"/v1.0/bindings/store", http.Header{"Dapr-Api-Token": {"S3CRET"}}, 401},
		"with more behind a zero":      {"/v1.0/bindings/store", http.Header{"Dapr-Api-Token": {"s3cret\x00"}}, 401},
		"very long":                    {"/v1.0/bindings/store", http.Header{"Dapr-Api-Token": {strings.Repeat("s3cret", 1<<18)}}, 401},
		"twice, the second is right":   {"/v1.0/bindings/store", http.Header{"Dapr-Api-Token": {"x", "s3cret"}}, 401},
		"twice, the first is empty":    {"/v1.0/bindings/store", http.Header{"Dapr-Api-Token": {"", "s3cret"}}, 401},
		"right":                        {"/v1.0/bindings/store", http.Header{"Dapr-Api-Token": {"s3cret"}}, 200},
		"right, for another method":    {"/v1.0/bindings/store", http.Header{"Dapr-Api-Token": {"s3cret"}, "X-Http-Method-Override": {"GET"}}, 200},
		"right, for what is not there": {"/v1.0/bindings/nobody", http.Header{"Dapr-Api-Token": {"s3cret"}}, 404},
	} {
		r := httptest.NewRequest(http.MethodPost, test.target, strings.NewReader(`{"data":1}`))
		if test.header != nil {
			r.Header = test.header
		}
		recorder := serveDirectly(h, r)
		assert.Equal(t, test.status, recorder.Code, name)
		assert.NotContains(t, recorder.Body.String(), "s3cret", name)
	}
}

// Who has no token has nothing read, and learns nothing: not what is there, nor what it takes.
func TestHandlerUnauthorizedLearnsNothing(t *testing.T) {
	t.Parallel()
	h := Handler(map[string]OutputBinding{"store": stubBinding{}}, WithAPIToken("s3cret"))
	var first string
	for _, path := range []string{"/v1.0/bindings/store", "/v1.0/bindings/nobody", "/v1.0/bindings", "/v1.0/metadata", "/", "/x"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
			r := httptest.NewRequest(method, "/", iotest.ErrReader(errors.New("it is read")))
			r.URL.Path, r.ContentLength = path, 100<<20
			recorder := serveDirectly(h, r)
			require.Equal(t, 401, recorder.Code, "%s %s", method, path)
			if first == "" {
				first = recorder.Body.String()
			}
			require.Equal(t, first, recorder.Body.String(), "%s %s", method, path)
			require.Empty(t, recorder.Header().Get("Allow"))
		}
	}
}

// A client that asks first whether to send a body is not told to when that would be in vain.
func TestHandlerExpectContinue(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(Handler(map[string]OutputBinding{"store": echoing()}, WithAPIToken("s3cret"), WithBodyLimit(100)))
	defer server.Close()
	for _, test := range []struct {
		name, token, length string
		status              int
	}{
		{"store", "wrong", "10", 401},
		{"store", "s3cret", "101", 413},
		{"nobody", "s3cret", "10", 404},
		{"store", "s3cret", "10", 100},
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		_, err = fmt.Fprintf(conn, "POST /v1.0/bindings/%s HTTP/1.1\r\nHost: x\r\nDapr-Api-Token: %s\r\nContent-Length: %s\r\nExpect: 100-continue\r\n\r\n",
			test.name, test.token, test.length)
		require.NoError(t, err)
		reader := bufio.NewReader(conn)
		resp, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		require.Equal(t, test.status, resp.StatusCode, test)
		if resp.StatusCode == http.StatusContinue {
			_, err = io.WriteString(conn, `{"data":1}`)
			require.NoError(t, err)
			resp, err = http.ReadResponse(reader, nil)
			require.NoError(t, err)
			assert.Equal(t, 200, resp.StatusCode)
		} else {
			assert.True(t, resp.Close, "the body that was announced may follow all the same")
		}
		require.NoError(t, resp.Body.Close())
	}
}

// A body that does not tell its length is cut off at the limit, however much follows.
func TestHandlerChunkedLimit(t *testing.T) {
	t.Parallel()
	h := Handler(map[string]OutputBinding{"store": echoing()}, WithBodyLimit(100))
	body := &bodyOf{1 << 40}
	r := httptest.NewRequest(http.MethodPost, "/v1.0/bindings/store", body)
	r.ContentLength = -1
	assert.Equal(t, 413, serveDirectly(h, r).Code)
	assert.Greater(t, body.left, int64(1<<40-1<<20))
}

// What is small when compressed is not unpacked.
func TestHandlerCompressed(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.WriteString(w, `{"data":1}`)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	resp, body := exchange(t, http.MethodPost, serve(t, map[string]OutputBinding{"store": echoing()})+"/v1.0/bindings/store",
		packed.String(), "Content-Encoding", "gzip")
	assertRefused(t, resp, body, 400, codeMalformed)
}

// Names of bindings are looked up and nothing else: none is a path.
func TestHandlerNames(t *testing.T) {
	t.Parallel()
	for _, mounted := range []string{"store", "a/b", "..", "\x00", "ü"} {
		h := Handler(map[string]OutputBinding{mounted: echoing()})
		for _, asked := range []string{"store", "a/b", "a//b", "..", "../store", "store/..", "./store", "\x00", "store\x00", "ü", "", strings.Repeat("x", 1<<20)} {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
			r.URL.Path = "/v1.0/bindings/" + asked
			recorder := serveDirectly(h, r)
			if asked == mounted {
				assert.Equal(t, 204, recorder.Code, "%q", asked)
				continue
			}
			assert.Equal(t, 404, recorder.Code, "%.20q at %q", asked, mounted)
			assert.Less(t, recorder.Body.Len(), 500, "it is not repeated")
		}
	}
}

// Documents that are made to be hard to read are no harder than others of their length, and
// what is said of them is short. That the test comes to its end is what it shows of time.
func TestHandlerHardDocuments(t *testing.T) {
	t.Parallel()
	const room = 1 << 20 // of time and memory they need in proportion to their length
	h := Handler(map[string]OutputBinding{"store": echoing()}, WithBodyLimit(room+100))
	fill := func(text string) string { return strings.Repeat(text, room/len(text)) }
	list := func(text string) string { return "[" + strings.TrimSuffix(fill(text+","), ",") + "]" }
	nested := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	var entries strings.Builder
	for i := 0; entries.Len() < room-20; i++ {
		fmt.Fprintf(&entries, `,"%d":""`, i)
	}
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"open lists":           {fill("["), 400},
		"open objects":         {fill(`{"":`), 400},
		"too deep":             {`{"data":` + nested(room/2) + `}`, 400},
		"deep":                 {`{"data":` + nested(9999) + `}`, 200},
		"often deep":           {`{"data":` + list(nested(9990)) + `}`, 200},
		"unknown members":      {`{"data":1` + fill(`,"x":1`) + `}`, 400},
		"the same member":      {`{"data":1` + fill(`,"data":1`) + `}`, 400},
		"the same entry":       {`{"metadata":{"x":""` + fill(`,"x":""`) + `}}`, 400},
		"many entries":         {`{"metadata":{"":""` + entries.String() + `}}`, 204},
		"many entries as data": {`{"data":{"":""` + entries.String() + `}}`, 200},
		"a long number":        {`{"data":` + fill("9") + `}`, 200},
		"a huge number":        {`{"data":1e` + fill("9") + `}`, 200},
		"a number for a text":  {`{"operation":` + fill("9") + `}`, 400},
		"a long name":          {`{"` + fill("x") + `":1}`, 400},
		"a name of escapes":    {`{"` + fill(`\u0078`) + `":1}`, 400},
		"half characters":      {`{"operation":"` + fill(`\ud800`) + `"}`, 400},
		"replaced characters":  {`{"operation":"` + fill(`\ufffd`) + `"}`, 200},
		"white space":          {fill(" "), 400},
		"white space between":  {`{` + fill(" ") + `"data":1}`, 200},
		"base64 of escapes":    {`{"metadata":{"contentEncoding":"base64"},"data":"` + fill(`\u0041\u0041\u0041\u0041`) + `"}`, 200},
	} {
		recorder := serveDirectly(h, httptest.NewRequest(http.MethodPost, "/v1.0/bindings/store", strings.NewReader(test.body)))
		if test.status == 200 && !strings.Contains(test.body, `"data"`) {
			test.status = 204
		}
		assert.Equal(t, test.status, recorder.Code, name)
		if recorder.Code == 400 {
			assert.Less(t, recorder.Body.Len(), 500, name)
		}
	}
}

// No entry of a response's metadata, nor its content type, is more than a header of its own.
func TestHandlerResponseHeaders(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{"a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\x00b", "a\x7fb", "a\u0085b"} {
		url := serve(t, map[string]OutputBinding{"store": stubBinding{invoke: func(context.Context, *InvokeRequest) (*InvokeResponse, error) {
			return &InvokeResponse{Data: []byte("x"), ContentType: &evil, Metadata: map[string]string{
				"value": evil, evil: "name", "Content-Length": "999", "Trailer:x": "y", "Set-Cookie": "a=b", "Location": "//x", "x: y": "z",
			}}, nil
		}}})
		resp, body := exchange(t, http.MethodPost, url+"/v1.0/bindings/store", "{}")
		assert.Equal(t, "x", body)
		resp.Header.Del("Date")
		resp.Header.Del("Connection")
		assert.Equal(t, http.Header{
			"Content-Type": {"application/octet-stream"}, "Content-Length": {"1"}, "X-Content-Type-Options": {"nosniff"},
			"Metadata.content-Length": {"999"}, "Metadata.set-Cookie": {"a=b"}, "Metadata.location": {"//x"},
		}, resp.Header, "%q", evil)
	}
}

// A binding that panics ends one request: the server serves on.
func TestHandlerPanic(t *testing.T) {
	t.Parallel()
	panics := stubBinding{invoke: func(context.Context, *InvokeRequest) (*InvokeResponse, error) { panic(http.ErrAbortHandler) }}
	url := serve(t, map[string]OutputBinding{"panics": panics, "store": echoing()})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1.0/bindings/panics", strings.NewReader("{}"))
	require.NoError(t, err)
	_, err = (&http.Transport{DisableKeepAlives: true}).RoundTrip(req) //nolint:bodyclose // there is no answer
	require.Error(t, err)
	resp, _ := exchange(t, http.MethodPost, url+"/v1.0/bindings/store", `{"data":1}`)
	assert.Equal(t, 200, resp.StatusCode)
}
