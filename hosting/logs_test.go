package hosting

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLineWriter(t *testing.T) {
	t.Parallel()
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
		"written over":         {[]string{"10%\r50%\rdone\n", "next\n"}, []string{"done", "next"}},
		"over in pieces":       {[]string{"10%", "\r50", "%\r", "done", "\r\n", "next\n"}, []string{"done", "next"}},
		"over without an end":  {[]string{"10%\r50%\r"}, []string{"50%"}},
		"over, and long":       {[]string{long + "\r" + long + "\r", "done\n"}, []string{"done"}},
		"over, and too long":   {[]string{"10%\r" + long + "more\n"}, []string{long, "more"}},
		"over with nothing":    {[]string{"one\r\r\r", "\r\r", "two\r", "\n"}, []string{"two"}},
		"long, CR LF":          {[]string{long + "\r", "\n"}, []string{long}},
		"CR CR LF":             {[]string{"one\r\r\n"}, []string{"one"}},
		"nothing":              {nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var lines []string
			w := newLineWriter(nil, func(line string) { lines = append(lines, line) })
			for _, text := range test.writes {
				n, err := w.Write([]byte(text))
				require.NoError(t, err)
				assert.Equal(t, len(text), n)
			}
			require.NoError(t, w.Close())
			assert.Equal(t, test.lines, lines)
			assert.Equal(t, strings.Join(test.lines, "\n"), w.tail())
		})
	}
}

func TestLineWriterOfTwoStreams(t *testing.T) {
	t.Parallel()
	count := 0
	w := newLineWriter(nil, func(line string) {
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

func TestLineWriterHidesAndKeeps(t *testing.T) {
	t.Parallel()
	var lines []string
	w := newLineWriter(newRedactor("plainsecret"), func(line string) { lines = append(lines, line) })
	assert.Empty(t, w.tail())
	for n := range logLines + 5 {
		_, err := fmt.Fprintf(w, "%d plain", n)
		require.NoError(t, err)
		_, err = w.Write([]byte("secret\n"))
		require.NoError(t, err)
	}
	require.Len(t, lines, logLines+5)
	assert.Equal(t, "0 ***", lines[0])
	assert.Equal(t, strings.Join(lines[5:], "\n"), w.tail())

	_, err := w.Write([]byte("the plainsecret end"))
	require.NoError(t, err)
	assert.NotContains(t, w.tail(), "end", "it may go on")
	require.NoError(t, w.Close())
	assert.Equal(t, strings.Join(append(lines[6:logLines+5:logLines+5], "the *** end"), "\n"), w.tail())
}

func TestRedactor(t *testing.T) {
	t.Parallel()
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
	assert.Equal(t, "***", newRedactor("hunter2", "hunter2-and-more")("hunter2-and-more"), "one is the beginning of the other")
	assert.Equal(t, "nothing to hide", newRedactor()("nothing to hide"))
}
