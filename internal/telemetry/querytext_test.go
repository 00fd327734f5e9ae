package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestQueryText(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		call Call
		want string
	}{
		"key alone":     {Call{Command: "GET", Key: "user:42"}, "GET user:42"},
		"arguments":     {Call{Command: "SET", Key: "user:42", Arguments: "? EX ?"}, "SET user:42 ? EX ?"},
		"script":        {Call{Command: "EVAL", Script: "increment", Key: "n", Arguments: "?"}, "EVAL ? 1 n ?"},
		"empty key":     {Call{Command: "GET"}, `GET ""`},
		"space":         {Call{Command: "GET", Key: "a b"}, `GET "a b"`},
		"another line":  {Call{Command: "GET", Key: "a\nb"}, `GET "a\nb"`},
		"quotes":        {Call{Command: "GET", Key: `a"b`}, `GET "a\"b"`},
		"semicolon":     {Call{Command: "GET", Key: "a;b"}, `GET "a;b"`},
		"question mark": {Call{Command: "GET", Key: "?"}, `GET "?"`},
		"letters":       {Call{Command: "GET", Key: "größe"}, "GET größe"},
		"no text":       {Call{Command: "GET", Key: "\xff"}, `GET "\xff"`},
		"no letter":     {Call{Command: "GET", Key: "a\x00"}, `GET "a\x00"`},
		"longest":       {Call{Command: "GET", Key: strings.Repeat("k", 256)}, "GET " + strings.Repeat("k", 256)},
		"too long":      {Call{Command: "GET", Key: strings.Repeat("k", 257)}, "GET " + strings.Repeat("k", 256) + "…"},
		"cut in a rune": {Call{Command: "GET", Key: "k" + strings.Repeat("ö", 200)}, "GET k" + strings.Repeat("ö", 127) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			got := queryText(test.call)
			assert.Equal(t, test.want, got)
			assert.True(t, utf8.ValidString(got))
		})
	}
}

func TestBatchText(t *testing.T) {
	t.Parallel()
	get := func(key string) Call { return Call{Command: "GET", Key: key} }
	assert.Equal(t, "GET a; SET b ?; GET a", batchText(slices.Values([]Call{get("a"), {Command: "SET", Key: "b", Arguments: "?"}, get("a")})))
	assert.Equal(t, "GET a", batchText(slices.Values([]Call{get("a"), get("a")})))

	many := make([]Call, 1000)
	for i := range many {
		many[i] = get(strings.Repeat("k", 1+i%100))
	}
	text := batchText(slices.Values(many))
	assert.LessOrEqual(t, len(text), maxText+len(leftOut))
	assert.Greater(t, len(text), maxText-256)
	assert.True(t, strings.HasSuffix(text, "; …"), text[len(text)-10:])

	same := make([]Call, 1000)
	for i := range same {
		same[i] = get(strings.Repeat("k", 100))
	}
	assert.Equal(t, queryText(same[0]), batchText(slices.Values(same)))
}

func TestKeysOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	for _, keys := range []bool{false, true} {
		s := newSink(t)
		config := s.config()
		config.Keys = keys
		r := s.recorder(config)
		_, op := r.Start(t.Context(), Call{Command: "SET", Key: "user:42", Arguments: "?"})
		op.End(nil)
		_, op = batchOf(Call{Command: "SET", Key: "user:42", Arguments: "?"}, Call{Command: "GET", Key: "user:43"})(t.Context(), r)
		op.End(reply("ERR no"))

		spans := s.spans.Ended()
		if keys {
			assert.Equal(t, "SET user:42 ?", table(spans[0].Attributes())["db.query.text"])
			assert.Equal(t, "SET user:42 ?; GET user:43", table(spans[1].Attributes())["db.query.text"])
			_, op = batchOf()(t.Context(), r)
			op.End(nil)
			assert.NotContains(t, table(s.spans.Ended()[2].Attributes()), "db.query.text")
		} else {
			for _, span := range spans {
				all := fmt.Sprint(span.Name(), table(span.Attributes()), span.Status(), span.Events())
				assert.NotContains(t, all, "user:4")
				assert.NotContains(t, all, "db.query.text")
			}
		}
		for _, p := range s.durations() { // never, there is no end to keys
			assert.NotContains(t, table(p.Attributes.ToSlice()), "db.query.text")
		}
	}
}
