package redisbinding

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The documents of the specification, as it prints them.
func TestSpecifiedDocuments(t *testing.T) {
	t.Parallel()
	const data = `{
    "Hello": "World",
    "Lorem": "Ipsum"
  }`
	for document, want := range map[string]InvokeRequest{
		`{
  "operation": "create",
  "metadata": {
    "key": "key1"
  },
  "data": ` + data + `
}`: {Operation: CreateOperation, Metadata: map[string]string{"key": "key1"}, Data: []byte(data)},
		`{
  "operation": "get",
  "metadata": {
    "key": "key1"
  },
  "data": {
  }
}`: {Operation: GetOperation, Metadata: map[string]string{"key": "key1"}, Data: []byte("{\n  }")},
		`{
  "operation": "get",
  "metadata": {
    "key": "key1",
    "delete": "true"
  },
  "data": {
  }
}`: {Operation: GetOperation, Metadata: map[string]string{"key": "key1", "delete": "true"}, Data: []byte("{\n  }")},
		`{
  "operation": "delete",
  "metadata": {
    "key": "key1"
  }
}`: {Operation: DeleteOperation, Metadata: map[string]string{"key": "key1"}},
	} {
		var req InvokeRequest
		require.NoError(t, json.Unmarshal([]byte(document), &req))
		assert.Equal(t, want, req)
		written, err := json.Marshal(req)
		require.NoError(t, err)
		assert.JSONEq(t, document, string(written))
	}

	written, err := json.Marshal(InvokeResponse{Data: []byte(data)})
	require.NoError(t, err)
	assert.Equal(t, `{"data":{"Hello":"World","Lorem":"Ipsum"}}`, string(written))
	written, err = json.Marshal(&InvokeResponse{})
	require.NoError(t, err)
	assert.Equal(t, `{}`, string(written), "missing is absent, not null")
}

// jsonValues are data that stands in a document as it is.
var jsonValues = []string{
	`null`, `true`, `0`, `-0`, `1.0`, `1e400`, `9007199254740993`, `123456789012345678901234567890`, `""`, `"  two  spaces  "`,
	`"<script>&amp;"`, "\"\u2028\u2029\"", `"\u003c\/\ud83d\ude00"`, `"\ud800"`, `[]`, `{}`, `{"z":1,"a":2,"z":3}`, `[1, 2,  3]`, "{\n\t\"a\" : 1\r\n}",
	strings.Repeat("[", 9999) + strings.Repeat("]", 9999),
}

// otherValues are data that does not.
var otherValues = []string{
	"", " ", "text", "\x00", "\xff\xfe", "\"\xff\"", ` {"leading":"space"}`, "{}\n", "{}{}", "01", "nul", `{"a":1`, "\ufeff{}",
	strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat(`{"":[`, 5000) + "1" + strings.Repeat("]}", 5000),
	strings.Repeat("[", 20000) + strings.Repeat("]", 20000),
}

func TestDataKeepsItsBytes(t *testing.T) {
	t.Parallel()
	for _, value := range jsonValues {
		document := `{"operation":"create","metadata":{"key":"k"},"data":` + value + `}`
		var req InvokeRequest
		require.NoError(t, json.Unmarshal([]byte(document), &req), value)
		assert.Equal(t, value, string(req.Data))
		written, err := req.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, document, string(written))

		resp := InvokeResponse{Data: []byte(value)}
		written, err = resp.MarshalJSON()
		require.NoError(t, err)
		assert.Equal(t, `{"data":`+value+`}`, string(written))
		var read InvokeResponse
		require.NoError(t, read.UnmarshalJSON(written))
		assert.Equal(t, resp, read)
	}
	for _, value := range otherValues {
		req := InvokeRequest{Operation: CreateOperation, Metadata: map[string]string{"key": "k"}, Data: []byte(value)}
		written, err := json.Marshal(req)
		require.NoError(t, err, "%q", value)
		assert.Contains(t, string(written), `"contentEncoding":"base64"`)
		assert.NotContains(t, req.Metadata, ContentEncodingField, "the caller's map is his own")
		var read InvokeRequest
		require.NoError(t, json.Unmarshal(written, &read))
		assert.Equal(t, req, read)

		resp := InvokeResponse{Data: []byte(value)}
		written, err = json.Marshal(resp)
		require.NoError(t, err)
		var answered InvokeResponse
		require.NoError(t, json.Unmarshal(written, &answered))
		assert.Equal(t, resp, answered)
	}
}

