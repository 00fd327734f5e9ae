package redisbinding

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadmeProgram(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	first25 := strings.Join(strings.SplitN(string(readme), "\n", 26)[:25], "\n")
	_, program, found := strings.Cut(first25, "```go\n")
	require.True(t, found, "a complete program stands in the first 25 lines")
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(program+"\n"), 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, file).CombinedOutput()
	assert.NoError(t, err, "%s", out)
	out, err = exec.CommandContext(t.Context(), "gofmt", "-l", file).CombinedOutput()
	assert.NoError(t, err)
	assert.Empty(t, string(out), "gofmt")
}

// The table names every field and its default.
func TestReadmeTable(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	rows := map[string][]string{}
	for line := range strings.Lines(string(readme)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			continue
		}
		for _, name := range regexp.MustCompile("`[^`]+`").FindAllString(cells[1], -1) {
			rows[strings.Trim(name, "`")] = cells
		}
	}
	for _, name := range fieldNames {
		assert.Contains(t, rows, name)
	}
	for alias := range aliases {
		assert.Contains(t, rows, alias)
	}
	// A default that the table shows is what the field has when it is given that.
	defaults := mustParse(t, localhost())
	for _, name := range fieldNames {
		shown := regexp.MustCompile("^ `([^`]+)`").FindStringSubmatch(rows[name][3])
		if shown == nil || name == "redisPort" || name == "writeTimeout" || name == "poolTimeout" {
			continue // no default, or one that depends
		}
		more := []string{name, shown[1]}
		if name == "insecureSkipTLSVerify" {
			more = append(more, "enableTLS", "true")
		}
		given := mustParse(t, localhost(more...))
		given.EnableTLS, given.tls = false, nil
		assert.Equal(t, defaults, given, name)
	}
}
