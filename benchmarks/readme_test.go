package benchmarks

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The READMEs show what was last measured.
func TestReadmeShowsResults(t *testing.T) {
	for readme, results := range map[string]string{
		"../README.md":       "results/table.md",
		"../cache/README.md": "results/cache.md",
	} {
		shown, err := os.ReadFile(readme)
		require.NoError(t, err)
		measured, err := os.ReadFile(results)
		require.NoError(t, err)
		for line := range strings.Lines(string(measured)) {
			if strings.Contains(line, "**") {
				assert.Contains(t, string(shown), line, readme)
			}
		}
	}
}