func TestDataIsACopy(t *testing.T) {
	t.Parallel()
	document := []byte(`{"metadata":{"key":"k"},"data":"value"}`)
	var req InvokeRequest
	require.NoError(t, req.UnmarshalJSON(document))
	for i := range document {
		document[i] = 'X'
	}
	assert.Equal(t, InvokeRequest{Metadata: map[string]string{"key": "k"}, Data: []byte(`"value"`)}, req)
}

// Of what a marshaler writes, an Encoder without HTML escapes keeps what stands in strings.
func TestDataThroughAnEncoder(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(InvokeResponse{Data: []byte("{\"n\": 9007199254740993, \"b\": \" <&>  \", \"a\": 1.0}")}))
	assert.Equal(t, `{"data":{"n":9007199254740993,"b":" <&>  ","a":1.0}}`+"\n", out.String())
}

func TestResponseMembers(t *testing.T) {
	t.Parallel()
	contentType := "text/plain"
	resp := InvokeResponse{Data: []byte("\x01"), Metadata: map[string]string{"etag": "5"}, ContentType: &contentType}
	written, err := json.Marshal(resp)
	require.NoError(t, err)
	assert.Equal(t, `{"data":"AQ==","metadata":{"contentEncoding":"base64","etag":"5"},"contentType":"text/plain"}`, string(written))
	var read InvokeResponse
	require.NoError(t, json.Unmarshal(written, &read))
	assert.Equal(t, resp, read)
}

func TestRequestDocuments(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]InvokeRequest{
		`{}`:                            {},
		`null`:                          {},
		`{"metadata":null,"data":null}`: {Data: []byte("null")},
		`{"metadata":{}}`:               {Metadata: map[string]string{}},
		`{"data":"QUJD","metadata":{"contentEncoding":"base64"}}`:                 {Data: []byte("ABC")},
		`{"metadata":{"ContentEncoding":"BASE64","key":"k"},"data":""}`:           {Data: []byte{}, Metadata: map[string]string{"key": "k"}},
		`{"metadata":{"contentEncoding":"base64"}}`:                               {},
		`{"metadata":{"contentEncoding":"gzip"},"data":"QUJD"}`:                   {Data: []byte(`"QUJD"`), Metadata: map[string]string{"contentEncoding": "gzip"}},
		`{"operation":"\u0067et","metadata":{"key":"\ud83d\ude00\ufffd\\ud800"}}`: {Operation: GetOperation, Metadata: map[string]string{"key": "😀\ufffd\\ud800"}},
		"{ \"data\" : [1 , 2] ,\n \"operation\":\"create\"}":                      {Operation: CreateOperation, Data: []byte("[1 , 2]")},
	} {
		var req InvokeRequest
		require.NoError(t, json.Unmarshal([]byte(document), &req), document)
		assert.Equal(t, want, req, document)
	}
}

