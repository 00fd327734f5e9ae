package hosting

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	// redrawInterval is how often a terminal is drawn at most.
	redrawInterval = 100 * time.Millisecond
	// progressInterval is how often progress of which only the numbers are new is a line of
	// its own, where there is no terminal to draw it on.
	progressInterval = 5 * time.Second
)

// console shows the resources of an app and the output of its commands. On a terminal that
// is a table at the bottom, which is drawn again in place, and the output above it; elsewhere
// there is a line for each change, and the table once, when everything has settled.
// Its methods may be called from several goroutines.
type console struct {
	mu     sync.Mutex
	w      io.Writer
	size   func() (width, height int) // of the terminal; nil: it is none
	colour bool
	closed bool

	rows []*row // in the order of appearance
	// On a terminal:
	drawn    []int // how wide the lines of the table are that are on it
	drawnAt  time.Time
	interval time.Duration
	output   strings.Builder // what is to be printed above the table
	deferred *time.Timer     // draws what came too soon
	drawing  sync.WaitGroup  // for the goroutine of that timer
	// Elsewhere:
	settled bool // the table was shown
}

type row struct {
	view
	// The last line, where there is no terminal:
	shown   string
	gist    string // it without the numbers of its detail
	shownAt time.Time
}

func newConsole(w io.Writer) *console {
	c := &console{w: w, interval: redrawInterval}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb" && understandsEscapes(file) {
		c.colour = os.Getenv("NO_COLOR") == ""
		c.size = func() (width, height int) {
			width, height, err := term.GetSize(int(file.Fd()))
			if err != nil || width <= 0 || height <= 0 {
				return 80, 24
			}
			return width, height
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
	r.view = v
	if c.size == nil {
		c.report(r)
		return
	}
	c.changed()
}

// changed sees to it that the terminal is drawn, now or soon.
func (c *console) changed() {
	if c.deferred != nil {
		return
	}
	wait := c.interval - time.Since(c.drawnAt)
	if wait <= 0 {
		c.redraw()
		return
	}
	c.drawing.Add(1)
	c.deferred = time.AfterFunc(wait, func() {
		defer c.drawing.Done()
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.closed { // close has drawn it
			c.redraw()
		}
	})
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
	c.above(lines.String())
}

// say shows a line of the app's own.
func (c *console) say(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.above(text + "\n")
	}
}

// above puts lines above the table, if there is one.
func (c *console) above(lines string) {
	if c.size == nil {
		c.print(lines)
		return
	}
	c.output.WriteString(lines)
	c.changed()
}

// close leaves what is there, with the last of what was set, and shows nothing any more. No
// goroutine is left.
func (c *console) close() {
	c.mu.Lock()
	if c.deferred != nil {
		if c.deferred.Stop() {
			c.drawing.Done()
		}
		c.redraw()
	}
	c.closed = true
	c.mu.Unlock()
	c.drawing.Wait()
}

// print writes. That nobody may be there to read it is no reason to stop.
func (c *console) print(text string) { _, _ = io.WriteString(c.w, text) }

// redraw puts what was printed above the table, as that is now. It is one write, so that
// nothing flickers.
func (c *console) redraw() {
	width, height := c.size()
	var screen strings.Builder
	up := 0
	for _, w := range c.drawn { // in a terminal that has become narrower, a line may be several
		up += max(1, (w+width-1)/width)
	}
	if up > 0 {
		fmt.Fprintf(&screen, "\x1b[%dA\r\x1b[J", up)
	}
	screen.WriteString(c.output.String())
	// Lines are clipped. That is not enough to keep them from wrapping where characters
	// take two columns.
	screen.WriteString("\x1b[?7l")
	c.drawn = c.drawn[:0]
	for _, line := range c.table(width, height) {
		screen.WriteString(line + "\n")
		c.drawn = append(c.drawn, utf8.RuneCountInString(coloured.ReplaceAllString(line, "")))
	}
	screen.WriteString("\x1b[?7h")
	c.output.Reset()
	c.drawnAt, c.deferred = time.Now(), nil
	c.print(screen.String())
}

