package benchmarks

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The README shows what was last measured.
func TestReadmeShowsResults(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	results, err := os.ReadFile("results/table.md")
	require.NoError(t, err)
	for line := range strings.Lines(string(results)) {
		if strings.Contains(line, "**") {
			assert.Contains(t, string(readme), line)
		}
	}
}