// badDocuments are what is wrong with each.
var badDocuments = map[string]string{
	`[]`:                                 "redisbinding: the request takes a JSON object, got a list",
	`"create"`:                           "redisbinding: the request takes a JSON object, got a string",
	`7`:                                  "redisbinding: the request takes a JSON object, got a number",
	`true`:                               "redisbinding: the request takes a JSON object, got a boolean",
	`{"operation":1}`:                    "redisbinding: the request has a member operation that takes a string, got a number",
	`{"operation":null}`:                 "redisbinding: the request has a member operation that takes a string, got null",
	`{"metadata":[]}`:                    "redisbinding: the request has a member metadata that takes a JSON object, got a list",
	`{"metadata":{"a":1}}`:               `redisbinding: the request has a member metadata "a" that takes a string, got a number`,
	`{"metadata":{"key":"a","key":"b"}}`: `redisbinding: the request has the member "key" of metadata twice`,
	`{"operation":"get","operation":"delete"}`: `redisbinding: the request has the member "operation" twice`,
	`{"data":1,"data":1}`:                      `redisbinding: the request has the member "data" twice`,
	`{"Operation":"get"}`:                      `redisbinding: the request has the member "Operation", which it does not take (it takes operation, metadata, data)`,
	`{"ttl":1}`:                                `redisbinding: the request has the member "ttl", which it does not take (it takes operation, metadata, data)`,
	`{"metadata":{"key":"\ud800"}}`:            `redisbinding: the request has a member metadata "key" that is not UTF-8`,
	`{"metadata":{"key":"\ud800\u0041"}}`:      `redisbinding: the request has a member metadata "key" that is not UTF-8`,
	`{"metadata":{"key":"\udc00"}}`:            `redisbinding: the request has a member metadata "key" that is not UTF-8`,
	"{\"metadata\":{\"key\":\"\xff\"}}":        `redisbinding: the request has a member metadata "key" that is not UTF-8`,
	`{"metadata":{"\ud800":"x"}}`:              `redisbinding: the request has a name of metadata that is not UTF-8`,
	"{\"\xff\":1}":                             `redisbinding: the request has a name that is not UTF-8`,
	`{"dat\u0061":1,"data":2}`:                 `redisbinding: the request has the member "data" twice`,
	`{"metadata":{"contentEncoding":"base64","contentencoding":"BASE64"},"data":""}`: `redisbinding: the request has the member "contentencoding" of metadata twice`,
	`{"metadata":{"contentEncoding":"base64"},"data":"QUI"}`:                         `redisbinding: the request has a member data that takes a string of base64 (standard, with padding) with "contentEncoding":"base64", and is none`,
	`{"metadata":{"contentEncoding":"base64"},"data":"QUK="}`:                        `redisbinding: the request has a member data that takes a string of base64 (standard, with padding) with "contentEncoding":"base64", and is none`,
	`{"metadata":{"contentEncoding":"base64"},"data":"\ud800"}`:                      `redisbinding: the request has a member data that takes a string of base64 (standard, with padding) with "contentEncoding":"base64", and is none`,
	`{"metadata":{"contentEncoding":"base64"},"data":{}}`:                            `redisbinding: the request has a member data that takes a string of base64 (standard, with padding) with "contentEncoding":"base64", and is none`,
	`{"metadata":{"contentEncoding":"base64"},"data":"QUJD*"}`:                       `redisbinding: the request has a member data that takes a string of base64 (standard, with padding) with "contentEncoding":"base64", and is none`,
	`{"metadata":{"contentEncoding":"base64"},"data":"not base64"}`:                  `redisbinding: the request has a member data that takes a string of base64 (standard, with padding) with "contentEncoding":"base64", and is none`,
}

func TestBadDocuments(t *testing.T) {
	t.Parallel()
	for document, want := range badDocuments {
		before := InvokeRequest{Operation: "kept", Data: []byte("kept")}
		req := before
		err := json.Unmarshal([]byte(document), &req)
		require.EqualError(t, err, want, document)
		var bad *RequestError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, before, req, "nothing is half read")

		var resp InvokeResponse
		if err := json.Unmarshal([]byte(document), &resp); assert.Error(t, err) {
			assert.True(t, strings.HasPrefix(err.Error(), "redisbinding: the response "), "%v", err)
			assert.False(t, errors.As(err, &bad))
		}
	}
	// What encoding/json never hands on.
	for _, document := range []string{``, ` `, `{`, `{"data"`, `{"data":`, `{"data":1`, `{"data":tru}`, `{"data":1}{}`, `{"data":1} x`, `x`, `{data:1}`,
		`{"metadata":{"a":"b"`, "\ufeff{}", strings.Repeat("[", 20000)} {
		err := new(InvokeRequest).UnmarshalJSON([]byte(document))
		require.ErrorContains(t, err, "redisbinding: the request is no JSON: ", document)
		var syntax *json.SyntaxError
		assert.ErrorAs(t, json.Unmarshal([]byte(document), new(InvokeRequest)), &syntax)
	}
}

