package soak

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/history"
)

// results are what the scenarios have shown.
var results resultTable

type resultTable struct {
	mu    sync.Mutex
	rows  []row
	notes []string
}

// row is what one scenario has shown.
type row struct {
	name        string
	seen        *tally
	outage      time.Duration
	goroutines  [2]int // before the fault and after it
	connections [2]int
	keys        int // whose histories were checked
	note        string
}

func (r *resultTable) add(row row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
}

func (r *resultTable) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, text)
}

// text is the tables of the report.
func (r *resultTable) text() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s each, with %s.\n\n", duration, versions())
	text.WriteString("| what goes wrong | calls | OK | not executed | unknown | longest outage | what callers saw | goroutines | connections | keys checked |\n")
	text.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range r.rows {
		name := row.name
		if row.note != "" {
			name += " (" + row.note + ")"
		}
		seen := row.seen
		fmt.Fprintf(&text, "| %s | %d | %d | %d | %d | %d ms | %s | %d, %d | %d, %d | %d |\n", name,
			seen.calls, seen.outcomes[history.OK], seen.outcomes[history.Failed], seen.outcomes[history.Unknown], row.outage.Milliseconds(),
			seen.list(), row.goroutines[0], row.goroutines[1], row.connections[0], row.connections[1], row.keys)
	}
	text.WriteString("\n")
	for _, note := range r.notes {
		text.WriteString("- " + note + "\n")
	}
	return text.String()
}

// versions says what the run was made with.
func versions() string {
	out, _ := exec.Command("redis-server", "--version").Output()
	server := append(regexp.MustCompile(`v=([0-9.]+)`).FindStringSubmatch(string(out)), "", "none")
	return fmt.Sprintf("%s %s/%s, %d cores, redis-server %s, go-redis %s",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), server[1], redis.Version())
}

const beginning, end = "<!-- soak -->\n", "<!-- /soak -->\n"

// writeReport puts the tables where the file has a place for them.
func writeReport(t testing.TB, file string) {
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(document), beginning)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the tables", file)
	}
	if err := os.WriteFile(file, []byte(before+beginning+results.text()+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkReport looks whether the committed report has a row for each scenario.
func checkReport(t *testing.T) {
	t.Helper()
	document, err := os.ReadFile("../../docs/reliability.md")
	require.NoError(t, err)
	for _, row := range results.rows {
		assert.True(t, strings.Contains(string(document), "| "+row.name), "no row %q: run `make soak`", row.name)
	}
}