// report prints a change, and the table when the last resource has settled.
func (c *console) report(r *row) {
	text, gist := r.text(r.note()), r.text(digits.ReplaceAllString(r.note(), ""))
	if text == r.shown || gist == r.gist && time.Since(r.shownAt) < progressInterval {
		return
	}
	r.shown, r.gist, r.shownAt = text, gist, time.Now()
	names, kinds := 16, 12 // or what is widest so far
	for _, r := range c.rows {
		names, kinds = max(names, utf8.RuneCountInString(r.name)), max(kinds, utf8.RuneCountInString(r.kind))
	}
	c.print(pad(r.name, names) + "  " + pad(r.kind, kinds) + "  " + text + "\n")
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
	c.print("\n" + strings.Join(c.table(0, 0), "\n") + "\n\n")
}

var digits = regexp.MustCompile(`[0-9]+`)

// text is how the resource fares, on one line.
func (r *row) text(note string) string {
	var more []string
	if r.address != "" {
		more = append(more, r.address)
	}
	more = append(more, r.links...)
	if note != "" {
		more = append(more, "("+note+")")
	}
	return strings.TrimRight(string(r.state)+"  "+strings.Join(more, " "), " ")
}

// note is the detail on one line, without tabs, whose width only a terminal knows.
func (r *row) note() string { return printable(strings.Join(strings.Fields(r.detail), " ")) }

// troubled tells whether the resource is one to look at first.
func (r *row) troubled() bool {
	return r.state == stateFailed || r.state == stateEnded || r.state == stateUnhealthy
}

// Colours of the states, as a terminal has them.
var stateColours = map[state]string{
	stateHealthy: "32", stateRunning: "32", stateLeft: "32", // green
	stateStarting: "33", stateStopping: "33", // yellow
	stateUnhealthy: "31", stateEnded: "31", stateFailed: "31", // red
	stateWaiting: "2", stateOmitted: "2", stateStopped: "2", // faint
}

// table is what is known of all resources, on fewer lines than height, each narrower than
// width; 0: any.
func (c *console) table(width, height int) []string {
	rows := c.rows
	crowded := height > 0 && 1+len(rows) >= height
	if crowded {
		var troubled, others []*row
		for _, r := range rows {
			if r.troubled() {
				troubled = append(troubled, r)
			} else {
				others = append(others, r)
			}
		}
		rows = slices.Concat(troubled, others)
	}
	lines := c.lines(rows, width)
	if crowded {
		kept := max(0, height-2)
		more := fmt.Sprintf("… and %d more", len(rows)-max(0, kept-1))
		lines = append(lines[:kept], narrower(more, width))[:height-1]
	}
	return lines
}

// lines are a heading and a line for each row, without the columns that have nothing to say, and
// without the kind where links would be clipped for it: those are what one wants to click.
func (c *console) lines(rows []*row, width int) []string {
	const kindColumn, stateColumn, addressColumn, detailColumn = 1, 2, 3, 5 // up to the address they are always there
	cells := [][]string{{"RESOURCE", "KIND", "STATE", "ADDRESS", "LINKS", "DETAIL"}}
	widths := make([]int, len(cells[0]))
	for _, r := range rows {
		line := []string{r.name, r.kind, string(r.state), r.address, strings.Join(r.links, " "), r.note()}
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
		cells = append(cells, line)
	}
	for i, heading := range cells[0] {
		if i <= addressColumn || widths[i] > 0 {
			widths[i] = max(widths[i], utf8.RuneCountInString(heading))
		}
	}
	upToLinks := 0
	for _, w := range widths[:detailColumn] {
		upToLinks += w + 2
	}
	start := widths[0] + 2 // of the state
	if width > 0 && upToLinks-2 >= width {
		widths[kindColumn] = 0
	} else {
		start += widths[kindColumn] + 2
	}
	lines := make([]string, len(cells))
	for n, line := range cells {
		var text strings.Builder
		for i, cell := range line {
			if widths[i] > 0 {
				text.WriteString(pad(cell, widths[i]) + "  ")
			}
		}
		lines[n] = narrower(strings.TrimRight(text.String(), " "), width)
		if !c.colour {
			continue
		}
		if n == 0 {
			lines[n] = "\x1b[1m" + lines[n] + "\x1b[0m"
			continue
		}
		lines[n] = colourAt(lines[n], start, start+utf8.RuneCountInString(line[stateColumn]), stateColours[rows[n-1].state])
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

// narrower clips a line to less than that width, as in the last column a terminal may go on
// to the next line; 0: it may be as long as it is.
func narrower(text string, width int) string {
	if runes := []rune(text); width > 0 && len(runes) >= width {
		return string(append(runes[:max(0, width-2)], '…')[:width-1])
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
