package hosting

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// terminal is a console on a terminal of that size, and a screen that shows what a person
// sees of what it writes, and has seen.
func terminal(width, height int) (*console, *screen) {
	s := newScreen(width, height)
	c := newConsole(s)
	c.size, c.colour, c.interval = s.size, true, 0
	return c, s
}

func TestConsoleOnATerminal(t *testing.T) {
	t.Parallel()
	c, screen := terminal(80, 24)
	c.set(view{name: "cache", kind: "redis", state: stateWaiting})
	c.set(view{name: "api", kind: "project", state: stateStarting, detail: "building"})
	assert.Equal(t, `RESOURCE  KIND     STATE     ADDRESS  DETAIL
cache     redis    waiting
api       project  starting           building`, screen.String())

	c.set(view{name: "cache", kind: "redis", state: stateHealthy, address: "127.0.0.1:7405"})
	c.line("api", "\x1b[31mred\x1b[0m and plain\x1b[2J\x07\x1b]0;title\x07\n")
	c.line("api", "two\nlines")
	c.say("a line of the app's own")
	assert.Equal(t, `api   | red and plain
api   | two
api   | lines
a line of the app's own
RESOURCE  KIND     STATE     ADDRESS         DETAIL
cache     redis    healthy   127.0.0.1:7405
api       project  starting                  building`, screen.String(), "output is above the table")
	assert.Contains(t, screen.raw.String(), "api   | \x1b[31mred\x1b[0m and plain\x1b[0m\n", "colours stay, and end with the line")
	assert.Contains(t, screen.raw.String(), "cache     redis    \x1b[32mhealthy\x1b[0m   127")

	c.set(view{name: "api", kind: "project", state: stateHealthy, links: []string{"http://127.0.0.1:8080/"}})
	c.close()
	before := screen.String()
	c.set(view{name: "api", state: stateEnded})
	c.line("api", "late")
	c.say("late")
	assert.Equal(t, before, screen.String(), "what is there at the end stays")
	assert.Contains(t, before, "http://127.0.0.1:8080/")
}

func TestConsoleColumns(t *testing.T) {
	t.Parallel()
	link := []string{"http://127.0.0.1:8080/"}
	tests := map[string]struct {
		views   []view
		heading []string
	}{
		"no more than an address": {[]view{{name: "cache"}}, []string{"ADDRESS"}},
		"links":                   {[]view{{name: "cache"}, {name: "api", links: link}}, []string{"ADDRESS", "LINKS"}},
		"detail":                  {[]view{{name: "cache", detail: "why"}, {name: "api"}}, []string{"ADDRESS", "DETAIL"}},
		"all":                     {[]view{{name: "cache", detail: "why"}, {name: "api", links: link}}, []string{"ADDRESS", "LINKS", "DETAIL"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, screen := terminal(80, 24)
			for _, v := range test.views {
				v.state = stateRunning
				c.set(v)
			}
			assert.Equal(t, append([]string{"RESOURCE", "KIND", "STATE"}, test.heading...), strings.Fields(screen.rows()[0]))
		})
	}
}

// What cannot be erased would be there again with each table.
func TestConsoleOnALowTerminal(t *testing.T) {
	t.Parallel()
	c, screen := terminal(80, 6)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		c.set(view{name: name, kind: "redis", state: stateHealthy})
	}
	c.set(view{name: "c", kind: "redis", state: stateUnhealthy})
	c.set(view{name: "f", kind: "redis", state: stateEnded})
	assert.Equal(t, `RESOURCE  KIND   STATE      ADDRESS
c         redis  unhealthy
f         redis  ended
a         redis  healthy
… and 4 more`, screen.String())
	assert.Contains(t, screen.raw.String(), "c         redis  \x1b[31munhealthy\x1b[0m", "a row has its own colour")

	c.set(view{name: "a", kind: "redis", state: stateFailed})
	c.set(view{name: "c", kind: "redis", state: stateHealthy})
	assert.Equal(t, `RESOURCE  KIND   STATE            ADDRESS
a         redis  failed to start
f         redis  ended
b         redis  healthy
… and 4 more`, screen.String())
}

func TestConsoleHeight(t *testing.T) {
	t.Parallel()
	for height := 1; height < 8; height++ {
		c, screen := terminal(10, height)
		for _, name := range []string{"a", "b", "c", "d"} {
			c.set(view{name: name, state: stateHealthy})
			assert.Len(t, screen.rows(), min(1+len(c.rows), height-1), "%d rows on %d lines", len(c.rows), height)
		}
		for _, line := range screen.rows() {
			assert.Less(t, len([]rune(line)), 10, line)
		}
	}
}

// A line that wraps would be two, and the next table would begin in the middle of it.
func TestConsoleClips(t *testing.T) {
	t.Parallel()
	c, screen := terminal(53, 24)
	c.set(view{name: "cache", kind: "redis", state: stateUnhealthy, address: "127.0.0.1:7405", detail: "dial\ntcp\t127.0.0.1:7405: connect: connection refused"})
	c.set(view{name: "store", kind: "redis", state: stateHealthy})
	for line := range strings.Lines(screen.String()) {
		assert.Less(t, len([]rune(strings.TrimSuffix(line, "\n"))), 53, line)
	}
	assert.Contains(t, screen.String(), "unhealthy  127.0.0.1:7405  dial tc…\n", "the detail is what is clipped")
	assert.Len(t, screen.rows(), 3)
}

func TestConsoleDrawsProgressNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, screen := terminal(80, 24)
		c.interval = redrawInterval
		defer c.close()
		pulling := view{name: "cache", kind: "redis", state: stateStarting}
		c.set(pulling)
		for range 1000 {
			pulling.detail += "."
			c.set(pulling)
			c.line("cache", "a line")
		}
		pulling.detail = "pulling redis:8.6 42%"
		c.set(pulling)
		time.Sleep(redrawInterval)
		synctest.Wait()
		assert.Contains(t, screen.String(), "pulling redis:8.6 42%", "the last one is drawn, though nothing follows")
		assert.Equal(t, 2, strings.Count(screen.raw.String(), "RESOURCE"))
	})
}

func TestConsoleEndsWithTheLastState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, screen := terminal(80, 24)
		c.interval = redrawInterval
		c.set(view{name: "cache", kind: "redis", state: stateHealthy})
		c.set(view{name: "cache", kind: "redis", state: stateHealthy, detail: "the last"})
		assert.NotContains(t, screen.String(), "the last")
		c.close()
		assert.Contains(t, screen.String(), "the last")
		before := screen.raw.String()
		c.close()
		time.Sleep(redrawInterval)
		synctest.Wait()
		assert.Equal(t, before, screen.raw.String(), "nothing is drawn any more")
	})
}

// A line of the table that is two would not be erased as a whole.
func TestConsoleWideCharacters(t *testing.T) {
	t.Parallel()
	c, screen := terminal(60, 24)
	c.set(view{name: "cache", kind: "redis", state: stateUnhealthy, detail: strings.Repeat("漢", 40)})
	c.set(view{name: "cache", kind: "redis", state: stateHealthy, address: "127.0.0.1:7405"})
	assert.Equal(t, "RESOURCE  KIND   STATE    ADDRESS\ncache     redis  healthy  127.0.0.1:7405", screen.String())
}

func TestConsoleOnATerminalThatGetsNarrower(t *testing.T) {
	t.Parallel()
	c, screen := terminal(80, 24)
	c.set(view{name: "cache", kind: "redis", state: stateUnhealthy, detail: strings.Repeat("long ", 10)})
	screen.resize(30)
	c.set(view{name: "cache", kind: "redis", state: stateHealthy})
	assert.Equal(t, "RESOURCE  STATE    ADDRESS\ncache     healthy", screen.String())
}

// On the usual 80 columns, what one wants to click is there as a whole.
func TestConsoleLinksBeforeKinds(t *testing.T) {
	t.Parallel()
	c, screen := terminal(80, 24)
	c.set(view{name: "rediscommander", kind: "redis commander", state: stateHealthy, address: "127.0.0.1:38487", links: []string{"http://127.0.0.1:38487/"}})
	assert.Equal(t, `RESOURCE        STATE    ADDRESS          LINKS
rediscommander  healthy  127.0.0.1:38487  http://127.0.0.1:38487/`, screen.String())
	assert.Contains(t, screen.raw.String(), "rediscommander  \x1b[32mhealthy\x1b[0m  127")
	screen.resize(83)
	c.set(view{name: "web", kind: "project", state: stateWaiting})
	assert.Contains(t, screen.String(), "KIND")
}

func TestConsoleElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &output{}
		c := newConsole(out)
		cache := view{name: "cache", kind: "redis", state: stateStarting}
		c.set(cache)
		for _, detail := range []string{"pulling redis:8.6 1%", "pulling redis:8.6 2%", "unpacking 7%", "unpacking 30%"} {
			cache.detail = detail
			c.set(cache)
		}
		time.Sleep(progressInterval)
		c.set(cache)
		cache.detail = "unpacking 31%"
		c.set(cache)
		c.set(view{name: "api", kind: "project", state: stateWaiting})
		cache = view{name: "cache", kind: "redis", state: stateHealthy, address: "127.0.0.1:7405"}
		c.set(cache)
		time.Sleep(progressInterval)
		c.set(cache) // which is nothing new
		c.line("api", "\x1b[31mred\x1b[0m\n")
		c.say("a line of the app's own")
		api := view{name: "api", kind: "project", state: stateRunning, address: "127.0.0.1:80", links: []string{"http://127.0.0.1:80/"}}
		c.set(api)
		api.address = "127.0.0.1:81"
		c.set(api)
		c.set(view{name: "cache", kind: "redis", state: stateEnded, address: "127.0.0.1:7405", detail: "exit status 1"})
		c.set(view{name: "a long name of a resource", kind: "connection string", state: stateHealthy, address: "127.0.0.1:7406"})
		api.links = nil
		c.set(api)
		c.close()
		assert.Equal(t, `cache             redis         starting
cache             redis         starting  (pulling redis:8.6 1%)
cache             redis         starting  (unpacking 7%)
cache             redis         starting  (unpacking 30%)
api               project       waiting
cache             redis         healthy  127.0.0.1:7405
api   | red
a line of the app's own
api               project       running  127.0.0.1:80 http://127.0.0.1:80/

RESOURCE  KIND     STATE    ADDRESS         LINKS
cache     redis    healthy  127.0.0.1:7405
api       project  running  127.0.0.1:80    http://127.0.0.1:80/

api               project       running  127.0.0.1:81 http://127.0.0.1:80/
cache             redis         ended  127.0.0.1:7405 (exit status 1)
a long name of a resource  connection string  healthy  127.0.0.1:7406
api                        project            running  127.0.0.1:81
`, out.String())
	})
}

func TestConsoleOnAFile(t *testing.T) {
	t.Parallel()
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	assert.Nil(t, newConsole(file).size, "a file is no terminal")
}