func TestUnwritableDocuments(t *testing.T) {
	t.Parallel()
	invalid := "a\xff"
	for want, req := range map[string]InvokeRequest{
		`redisbinding: the request has metadata "key" that is not UTF-8, which JSON cannot carry`:                                              *request(GetOperation, invalid),
		`redisbinding: the request has metadata "a\xff" that is not UTF-8, which JSON cannot carry`:                                            {Metadata: map[string]string{invalid: ""}},
		`redisbinding: the request has a member operation that is not UTF-8, which JSON cannot carry`:                                          {Operation: OperationKind(invalid)},
		`redisbinding: the request has metadata "contentencoding", which belongs to the JSON form and is set where it is needed: leave it out`: *request(GetOperation, "k", "contentencoding", "base64"),
		`redisbinding: the request has data that is no JSON, and metadata contentEncoding that says "gzip": leave it out`:                      *create("k", "\x00", "contentEncoding", "gzip"),
	} {
		_, err := req.MarshalJSON()
		require.EqualError(t, err, want)
		var bad *RequestError
		assert.ErrorAs(t, err, &bad)
	}
	_, err := InvokeResponse{ContentType: &invalid}.MarshalJSON()
	assert.EqualError(t, err, "redisbinding: the response has a member contentType that is not UTF-8, which JSON cannot carry")
}

// FuzzJSONData: whatever data and key a request has, its document brings them back.
func FuzzJSONData(f *testing.F) {
	for _, value := range append(jsonValues, otherValues...) {
		f.Add([]byte(value), "create", "key", "k")
	}
	f.Add([]byte("{}"), "get", "contentEncoding", "base64")
	f.Add([]byte("\x00"), "<&>", "\u2028", "\ufffd")
	f.Fuzz(func(t *testing.T, data []byte, operation, field, value string) {
		req := InvokeRequest{Operation: OperationKind(operation), Metadata: map[string]string{field: value}, Data: data}
		written, err := req.MarshalJSON()
		if err != nil {
			var bad *RequestError
			require.ErrorAs(t, err, &bad)
			return
		}
		require.True(t, json.Valid(written), "%s", written)
		var read InvokeRequest
		require.NoError(t, json.Unmarshal(written, &read))
		require.Equal(t, req, read)

		resp := InvokeResponse{Data: data, Metadata: req.Metadata, ContentType: &value}
		written, err = resp.MarshalJSON()
		require.NoError(t, err)
		var answered InvokeResponse
		require.NoError(t, json.Unmarshal(written, &answered))
		require.Equal(t, resp, answered)
	})
}

// FuzzJSONRequest: whatever a document is, it is read as a request that can be
// written and read again to the same, or refused as one thing or another; and so is
// that document without encoding/json before it.
func FuzzJSONRequest(f *testing.F) {
	for document := range badDocuments {
		f.Add([]byte(document))
	}
	for _, value := range jsonValues {
		f.Add([]byte(`{"operation":"create","metadata":{"key":"k"},"data":` + value + `}`))
	}
	f.Add([]byte(`{"metadata":{"contentEncoding":"base64"},"data":"AAEC"}`))
	f.Add([]byte(`{"metadata":{"contentEncoding":"gzip"},"data":"\ud800"}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		var direct InvokeRequest
		errDirect := direct.UnmarshalJSON(document)
		var req InvokeRequest
		err := json.Unmarshal(document, &req)
		require.Equal(t, err == nil, errDirect == nil, "%v, %v", err, errDirect)
		if err != nil {
			var bad *RequestError
			require.ErrorAs(t, errDirect, &bad)
			return
		}
		require.Equal(t, req, direct)
		written, err := req.MarshalJSON()
		if err != nil {
			return // data in bytes that are no UTF-8, beside an encoding of the caller's
		}
		var again InvokeRequest
		require.NoError(t, json.Unmarshal(written, &again))
		if len(req.Metadata) == 0 { // none and no entries are one to a document that adds an entry
			req.Metadata, again.Metadata = nil, nil
		}
		require.Equal(t, req, again)
	})
}
