package redisbinding

import (
	"cmp"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeFiles makes a folder with the files.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

// secretTest asks a resolver: for the value, or, when that is empty, the error,
// in which DIR stands for the folder.
type secretTest struct{ name, key, value, err string }

func (test secretTest) run(t *testing.T, dir string, secrets SecretResolver) {
	t.Helper()
	value, err := secrets("any store", test.name, test.key)
	assert.Equal(t, test.value, value, test.name)
	if test.err == "" {
		assert.NoError(t, err, test.name)
		return
	}
	require.Error(t, err, test.name)
	assert.Equal(t, "redisbinding: "+test.err, strings.ReplaceAll(filepath.ToSlash(err.Error()), filepath.ToSlash(cmp.Or(dir, "no folder")), "DIR"))
	assertNoSecret(t, "hunter2", err)
}

func TestEnvSecrets(t *testing.T) {
	t.Setenv("REDIS_PASSWORD", "hunter2\n")
	t.Setenv("EMPTY", "")
	t.Setenv("DAPR_API_TOKEN", "hunter2")
	for _, test := range []secretTest{
		{"REDIS_PASSWORD", "REDIS_PASSWORD", "hunter2\n", ""},
		{"REDIS_PASSWORD", "", "hunter2\n", ""},
		{"EMPTY", "", "", ""},
		{"REDIS_PASSWORD", "password", "", "an environment variable has no keys: leave the key out, or make it the name"},
		{"UNSET_VARIABLE", "", "", `the environment variable "UNSET_VARIABLE" is not set`},
		{"", "", "", `the environment variable "" is not set`},
		{"A=B", "", "", `the environment variable "A=B" is not set`},
		{"DAPR_API_TOKEN", "", "", `the environment variable "DAPR_API_TOKEN" is refused, as DAPR_* and APP_API_TOKEN are`},
		{"Dapr_x", "", "", `the environment variable "Dapr_x" is refused, as DAPR_* and APP_API_TOKEN are`},
		{"APP_API_TOKEN", "", "", `the environment variable "APP_API_TOKEN" is refused, as DAPR_* and APP_API_TOKEN are`},
	} {
		test.run(t, "", EnvSecrets())
	}
}

func TestFolderSecrets(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{
		"redis/password": "hunter2\n", "redis/username": "ada", "token": "hunter2\r\n", "own/own": "mine", "breaks/two": "a\n\n", "breaks/cr": "a\r",
		"breaks/only": "\n", "full/most": strings.Repeat("x", MaxSecretFileSize), "full/more": strings.Repeat("x", MaxSecretFileSize+1),
		"folders/in/it": "", "empty/a/b": "",
	})
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "empty/a")))
	for _, test := range []secretTest{
		{"redis", "password", "hunter2", ""},
		{"redis", "username", "ada", ""},
		{"token", "token", "hunter2", ""},
		{"token", "", "hunter2", ""},
		{"own", "", "mine", ""},
		{"breaks", "two", "a\n", ""},
		{"breaks", "cr", "a\r", ""},
		{"breaks", "only", "", ""},
		{"full", "most", strings.Repeat("x", MaxSecretFileSize), ""},
		{"full", "more", "", "DIR/full/more is larger than 1048576 bytes"},
		{"token", "key", "", "DIR/token is a file, which has no keys: leave the key out"},
		{"redis", "", "", `DIR/redis/redis: no such file or directory; the keys there are "password", "username"`},
		{"redis", "pasword", "", `DIR/redis/pasword: no such file or directory; the keys there are "password", "username"`},
		{"empty", "", "", "DIR/empty/empty: no such file or directory"},
		{"nothing", "", "", "neither DIR/nothing nor DIR/nothing/nothing: no such file or directory"},
		{"folders", "in", "", "DIR/folders/in is a folder: it takes a file"},
		{"..", "", "", `the name or key ".." is no file name`},
		{"redis", "..", "", `the name or key ".." is no file name`},
		{"redis", "../token", "", `the name or key "../token" is no file name`},
		{"..data", "", "", `the name or key "..data" is no file name`},
		{".", "token", "", `the name or key "." is no file name`},
		{"redis/password", "", "", `the name or key "redis/password" is no file name`},
		{`redis\password`, "", "", ``},
		{"/etc", "passwd", "", `the name or key "/etc" is no file name`},
		{"", "", "", `the name or key "" is no file name`},
	} {
		if test.name == `redis\password` { // which ToSlash would change in the error
			_, err := FolderSecrets(dir)("", test.name, "")
			assert.ErrorContains(t, err, "is no file name")
			continue
		}
		test.run(t, dir, FolderSecrets(dir))
	}
	secretTest{"redis", "password", "", "DIR/none: no such file or directory"}.run(t, dir, FolderSecrets(filepath.Join(dir, "none")))
	_, err := FolderSecrets(dir)("", "nothing", "")
	assert.ErrorIs(t, err, fs.ErrNotExist)

	many := map[string]string{}
	for i := range 26 {
		many["many/"+string(rune('a'+i))] = ""
	}
	dir = writeFiles(t, many)
	secretTest{"many", "", "", `DIR/many/many: no such file or directory; the keys there are "a", "b", "c", "d", "e", "f", "g", "h", "i", "j" and others`}.run(t, dir, FolderSecrets(dir))
}

