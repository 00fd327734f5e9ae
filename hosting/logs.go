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

// lineWriter splits what a command writes into lines. It may be written to from several
// goroutines.
type lineWriter struct {
	emit func(line string)
	mu   sync.Mutex
	rest []byte // of a line that has no end yet
}

func newLineWriter(emit func(line string)) *lineWriter { return &lineWriter{emit: emit} }

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		next := end + 1
		if end < 0 || end > longestLine {
			if len(w.rest) <= longestLine {
				return len(p), nil
			}
			end, next = longestLine, longestLine
		}
		w.emit(string(bytes.TrimSuffix(w.rest[:end], []byte("\r"))))
		w.rest = w.rest[next:]
	}
}

// Close emits what has no line end.
func (w *lineWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) > 0 {
		w.emit(string(w.rest))
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
	for _, secret := range secrets {
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
