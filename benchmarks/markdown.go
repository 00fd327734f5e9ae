package benchmarks

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// column is a column of the table of everything.
type column struct {
	title  string
	of     quantity
	format func(float64) string
}

var (
	timeColumns = []column{
		{"ops/s", opsPerSecond, formatCount},
		{"p50", p50, formatDuration},
		{"p99", p99, formatDuration},
	}
	allocColumns = []column{
		{"allocs/op", allocs, formatTenths},
		{"B/op", allocBytes, formatCount},
	}
)

// markdown returns the tables: the binding compared, and everything.
func (e *experiment) markdown(sections []section) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# %s\n\n%s\n\n%s.\n", e.name, e.about, versions(e.uses...))
	if e.digest {
		writeDigest(&out, sections)
	}
	for _, s := range sections {
		if s.title != "" {
			fmt.Fprintf(&out, "\n## %s\n", s.title)
		}
		if s.rows[0].subject() != "" && !e.digest {
			for _, group := range compared(s.rows) {
				writeRatios(&out, group)
			}
		}
		writeRows(&out, s)
	}
	return out.Bytes()
}

// writeDigest compares the subject with its peers in one table for all sections.
func writeDigest(out *bytes.Buffer, sections []section) {
	for i, s := range sections {
		for _, group := range compared(s.rows) {
			subject := group[0].subject()
			if i == 0 && group[0] == s.rows[0] {
				fmt.Fprintf(out, "\nops/s, the %s in proportion to a peer: median of the rounds (lowest–highest)\n", subject)
				writeHead(out, "workload | peer", group)
			}
			for _, peer := range group[0].peers {
				if subject != "" && peer != subject {
					writeLine(out, group[0].title()+" | "+peer, peer, opsPerSecond, group)
				}
			}
		}
	}
}

// writeHead writes the head of a table with a column for each number of callers.
func writeHead(out *bytes.Buffer, what string, rows []*row) {
	fmt.Fprintf(out, "\n| %s |", what)
	for _, r := range rows {
		fmt.Fprintf(out, " %d |", r.callers)
	}
	fmt.Fprintf(out, "\n|%s\n", strings.Repeat("---|", strings.Count(what, "|")+1+len(rows)))
}

// writeLine compares the subject with a peer, as a line below such a head.
func writeLine(out *bytes.Buffer, what, peer string, of quantity, rows []*row) {
	fmt.Fprintf(out, "| %s |", what)
	for _, r := range rows {
		all := r.ratios(peer, of)
		fmt.Fprintf(out, " **%.2f** (%.2f–%.2f) |", median(all), all[0], all[len(all)-1])
	}
	out.WriteByte('\n')
}

// writeRatios compares the subject with its peers, a column for each number of
// callers.
func writeRatios(out *bytes.Buffer, rows []*row) {
	subject := rows[0].subject()
	fmt.Fprintf(out, "\n%s, the %s in proportion to a peer: median of the rounds (lowest–highest)\n", rows[0].title(), subject)
	writeHead(out, "callers", rows)
	for _, peer := range rows[0].peers {
		if peer != subject {
			writeLine(out, "ops/s, "+peer, peer, opsPerSecond, rows)
		}
	}
	for _, peer := range rows[0].peers {
		if peer == poolName {
			writeLine(out, "p99, "+peer, peer, p99, rows)
		}
	}
}

// writeRows writes everything.
func writeRows(out *bytes.Buffer, s section) {
	out.WriteString("\n| workload | callers | peer |")
	for _, c := range s.columns {
		fmt.Fprintf(out, " %s |", c.title)
	}
	fmt.Fprintf(out, "\n|---|--:|---|%s\n", strings.Repeat("--:|", len(s.columns)))
	for _, r := range s.rows {
		for _, peer := range r.peers {
			fmt.Fprintf(out, "| %s | %d | %s |", r.title(), r.callers, peer)
			for _, c := range s.columns {
				text := "–"
				if value := r.median(peer, c.of); !math.IsNaN(value) {
					text = c.format(value)
				}
				fmt.Fprintf(out, " %s |", text)
			}
			out.WriteByte('\n')
		}
	}
}

// title names the workload without its callers.
func (w workload) title() string {
	text := fmt.Sprintf("%s %s", formatSize(w.size), w.operation)
	if w.batch > 1 {
		text += " in batches of " + formatCount(float64(w.batch))
	}
	return text
}

// compared returns the rows to compare the binding by, those together that
// differ in the callers only: mixed if it was measured, else all.
func compared(rows []*row) [][]*row {
	isMixed := func(r *row) bool { return r.operation == mixed }
	anyMixed := slices.ContainsFunc(rows, isMixed)
	var groups [][]*row
	for _, r := range rows {
		if anyMixed && !isMixed(r) {
			continue
		}
		same := func(group []*row) bool { return group[0].title() == r.title() }
		if i := slices.IndexFunc(groups, same); i >= 0 {
			groups[i] = append(groups[i], r)
		} else {
			groups = append(groups, []*row{r})
		}
	}
	return groups
}

func formatSize(bytes int) string {
	if bytes >= 1<<10 && bytes%(1<<10) == 0 {
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d B", bytes)
}

// formatMiB formats a number of bytes.
func formatMiB(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }

// formatCount groups the digits, as in 1,234,567.
func formatCount(n float64) string {
	digits := strconv.FormatFloat(max(n, 0), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func formatTenths(n float64) string { return fmt.Sprintf("%.1f", max(n, 0)) }

func formatDuration(nanoseconds float64) string {
	if d := time.Duration(nanoseconds); d < 10*time.Millisecond {
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
	return fmt.Sprintf("%.1f ms", nanoseconds/1e6)
}