// Kubernetes mounts a secret as links to a folder that it replaces as a whole.
func TestFolderSecretsLinks(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"redis/..2026_11_22/password": "old", "redis/..2026_11_23/password": "hunter2"})
	outside := writeFiles(t, map[string]string{"password": "hunter2"})
	for link, to := range map[string]string{
		"redis/..data": "..2026_11_23", "redis/password": "..data/password", "redis/gone": "..data/gone",
		"redis/outside": filepath.Join(outside, "password"), "outside": outside, "up": filepath.Join("..", filepath.Base(outside)), "loop": "loop",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
	}
	secrets := FolderSecrets(dir)
	secretTest{"redis", "password", "hunter2", ""}.run(t, dir, secrets)
	secretTest{"redis", "key", "", `DIR/redis/key: no such file or directory; the keys there are "gone", "outside", "password"`}.run(t, dir, secrets)
	for _, test := range []secretTest{{"redis", "gone", "", ""}, {"redis", "outside", "", ""}, {"outside", "password", "", ""}, {"up", "password", "", ""}, {"loop", "", "", ""}} {
		value, err := secrets("", test.name, test.key)
		assert.Error(t, err, test)
		assert.Empty(t, value)
		assertNoSecret(t, "hunter2", err)
	}
	secretTest{"redis", "outside", "", "DIR/redis/outside: path escapes from parent"}.run(t, dir, secrets)
}

// What nobody writes to must not block, and what never ends must not be read.
func TestSecretsOfNoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "pipe")
	if err := exec.Command("mkfifo", fifo).Run(); err != nil {
		t.Skip("no named pipes here: ", err)
	}
	secretTest{"pipe", "", "", "DIR/pipe is no regular file"}.run(t, dir, FolderSecrets(dir))
	secretTest{"x", "", "", "DIR/pipe is no regular file"}.run(t, dir, FileSecrets(fifo))
	secretTest{"x", "", "", "/dev/zero is no regular file"}.run(t, dir, FileSecrets("/dev/zero"))
	secretTest{"x", "", "", "DIR is a folder: it takes a file"}.run(t, dir, FileSecrets(dir))
	secretTest{"x", "", "", "DIR/none: no such file or directory"}.run(t, dir, FileSecrets(filepath.Join(dir, "none")))
	secretTest{"x", "", "", "DIR/pipe is no folder"}.run(t, dir, FolderSecrets(fifo))
}

func TestFileSecrets(t *testing.T) {
	t.Parallel()
	for _, test := range []secretTest{
		{"token", "token", "plain", ""},
		{"token", "", "plain", ""},
		{"redis:password", "redis:password", "hunter2", ""},
		{"redis", "password", "hunter2", ""},
		{"tls", "tls.crt", "CERT", ""},
		{"port", "", "6379", ""},
		{"enabled", "", "true", ""},
		{"deep:er", "still", "here", ""},
		{"deep", "er:still", "here", ""},
		{"deep:er:still", "", "here", ""},
		{"own", "", "mine", ""},
		{"redis", "", "", `testdata/components/secrets.json: "redis" has no key "redis"; the keys there are "password"`},
		{"tls", "crt", "", `testdata/components/secrets.json: "tls" has no key "crt"; the keys there are "tls.crt", "tls.key"`},
		{"token", "key", "", `testdata/components/secrets.json: "token" has no keys: leave the key out`},
		{"none", "", "", `testdata/components/secrets.json: there is no "none"`},
		{"Token", "", "", `testdata/components/secrets.json: there is no "Token"`},
		{"redis:none", "", "", `testdata/components/secrets.json: there is no "redis:none"`},
		{"list", "", "", `testdata/components/secrets.json: "list" takes a string, number or boolean, not an object, list or null`},
		{"nothing", "", "", `testdata/components/secrets.json: "nothing" takes a string, number or boolean, not an object, list or null`},
		{"deep", "er", "", `testdata/components/secrets.json: "deep:er" takes a string, number or boolean, not an object, list or null`},
	} {
		test.run(t, "", FileSecrets("testdata/components/secrets.json"))
	}
}

