package hosting

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// terminal is a console on a terminal of that width, and a screen that shows what a person
// sees of what it writes.
func terminal(width int) (*console, *screen) {
	s := &screen{}
	c := newConsole(s)
	c.width, c.colour = func() int { return width }, true
	return c, s
}

// screen is a terminal that knows the escape sequences that a console writes.
type screen struct {
	lines []string
	raw   strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.raw.Write(p)
	text := coloured.ReplaceAllString(string(p), "")
	for text != "" {
		if rest, found := strings.CutPrefix(text, "\x1b["); found {
			n := 0
			for rest[0] >= '0' && rest[0] <= '9' {
				n, rest = n*10+int(rest[0]-'0'), rest[1:]
			}
			if rest, found = strings.CutPrefix(rest, "A\r\x1b[J"); !found {
				panic("unknown: " + rest)
			}
			s.lines, text = s.lines[:len(s.lines)-n], rest
			continue
		}
		line, rest, _ := strings.Cut(text, "\n")
		s.lines, text = append(s.lines, line), rest
	}
	return len(p), nil
}

func (s *screen) String() string { return strings.Join(s.lines, "\n") }

func TestConsoleOnATerminal(t *testing.T) {
	c, screen := terminal(80)
	c.set(view{name: "cache", kind: "redis", state: stateWaiting})
	c.set(view{name: "api", kind: "project", state: stateStarting, detail: "building"})
	assert.Equal(t, `RESOURCE  KIND     STATE                ADDRESS  LINKS
cache     redis    waiting
api       project  starting (building)`, screen.String())

	c.set(view{name: "cache", kind: "redis", state: stateHealthy, address: "127.0.0.1:7405"})
	c.line("api", "\x1b[31mred\x1b[0m and plain\x1b[2J\x07\x1b]0;title\x07\n")
	c.line("api", "two\nlines")
	assert.Equal(t, `api   | red and plain
api   | two
api   | lines
RESOURCE  KIND     STATE                ADDRESS         LINKS
cache     redis    healthy              127.0.0.1:7405
api       project  starting (building)`, screen.String(), "output is above the table")
	assert.Contains(t, screen.raw.String(), "api   | \x1b[31mred\x1b[0m and plain\x1b[0m\n", "colours stay, and end with the line")
	assert.Contains(t, screen.raw.String(), "cache     redis    \x1b[32mhealthy\x1b[0m  ")

	c.set(view{name: "api", kind: "project", state: stateHealthy, links: []string{"http://127.0.0.1:8080/"}})
	c.close()
	before := screen.String()
	c.set(view{name: "api", state: stateEnded})
	c.line("api", "late")
	assert.Equal(t, before, screen.String(), "what is there at the end stays")
	assert.Contains(t, before, "http://127.0.0.1:8080/")
}

// A line that wraps would be two, and the next table would begin in the middle of it.
func TestConsoleClips(t *testing.T) {
	c, screen := terminal(40)
	c.set(view{name: "cache", kind: "redis", state: stateUnhealthy, detail: "dial tcp 127.0.0.1:7405: connect: connection refused\nagain"})
	c.set(view{name: "store", kind: "redis", state: stateHealthy})
	for line := range strings.Lines(screen.String()) {
		assert.Less(t, len([]rune(strings.TrimSuffix(line, "\n"))), 40, line)
	}
	assert.Contains(t, screen.String(), "unhealthy (dial tcp 1…")
	assert.Len(t, screen.lines, 3)
}

func TestConsoleDrawsProgressNowAndThen(t *testing.T) {
	c, screen := terminal(80)
	defer c.close()
	pulling := view{name: "cache", kind: "redis", state: stateStarting}
	c.set(pulling)
	for range 1000 {
		pulling.detail += "."
		c.set(pulling)
	}
	pulling.detail = "pulling redis:8.6 42%"
	c.set(pulling)
	seen := func() string {
		c.mu.Lock()
		defer c.mu.Unlock()
		return screen.String()
	}
	require.Eventually(t, func() bool { return strings.Contains(seen(), "starting (pulling redis:8.6 42%)") }, time.Minute, time.Millisecond,
		"the last one is drawn, though nothing follows")
	assert.Less(t, strings.Count(screen.raw.String(), "RESOURCE"), 1000)
}

func TestConsoleElsewhere(t *testing.T) {
	out := &output{}
	c := newConsole(out)
	c.set(view{name: "cache", kind: "redis", state: stateStarting})
	c.set(view{name: "cache", kind: "redis", state: stateStarting, detail: "pulling redis:8.6 1%"})
	c.set(view{name: "cache", kind: "redis", state: stateStarting, detail: "pulling redis:8.6 2%"})
	c.set(view{name: "api", kind: "project", state: stateWaiting})
	c.set(view{name: "cache", kind: "redis", state: stateHealthy, address: "127.0.0.1:7405"})
	c.set(view{name: "cache", kind: "redis", state: stateHealthy, address: "127.0.0.1:7405"})
	c.line("api", "\x1b[31mred\x1b[0m\n")
	c.set(view{name: "api", kind: "project", state: stateRunning})
	c.set(view{name: "cache", kind: "redis", state: stateEnded, detail: "exit status 1"})
	c.close()
	assert.Equal(t, `cache             redis         starting
api               project       waiting
cache             redis         healthy  127.0.0.1:7405
api   | red
api               project       running

RESOURCE  KIND     STATE    ADDRESS         LINKS
cache     redis    healthy  127.0.0.1:7405
api       project  running

cache             redis         ended (exit status 1)
`, out.String())
}

func TestConsoleOnAFile(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	assert.Nil(t, newConsole(file).width, "a file is no terminal")
}
