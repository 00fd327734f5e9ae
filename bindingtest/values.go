package bindingtest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redisbinding/redisbinding"
)

// allBytes returns the 256 bytes there are.
func allBytes() string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return string(all)
}

// values are what something on the way might take for something else.
var values = []string{
	"plain text", " ", " spaces around ", "\n", "x", "日本語 🙂", "+%2B%00&a=b;c",
	allBytes(), "\xff\xfe", "\xc3", "\xed\xa0\x80", "\xef\xbb\xbfafter a byte order mark", "\uFFFD", "e\u0301",
	"\x00", "a\x00b", "\r\n", "a\r\nb\r\n", "\n\n", "*1\r\n$4\r\nPING\r\n", "OK", "nil", "(nil)",
	// JSON, byte for byte.
	`{"n":9007199254740993, "z":1,"a":"<b>&` + "\u2028" + `"}`, `{"a":"<b>&\u2028\u00e9\/"}`,
	" {\t\"a b\" :\r\n[ 1 ,2.0,1e2 ] , \"a b\":\"  x  \" }\n", `{"a":1,"a":2}`, `[]`, `{}`, `[1, 2]`,
	`"a string with its quotes"`, `""`, `"`, `"\ud800"`, `null`, ` null`, `true`, `false`, `0`, `-0`, `1.0`, `1e400`, `12345678901234567890`,
	// No JSON, though it begins so.
	`{"a":1`, `{a:1}`, `[1,]`, `{"a":1}{"b":2}`, `nul`, `01`, `'a'`, `NaN`, "\"a\nb\"", "{\"a\":\"\xff\"}",
	// Base64, data URLs and envelopes that are nobody's but the caller's.
	"aGVsbG8=", "data:text/plain;base64,aGVsbG8=", `{"data":"x"}`, `{"operation":"get","metadata":{"key":"k"}}`, `<a href="x">&amp;</a>`,
}

func keepsValues(c *check) {
	key := c.key("key")
	for _, value := range values {
		c.must(create(key, value))
		c.holds("a get answers the very bytes that were created", key, []byte(value))
		c.same("a get with delete=true answers the very bytes that were created",
			c.must(get(key, redisbinding.DeleteField, "true")), []byte(value))
	}
}

func keepsLargeValues(c *check) {
	random := make([]byte, 1<<20)
	state := uint32(1)
	for i := range random {
		state = state*1664525 + 1013904223
		random[i] = byte(state >> 24)
	}
	for name, value := range map[string][]byte{
		"64 KiB of bytes": random[:1<<16],
		"4095 bytes":      random[:4095],
		"1 MiB of bytes":  random,
		"a byte less":     random[:1<<20-1],
		"1 MiB of text":   []byte(strings.Repeat("0123456789abcdef", 1<<16)),
		"1 MiB of JSON":   []byte(`["` + strings.Repeat("é<", 1<<18) + `"]`),
	} {
		key := c.key(name)
		c.must(create(key, string(value)))
		c.holds("a get answers the very bytes that were created, "+name, key, value)
		c.must(remove(key))
	}
}

// tellsKeysApart has all keys there at once, so that two that come to the same are
// seen.
func tellsKeysApart(c *check) {
	keys := []string{
		"key", "KEY", "key ", " key", "a key", "a  key", "a+key", "a%20key", "a%2Fkey", "a/key", "a//key", "/", "a/../key", ".", "..", "a\\key",
		"?a=b&c#d", "a:b", "a||b", "{tag}a", "{tag}b", "{}", "}{", "*", "[a-z]", `"quoted"`, `'quoted'`, "`", "<b>&amp;", "$HOME", "null", "0", "00",
		"ключ", "日本語", "🙂", "\u00e9", "e\u0301", "\u2028", "\uFFFD", "\uFEFF", "a\tb", "a\nb", "a\r\nb", "a\x00b", "\x7f", "\u0085",
		strings.Repeat("k", 4096), strings.Repeat("k", 4097),
	}
	value := func(i int) []byte { return fmt.Appendf(nil, "the value of key %d", i) }
	for i, key := range keys {
		c.must(create(c.key(key), string(value(i))))
	}
	for i, key := range keys {
		c.same(fmt.Sprintf("each key has its own value, %.60q too", key), c.must(get(c.key(key))), value(i))
	}
	for i, key := range keys {
		c.must(remove(c.key(key)))
		c.missing(fmt.Sprintf("a delete removes its key, %.60q too", key), c.key(key))
		if i+1 < len(keys) {
			c.same(fmt.Sprintf("a delete of %.60q removes no other key", key), c.must(get(c.key(keys[i+1]))), value(i+1))
		}
	}
	// What comes first in a key must not be lost either, where there is no prefix.
	for _, key := range []string{"/" + c.prefix, " " + c.prefix, "\"" + c.prefix, "?" + c.prefix, "ключ" + c.prefix} {
		c.must(create(key, key))
		c.holds(fmt.Sprintf("the key %q keeps its first character", key), key, []byte(key))
		c.missing(fmt.Sprintf("the key %q is not the one without its first character", key), c.prefix)
		c.must(remove(key))
	}
}

// leavesRequest checks that the caller may do with a request what he wants as soon
// as Invoke has returned.
func leavesRequest(c *check) {
	key, other := c.key("key"), c.key("other")
	for _, size := range []int{1, 16, 1 << 10, 1 << 17} {
		want := bytes.Repeat([]byte("v"), size)
		req := create(key, string(want), ttlField, longTTL, "unknown", "field")
		fields := maps.Clone(req.Metadata)
		c.must(req)
		if !bytes.Equal(req.Data, want) || !maps.Equal(req.Metadata, fields) || req.Operation != redisbinding.CreateOperation {
			c.Errorf("Invoke leaves the request as it is: it has become %s", describe(req))
		}
		for i := range req.Data {
			req.Data[i] = 'X'
		}
		req.Metadata[redisbinding.KeyField] = other
		c.holds("the caller may change the request's data after Invoke", key, want)
		c.missing("the caller may change the request's metadata after Invoke", other)
	}
	c.must(remove(key))
}

// leavesResponse checks that a response shares its memory with nobody.
func leavesResponse(c *check) {
	key := c.key("key")
	for _, size := range []int{1, 2, 16, 1 << 10, 1 << 17} {
		want := bytes.Repeat([]byte("v"), size)
		c.must(create(key, string(want)))
		first, second := c.must(get(key)), c.must(get(key))
		c.same("a get", first, want)
		for i := range first {
			first[i] = 'X'
		}
		_ = append(first, bytes.Repeat([]byte("X"), 16)...)
		c.same("the caller may change a response, and that of another stays", second, want)
		c.holds("the caller may change a response, and what is stored stays", key, want)
	}
	// Many small ones, which might be cut from one buffer.
	var got [][]byte
	for i := range 32 {
		c.must(create(key, fmt.Sprintf("value %02d", i)))
		got = append(got, c.must(get(key)))
	}
	for i, data := range slices.Backward(got) {
		c.same("a response stays what it was when others come", data, fmt.Appendf(nil, "value %02d", i))
		_ = append(data, "XXXXXXXX"...)
		for j := range data {
			data[j] = 'X'
		}
	}
	c.must(remove(key))
}