func TestFileSecretsErrors(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 9000) + `"hunter2"` + strings.Repeat("}", 9000)
	for text, test := range map[string]secretTest{
		"\ufeff{\"a\":\"\\u00e4\\n\"}": {"a", "", "ä\n", ""},
		`{"a": 1e400}`:                 {"a", "", "1e400", ""},
		`{"a": 010}`:                   {"a", "", "", "DIR/f: line 1 is no JSON"},
		"":                             {"a", "", "", "DIR/f: line 1 is no JSON"},
		"{\n\"a\": hunter2}":           {"a", "", "", "DIR/f: line 2 is no JSON"},
		"{\"b\": \"hunter2\",\n\n\"a\": \"hunter2": {"a", "", "", "DIR/f: line 3 is no JSON"},
		"{} hunter2":                          {"a", "", "", "DIR/f: line 1 is no JSON"},
		`["hunter2"]`:                         {"a", "", "", "DIR/f: takes a JSON object, got a list"},
		`"hunter2"`:                           {"a", "", "", "DIR/f: takes a JSON object, got a string"},
		`null`:                                {"a", "", "", "DIR/f: takes a JSON object, got null"},
		"{\"a\": \"hunter2\xff\"}":            {"a", "", "", "DIR/f: is not UTF-8"},
		`{"a": "hunter2", "a": "x"}`:          {"a", "", "", `DIR/f: "a" is there twice`},
		`{"a": {"b": "hunter2"}, "a:b": "x"}`: {"a", "b", "", `DIR/f: "a:b" is there twice`},
		`{"a": {"b": "hunter2", "b": ""}}`:    {"a", "b", "", `DIR/f: "b" is there twice`},
		`{"b": [1], "a": "x"}`:                {"a", "", "x", ""},
		`{"a": "` + strings.Repeat("x", MaxSecretFileSize): {"a", "", "", "DIR/f is larger than 1048576 bytes"},
		deep:                   {"a", "", "", `DIR/f: "a:a" takes a string, number or boolean, not an object, list or null`},
		strings.Repeat(" ", 1): {"a", "", "", "DIR/f: line 1 is no JSON"},
		strings.Repeat(`{"a":`, 20000) + strings.Repeat("}", 20000): {"a", "", "", "DIR/f: line 1 is no JSON"},
		strings.Repeat(`{"":`, 9000) + `1` + strings.Repeat("}", 9000): {"", strings.Repeat(":", 10000), "",
			`DIR/f: "" has no key "` + strings.Repeat(":", 64) + `"...; the keys there are ""`},
	} {
		dir := writeFiles(t, map[string]string{"f": text})
		test.run(t, dir, FileSecrets(filepath.Join(dir, "f")))
	}
	var syntax *json.SyntaxError
	_, err := findSecret([]byte("x"), "a", "a")
	assert.NotErrorAs(t, err, &syntax)

	// Behind a link .. is the folder of what it leads to, as for the system.
	linked := writeFiles(t, map[string]string{"real/s.json": `{"a": "1"}`, "s.json": `{"a": "2"}`, "real/sub/x": ""})
	require.NoError(t, os.Symlink(filepath.Join(linked, "real", "sub"), filepath.Join(linked, "link")))
	secretTest{"a", "", "1", ""}.run(t, linked, FileSecrets(linked+"/link/../s.json"))

	// The file is read at each call.
	dir := writeFiles(t, map[string]string{"f": `{"a": "1"}`})
	secrets := FileSecrets(filepath.Join(dir, "f"))
	secretTest{"a", "", "1", ""}.run(t, dir, secrets)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte(`{"a": "2"}`), 0o600))
	secretTest{"a", "", "2", ""}.run(t, dir, secrets)
}
