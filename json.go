package redisbinding

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/redisbinding/redisbinding/internal/wording"
)

// The JSON form of requests and responses: {"operation", "metadata", "data"} and
// {"data", "metadata", "contentType"}. Data that is JSON is itself the member
// "data". Other data is a string of base64 there, and the metadata says so.
const (
	// ContentEncodingField is the entry of "metadata" which says, with the value
	// [ContentEncodingBase64], that "data" is a string of base64. It is part of the
	// JSON form only: unmarshalling decodes the data and leaves the entry out, and
	// marshalling writes it when it has to. The name is that of JSON Schema
	// (Validation, section 8.3).
	ContentEncodingField = "contentEncoding"
	// ContentEncodingBase64 is the one value of [ContentEncodingField] that means something
	// here: standard base64 with padding (RFC 4648, section 4).
	ContentEncodingBase64 = "base64"
)

// Members of the JSON form.
const (
	operationMember   = "operation"
	metadataMember    = "metadata"
	dataMember        = "data"
	contentTypeMember = "contentType"
)

// MarshalJSON writes the request as {"operation":..., "metadata":..., "data":...},
// the document that binding runtimes take. Data that is JSON is written as the very
// bytes it is; other data, and data of length 0 that is not nil, as a string of
// base64 with [ContentEncodingField] in the metadata; nil Data and Metadata are left
// out.
//
// encoding/json shortens what a marshaler gives it: json.Marshal removes white space
// between the tokens of Data and writes <, >, &, U+2028 and U+2029 within strings as
// escapes, a json.Encoder with SetEscapeHTML(false) does the former only. The value
// stays the same; who needs the same bytes calls this method. A struct that embeds an
// InvokeRequest is written and read as one, and its other fields are not: name the field.
//
// Metadata that is not UTF-8, which JSON cannot carry, and metadata that has the
// entry [ContentEncodingField] already, with "base64" or beside data that is no JSON,
// are a [*RequestError].
func (r InvokeRequest) MarshalJSON() ([]byte, error) {
	operation, metadata, data, err := document(operationMember, (*string)(&r.Operation), r.Metadata, r.Data)
	if err != nil {
		return nil, &RequestError{Reason: err.Error()}
	}
	return object(operation, metadata, data), nil
}

// UnmarshalJSON reads what MarshalJSON writes. Data becomes the very bytes of the
// member "data", whatever JSON it is, null included; it is nil when the member is
// absent. Nothing of b is kept.
//
// A member of another name or of the wrong type, one that is there twice, and text
// that is no JSON (which json.Unmarshal refuses by itself) are a [*RequestError] that
// says so; the request is then as it was.
func (r *InvokeRequest) UnmarshalJSON(b []byte) error {
	read, err := readDocument(b, operationMember)
	if err != nil {
		return &RequestError{Reason: err.Error()}
	}
	if read == nil {
		return nil
	}
	*r = InvokeRequest{Data: read.data, Metadata: read.metadata}
	if read.text != nil {
		r.Operation = OperationKind(*read.text)
	}
	return nil
}

// MarshalJSON writes the response as {"data":...}, with "metadata" and "contentType"
// when there are any. What [InvokeRequest.MarshalJSON] says of Data holds here too:
// a missing key is {}, and an empty value a string of base64 of length 0.
func (r InvokeResponse) MarshalJSON() ([]byte, error) {
	contentType, metadata, data, err := document(contentTypeMember, r.ContentType, r.Metadata, r.Data)
	if err != nil {
		return nil, fmt.Errorf("redisbinding: the response %w", err)
	}
	return object(data, metadata, contentType), nil
}

// UnmarshalJSON reads what MarshalJSON writes, as [InvokeRequest.UnmarshalJSON] does.
func (r *InvokeResponse) UnmarshalJSON(b []byte) error {
	read, err := readDocument(b, contentTypeMember)
	if err != nil {
		return fmt.Errorf("redisbinding: the response %w", err)
	}
	if read != nil {
		*r = InvokeResponse{Data: read.data, Metadata: read.metadata, ContentType: read.text}
	}
	return nil
}

// member is a member of a JSON object.
type member struct {
	name  string
	value []byte // nil: left out
}

// object writes a JSON object of the members, in their order.
func object(members ...member) []byte {
	size := len("{}")
	for _, m := range members {
		size += len(m.name) + len(m.value) + len(`"":,`)
	}
	b := append(make([]byte, 0, size), '{')
	for _, m := range members {
		if m.value == nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(append(b, '"'), m.name...), `":`...), m.value...)
	}
	return append(b, '}')
}

