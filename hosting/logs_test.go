package hosting

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLineWriter(t *testing.T) {
	long := strings.Repeat("x", longestLine)
	tests := map[string]struct {
		writes []string
		lines  []string
	}{
		"lines":                {[]string{"one\ntwo\n"}, []string{"one", "two"}},
		"in pieces":            {[]string{"o", "ne\nt", "wo", "\n"}, []string{"one", "two"}},
		"empty lines":          {[]string{"\n\none\n"}, []string{"", "", "one"}},
		"without an end":       {[]string{"one\ntwo"}, []string{"one", "two"}},
		"CR LF":                {[]string{"one\r\ntwo\r", "\n"}, []string{"one", "two"}},
		"as long as it may be": {[]string{long + "\n"}, []string{long}},
		"too long":             {[]string{long, "more\n"}, []string{long, "more"}},
		"much too long":        {[]string{long + long + "more\nnext\n"}, []string{long, long, "more", "next"}},
		"nothing":              {nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var lines []string
			w := newLineWriter(func(line string) { lines = append(lines, line) })
			for _, text := range test.writes {
				n, err := w.Write([]byte(text))
				require.NoError(t, err)
				assert.Equal(t, len(text), n)
			}
			require.NoError(t, w.Close())
			assert.Equal(t, test.lines, lines)
		})
	}
}

func TestLineWriterOfTwoStreams(t *testing.T) {
	count := 0
	w := newLineWriter(func(line string) {
		assert.Equal(t, "line", line)
		count++
	})
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			for range 1000 {
				_, err := w.Write([]byte("line\n"))
				assert.NoError(t, err)
			}
		})
	}
	writers.Wait()
	assert.Equal(t, 2000, count)
}

func TestRedactor(t *testing.T) {
	hide := newRedactor("s/e?c:r@t", "short", "", "plainsecret")
	for line, hidden := range map[string]string{
		"password=s/e?c:r@t":               "password=***",
		"redis://:s%2Fe%3Fc%3Ar%40t@local": "redis://:***@local",
		"plainsecret and plainsecret":      "*** and ***",
		"a short word":                     "a short word",
		"":                                 "",
	} {
		assert.Equal(t, hidden, hide(line))
	}
	assert.Equal(t, "nothing to hide", newRedactor()("nothing to hide"))
}
