package hosting

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	// redrawInterval is how often the table is drawn at most for what is only progress.
	redrawInterval = 100 * time.Millisecond
	// progressInterval is how often progress is a line of its own, where there is no
	// terminal to draw it on.
	progressInterval = 5 * time.Second
)

// console shows the resources of an app and the output of its commands. On a terminal that
// is a table at the bottom, which is drawn again in place, and the output above it; elsewhere
// there is a line for each change, and the table once, when everything has settled.
// Its methods may be called from several goroutines.
type console struct {
	mu     sync.Mutex
	w      io.Writer
	width  func() int // of the terminal; nil: it is none
	colour bool
	closed bool

	rows []*row // in the order of appearance
	// On a terminal:
	drawn    int // lines of the table that are on it
	drawnAt  time.Time
	deferred *time.Timer // draws what came too soon
	// Elsewhere:
	settled bool // the table was shown
}

type row struct {
	view
	shown   string // the last line
	shownAt time.Time
}

func newConsole(w io.Writer) *console {
	c := &console{w: w}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		c.colour = os.Getenv("NO_COLOR") == ""
		c.width = func() int {
			width, _, err := term.GetSize(int(file.Fd()))
			if err != nil {
				return 80
			}
			return width
		}
	}
	return c
}

// set shows a resource as it is now.
func (c *console) set(v view) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	r := c.row(v.name)
	progress := r.state == v.state && r.address == v.address
	r.view = v
	if c.width == nil {
		c.report(r, progress)
		return
	}
	if wait := redrawInterval - time.Since(c.drawnAt); progress && wait > 0 {
		if c.deferred == nil {
			c.deferred = time.AfterFunc(wait, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.deferred = nil
				if !c.closed {
					c.redraw("")
				}
			})
		}
		return
	}
	c.redraw("")
}

func (c *console) row(name string) *row {
	for _, r := range c.rows {
		if r.name == name {
			return r
		}
	}
	r := &row{view: view{name: name}}
	c.rows = append(c.rows, r)
	return r
}

// line shows a line of a resource's output.
func (c *console) line(name, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	width := utf8.RuneCountInString(name)
	for _, r := range c.rows {
		width = max(width, utf8.RuneCountInString(r.name))
	}
	var lines strings.Builder
	for line := range strings.Lines(text) {
		lines.WriteString(pad(name, width) + " | " + c.harmless(line) + "\n")
	}
	if c.width == nil {
		c.print(lines.String())
		return
	}
	c.redraw(lines.String())
}

// close leaves what is there, and shows nothing any more.
func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deferred != nil {
		c.deferred.Stop()
	}
	c.closed = true
}

// print writes. That nobody may be there to read it is no reason to stop.
func (c *console) print(text string) { _, _ = io.WriteString(c.w, text) }

// redraw puts text above the table, as it is now. It is one write, so that nothing
// flickers.
func (c *console) redraw(text string) {
	var screen strings.Builder
	if c.drawn > 0 {
		fmt.Fprintf(&screen, "\x1b[%dA\r\x1b[J", c.drawn)
	}
	screen.WriteString(text)
	lines := c.table(c.width())
	for _, line := range lines {
		screen.WriteString(line + "\n")
	}
	c.drawn, c.drawnAt = len(lines), time.Now()
	c.print(screen.String())
}

// report prints a change, and the table when the last resource has settled.
func (c *console) report(r *row, progress bool) {
	line := strings.TrimRight(strings.Join(append([]string{pad(r.name, 16), pad(r.kind, 12), r.stateText(), r.address}, r.links...), "  "), " ")
	if line == r.shown || progress && time.Since(r.shownAt) < progressInterval {
		return
	}
	r.shown, r.shownAt = line, time.Now()
	c.print(line + "\n")
	if c.settled {
		return
	}
	for _, r := range c.rows {
		switch r.state {
		case stateHealthy, stateRunning, stateOmitted, stateEnded, stateUnhealthy:
		default:
			return
		}
	}
	c.settled = true
	c.print("\n" + strings.Join(c.table(0), "\n") + "\n\n")
}

// stateText is the state with its detail.
func (r *row) stateText() string {
	if r.detail == "" {
		return string(r.state)
	}
	return string(r.state) + " (" + printable(r.detail) + ")"
}

// Colours of the states, as a terminal has them.
var stateColours = map[state]string{
	stateHealthy: "32", stateRunning: "32", stateLeft: "32", // green
	stateStarting: "33", stateStopping: "33", // yellow
	stateUnhealthy: "31", stateEnded: "31", stateFailed: "31", // red
	stateWaiting: "2", stateOmitted: "2", stateStopped: "2", // faint
}

// table is what is known of all resources, on lines of at most that width; 0: any.
func (c *console) table(width int) []string {
	cells := [][]string{{"RESOURCE", "KIND", "STATE", "ADDRESS", "LINKS"}}
	for _, r := range c.rows {
		cells = append(cells, []string{r.name, r.kind, r.stateText(), r.address, strings.Join(r.links, " ")})
	}
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	const stateColumn = 2
	lines := make([]string, len(cells))
	for n, line := range cells {
		var text strings.Builder
		for i, cell := range line {
			text.WriteString(pad(cell, widths[i]))
			if i < len(line)-1 {
				text.WriteString("  ")
			}
		}
		lines[n] = strings.TrimRight(text.String(), " ")
		if width > 0 {
			lines[n] = clip(lines[n], width-1) // in the last column a terminal may go on
		}
		if !c.colour {
			continue
		}
		if n == 0 {
			lines[n] = "\x1b[1m" + lines[n] + "\x1b[0m"
			continue
		}
		start := widths[0] + widths[1] + 4
		lines[n] = colourAt(lines[n], start, start+utf8.RuneCountInString(line[stateColumn]), stateColours[c.rows[n-1].state])
	}
	return lines
}

// colourAt colours some of a line's characters.
func colourAt(line string, from, to int, colour string) string {
	runes := []rune(line)
	from, to = min(from, len(runes)), min(to, len(runes))
	return string(runes[:from]) + "\x1b[" + colour + "m" + string(runes[from:to]) + "\x1b[0m" + string(runes[to:])
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

func clip(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:max(0, width-1)]) + "…"
	}
	return text
}

var (
	// coloured is an escape sequence that sets colours and the like.
	coloured = regexp.MustCompile(`\x1b\[[0-9;:]*m`)
	// escapes are all others: those that move the cursor, name the window, and so on.
	escapes = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[PX^_][^\x1b]*(\x1b\\)?|[ -/]*[0-~])`)
)

// harmless is the output of a command without what would get the table into disorder.
func (c *console) harmless(line string) string {
	if !c.colour {
		return printable(line)
	}
	var kept strings.Builder
	rest := line
	for {
		at := coloured.FindStringIndex(rest)
		if at == nil {
			break
		}
		kept.WriteString(printable(rest[:at[0]]) + rest[at[0]:at[1]])
		rest = rest[at[1]:]
	}
	kept.WriteString(printable(rest))
	if kept.Len() > 0 && rest != line {
		kept.WriteString("\x1b[0m")
	}
	return kept.String()
}

// printable is text without escape sequences and control characters, but for tabs.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, escapes.ReplaceAllString(text, ""))
}