// document returns the members of a document: the text of that name (nil: none), and
// what requests and responses have in common.
func document(name string, text *string, fields map[string]string, value []byte) (named, metadata, data member, err error) {
	named.name, metadata.name, data.name = name, metadataMember, dataMember
	for field, text := range fields {
		if !utf8.ValidString(field) || !utf8.ValidString(text) {
			return named, metadata, data, fmt.Errorf("has metadata %s that is not UTF-8, which JSON cannot carry", wording.Quoted(field))
		}
		if saysBase64(field, text) {
			return named, metadata, data, fmt.Errorf("has metadata %s, which belongs to the JSON form and is set where it is needed: leave it out", wording.Quoted(field))
		}
	}
	data.value = value
	if value != nil && !isJSON(value) {
		if other, taken := fields[ContentEncodingField]; taken {
			return named, metadata, data, fmt.Errorf("has data that is no JSON, and metadata %s that says %s: leave it out",
				ContentEncodingField, wording.Quoted(other))
		}
		fields = maps.Clone(fields)
		if fields == nil {
			fields = map[string]string{}
		}
		fields[ContentEncodingField] = ContentEncodingBase64
		data.value = append(base64.StdEncoding.AppendEncode([]byte{'"'}, value), '"')
	}
	if fields != nil {
		if metadata.value, err = json.Marshal(fields); err != nil {
			return named, metadata, data, err
		}
	}
	if text != nil {
		if !utf8.ValidString(*text) {
			return named, metadata, data, fmt.Errorf("has a member %s that is not UTF-8, which JSON cannot carry", name)
		}
		named.value, err = json.Marshal(*text)
	}
	return named, metadata, data, err
}

// isJSON says whether data can stand in a document as it is and be found again.
func isJSON(data []byte) bool {
	const deepest = 10000 // of a document that encoding/json takes
	if len(data) == 0 || len(bytes.Trim(data, jsonSpace)) < len(data) || !utf8.Valid(data) || !json.Valid(data) {
		return false
	}
	_, depth := valueLen(data)
	return depth < deepest
}

// saysBase64 says whether the entry of the metadata is the one that belongs to the JSON form.
func saysBase64(name, value string) bool {
	return strings.EqualFold(name, ContentEncodingField) && strings.EqualFold(value, ContentEncodingBase64)
}

// content is what a document says.
type content struct {
	text     *string // the member whose name was asked for
	metadata map[string]string
	data     []byte
}

