package benchmarks

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// experiment is one way to compare the peers.
type experiment struct {
	name     string
	about    string // what is measured, for who reads the tables
	defaults selection
	plotted  bool     // operations a second by the number of callers
	digest   bool     // one table compares the subject, instead of one for each workload
	uses     []string // modules to name the versions of, beside those of all experiments
	run      func(testing.TB, settings) []section
}

// section is a part of an experiment that has a table of its own.
type section struct {
	title   string // empty if there is one only
	columns []column
	rows    []*row
}

// benchmark runs the experiment as the flags say, and prints what comes out.
func (e *experiment) benchmark(b *testing.B) {
	s, err := flagSettings(e.defaults)
	require.NoError(b, err)
	for b.Loop() {
		sections := e.run(b, *s)
		text := e.markdown(sections)
		fmt.Printf("\n%s\n", text)
		if *outFlag == "" {
			continue
		}
		require.NoError(b, os.MkdirAll(*outFlag, 0o750))
		e.write(b, ".md", text)
		if e.plotted {
			e.write(b, ".svg", plotRows(b, sections))
		}
	}
}

func (e *experiment) write(tb testing.TB, extension string, data []byte) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(filepath.Join(*outFlag, e.name+extension), data, 0o600))
}
