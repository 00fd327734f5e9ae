package cache

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeFiles writes files into a directory, and returns the path of appsettings.json there.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return filepath.Join(dir, "appsettings.json")
}

func TestLoadConfiguration(t *testing.T) {
	t.Parallel()
	file := writeFiles(t, map[string]string{"appsettings.json": "\ufeff" + `{
		// comments,
		"A": {"B": "text", "Number": 3000, "Float": 1e3, "Yes": true, "No": false, "Gone": null, "Empty": {}},
		"a:c:D": "path", /* and trailing commas */
		"List": ["x", {"y": 1}, [2],],
	}`})
	c, err := loadConfiguration(file, true, []string{"a__B=from=environ", "=C:=C:\\", "novalue", "E="})
	require.NoError(t, err)
	want := map[string]string{
		"a:b": "from=environ", "a:number": "3000", "a:float": "1e3", "a:yes": "true", "a:no": "false", "a:c:d": "path",
		"list:0": "x", "list:1:y": "1", "list:2:0": "2", "e": "",
	}
	got := map[string]string{}
	for path, found := range c {
		got[path] = found.value
	}
	assert.Equal(t, want, got)
	value, given := c.get("A:C:d")
	assert.Equal(t, "path", value)
	assert.True(t, given)
	_, given = c.get("a:gone")
	assert.False(t, given)
}

func TestLoadConfigurationOrder(t *testing.T) {
	t.Parallel()
	file := writeFiles(t, map[string]string{
		"appsettings.json":             `{"X": "base", "Base": "1", "Null": "1"}`,
		"appsettings.Production.json":  `{"x": "production", "null": null}`,
		"appsettings.Development.json": `{"x": "development"}`,
		"appsettings.Staging.json":     `{"x": "staging"}`,
	})
	for _, test := range []struct {
		environ []string
		want    string
	}{
		{nil, "production"},
		{[]string{"DOTNET_ENVIRONMENT="}, "production"},
		{[]string{"DOTNET_ENVIRONMENT=Development"}, "development"},
		{[]string{"ASPNETCORE_ENVIRONMENT=Staging"}, "staging"},
		{[]string{"ASPNETCORE_ENVIRONMENT=Staging", "DOTNET_ENVIRONMENT=Development"}, "development"},
		{[]string{"DOTNET_ENVIRONMENT=None"}, "base"},
		{[]string{"X=environ"}, "environ"},
	} {
		c, err := loadConfiguration(file, true, test.environ)
		require.NoError(t, err)
		value, _ := c.get("x")
		assert.Equal(t, test.want, value, test.environ)
		value, _ = c.get("base")
		assert.Equal(t, "1", value)
	}
	c, err := loadConfiguration(file, true, nil)
	require.NoError(t, err)
	_, given := c.get("null")
	assert.False(t, given, "null takes back what the other file has said")
}

func TestLoadConfigurationMissing(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"", filepath.Join(t.TempDir(), "appsettings.json")} {
		c, err := loadConfiguration(file, false, []string{"A=1"})
		require.NoError(t, err)
		assert.Len(t, c, 1)
	}
	_, err := loadConfiguration(filepath.Join(t.TempDir(), "appsettings.json"), true, nil)
	assert.ErrorIs(t, err, fs.ErrNotExist)
	file := writeFiles(t, map[string]string{"appsettings.Production.json": `{"A": 1}`})
	c, err := loadConfiguration(file, false, nil)
	require.NoError(t, err)
	assert.Len(t, c, 1)
}

func TestLoadConfigurationErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"", "line 1 is no JSON"},
		{"{\n\"a\": hunter2\n}", "line 2 is no JSON"},
		{"{\n\n\"a\": \"hunter2\n}", "line 4 is no JSON"},
		{"{\"a\": 1} hunter2", "line 1 is no JSON"},
		{"{\"a\": \"\xffhunter2\"}", "is not UTF-8"},
		{"// x\n[\"hunter2\"]", "line 2 is no object: a configuration is one"},
		{"\"hunter2\"", "line 1 is no object: a configuration is one"},
		{"{\"a\": {\"B\": \"hunter2\"},\n\"A:b\": \"hunter2\"}", "line 2 has 'A:b' for the second time"},
	} {
		for _, name := range []string{"appsettings.json", "appsettings.Production.json"} {
			file := writeFiles(t, map[string]string{name: test.text})
			_, err := loadConfiguration(file, false, nil)
			assert.EqualError(t, err, "cache: configuration: "+filepath.Join(filepath.Dir(file), name)+": "+test.want)
		}
	}
}