// readDocument reads a document whose members are "metadata", "data" and the text
// of that name. It returns nil for null, which by the convention of encoding/json
// changes nothing.
func readDocument(b []byte, text string) (*content, error) {
	if !json.Valid(b) { // of who calls UnmarshalJSON himself
		return nil, fmt.Errorf("is no JSON: %w", json.Unmarshal(b, new(json.RawMessage)))
	}
	if kindOf(b) == "null" {
		return nil, nil
	}
	var c content
	inBase64, seen := false, map[string]bool{}
	err := eachMember(b, "", func(name string, value []byte) error {
		if seen[name] {
			return fmt.Errorf("has the member %s twice", wording.Quoted(name))
		}
		seen[name] = true
		var err error
		switch name {
		case text:
			var s string
			if s, err = readString(value); err != nil {
				return fmt.Errorf("has a member %s %w", name, err)
			}
			c.text = &s
		case metadataMember:
			c.metadata, inBase64, err = readMetadata(value)
		case dataMember:
			c.data = value
		default:
			err = fmt.Errorf("has the member %s, which it does not take (it takes %s, %s, %s)",
				wording.Quoted(name), text, metadataMember, dataMember)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case inBase64 && c.data != nil:
		c.data, err = readBase64(c.data)
	default:
		c.data = bytes.Clone(c.data)
	}
	return &c, err
}

// readMetadata reads the metadata, less the entry that belongs to the JSON form,
// and says whether that was there.
func readMetadata(b []byte) (metadata map[string]string, inBase64 bool, err error) {
	if kindOf(b) == "null" {
		return nil, false, nil
	}
	metadata = map[string]string{}
	err = eachMember(b, metadataMember, func(name string, value []byte) error {
		text, err := readString(value)
		if err != nil {
			return fmt.Errorf("has a member metadata %s %w", wording.Quoted(name), err)
		}
		_, twice := metadata[name]
		switch {
		case twice, inBase64 && saysBase64(name, text):
			return fmt.Errorf("has the member %s of metadata twice", wording.Quoted(name))
		case saysBase64(name, text):
			inBase64 = true
		default:
			metadata[name] = text
		}
		return nil
	})
	if inBase64 && len(metadata) == 0 {
		metadata = nil // marshalling has made it
	}
	return metadata, inBase64, err
}

// readBase64 decodes the member "data" of a document that says it is base64.
func readBase64(b []byte) ([]byte, error) {
	text, err := readString(b)
	if err == nil {
		var data []byte
		if data, err = base64.StdEncoding.Strict().DecodeString(text); err == nil {
			return data, nil
		}
	}
	return nil, errors.New(`has a member data that takes a string of base64 (standard, with padding) with "contentEncoding":"base64", and is none`)
}

// eachMember calls do for the members of the object b, which is valid JSON, in their
// order; value is a part of b. The object is the named member of the document, or
// with "" the document itself.
func eachMember(b []byte, object string, do func(name string, value []byte) error) error {
	that, of := "", ""
	if object != "" {
		that, of = "has a member "+object+" that ", " of "+object
	}
	if k := kindOf(b); k != kindObject {
		return fmt.Errorf("%stakes a JSON object, got %s", that, k)
	}
	b = skipSpace(skipSpace(b)[1:])
	for b[0] != '}' {
		n, _ := valueLen(b)
		name, err := readString(b[:n])
		if err != nil {
			return fmt.Errorf("has a name%s %w", of, err)
		}
		b = skipSpace(skipSpace(b[n:])[1:]) // and the colon
		n, _ = valueLen(b)
		if err := do(name, b[:n:n]); err != nil {
			return err
		}
		if b = skipSpace(b[n:]); b[0] == ',' {
			b = skipSpace(b[1:])
		}
	}
	return nil
}

const jsonSpace = " \t\r\n"

func skipSpace(b []byte) []byte { return bytes.TrimLeft(b, jsonSpace) }

// valueLen returns how long the value is that b, which is valid JSON, begins with,
// and how deep lists and objects are in each other in it.
func valueLen(b []byte) (n, deepest int) {
	if !strings.ContainsRune(`"{[`, rune(b[0])) {
		if n = bytes.IndexAny(b, ",}]"+jsonSpace); n < 0 {
			n = len(b)
		}
		return n, 0
	}
	for depth := 0; ; {
		switch b[n] {
		case '"':
			n += stringLen(b[n:]) - 1
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
		if n++; depth == 0 {
			return n, deepest
		}
	}
}

// stringLen returns how long the string is, quotes and all, that b begins with.
func stringLen(b []byte) int {
	for i := 1; ; {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i += 2
		default:
			i++
		}
	}
}

// readString reads a string, and refuses what encoding/json would put U+FFFD in
// place of: keys that differ must not become the same.
func readString(b []byte) (string, error) {
	switch k := kindOf(b); {
	case k != kindString:
		return "", errors.New("that takes a string, got " + k)
	case !utf8.Valid(b):
		return "", errNotUTF8
	case bytes.IndexByte(b, '\\') < 0:
		return string(b[1 : len(b)-1]), nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return "", err
	}
	if strings.ContainsRune(text, utf8.RuneError) && hasLoneSurrogate(b) {
		return "", errNotUTF8
	}
	return text, nil
}

var errNotUTF8 = errors.New("that is not UTF-8")

// hasLoneSurrogate says whether a JSON string has an escape that is half a character.
func hasLoneSurrogate(b []byte) bool {
	for {
		at := bytes.IndexByte(b, '\\')
		if at < 0 {
			return false
		}
		b = b[at:]
		switch unit := utf16Unit(b); {
		case unit < 0: // an escape of two characters
			b = b[2:]
		case unit>>10 == 0xdc00>>10:
			return true
		case unit>>10 == 0xd800>>10:
			if low := utf16Unit(b[6:]); low < 0 || low>>10 != 0xdc00>>10 {
				return true
			}
			b = b[12:]
		default:
			b = b[6:]
		}
	}
}

// utf16Unit returns the number in the escape \uXXXX that b begins with, -1 when
// it begins with something else.
func utf16Unit(b []byte) int {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return int(unit)
}

// What a JSON value is, for errors.
const (
	kindObject = "an object"
	kindString = "a string"
)

// kindOf says what the JSON value that b begins with is.
func kindOf(b []byte) string {
	switch skipSpace(b)[0] {
	case '{':
		return kindObject
	case '[':
		return "a list"
	case '"':
		return kindString
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	}
	return "a number"
}
