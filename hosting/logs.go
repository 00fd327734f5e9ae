package hosting

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// longestLine is where a line that does not end is cut into pieces.
const longestLine = 64 << 10

// lineWriter splits what a command writes into lines, and keeps the last ones. Of a line that
// was written over, as progress bars are, it knows only what is seen in the end. It may be
// written to from several goroutines.
type lineWriter struct {
	hide func(string) string // nil: nothing
	emit func(line string)
	mu   sync.Mutex
	rest []byte   // of a line that has no end yet
	last []string // at most logLines, as they were emitted
}

func newLineWriter(hide func(string) string, emit func(line string)) *lineWriter {
	return &lineWriter{hide: hide, emit: emit}
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		line, _, ended := bytes.Cut(w.rest, []byte("\n"))
		seen := bytes.TrimRight(line, "\r")
		start := bytes.LastIndexByte(seen, '\r') + 1
		seen = seen[start:]
		next := len(line) + 1
		if len(seen) > longestLine {
			seen, next = seen[:longestLine], start+longestLine
		} else if !ended {
			// One '\r' stays: of what follows depends what it means.
			w.rest = line[start:min(len(line), start+len(seen)+1)]
			return len(p), nil
		}
		w.show(seen)
		w.rest = w.rest[next:]
	}
}

func (w *lineWriter) show(line []byte) {
	text := string(line)
	if w.hide != nil {
		text = w.hide(text)
	}
	w.last = append(w.last, text)
	w.last = w.last[max(0, len(w.last)-logLines):]
	w.emit(text)
}

// tail is the last lines that were emitted.
func (w *lineWriter) tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.last, "\n")
}

// Close emits what has no line end.
func (w *lineWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) > 0 {
		w.show(bytes.TrimRight(w.rest, "\r"))
		w.rest = nil
	}
	return nil
}

// shortestSecret is how long a password is at least that is looked for in output: shorter ones
// are in words.
const shortestSecret = 6

// newRedactor returns a function that replaces secrets, also as they are in a URI, by ***.
func newRedactor(secrets ...string) func(string) string {
	var pairs []string
	// The longest first: one may be the beginning of another.
	for _, secret := range slices.SortedFunc(slices.Values(secrets), func(a, b string) int { return len(b) - len(a) }) {
		if len(secret) < shortestSecret {
			continue
		}
		forms := []string{secret, url.QueryEscape(secret), strings.TrimPrefix(url.UserPassword("", secret).String(), ":")}
		for i, form := range forms {
			if !slices.Contains(forms[:i], form) {
				pairs = append(pairs, form, "***")
			}
		}
	}
	return strings.NewReplacer(pairs...).Replace
}
