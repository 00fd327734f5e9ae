package hosting

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// readPrograms are the processes of the pid files below a folder, by the names of these.
func readPrograms(t *testing.T, folder string) map[string]int {
	t.Helper()
	pids := map[string]int{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		name, isPid := strings.CutSuffix(filepath.Base(path), ".pid")
		if err != nil || !isPid {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pids[name], err = strconv.Atoi(strings.Fields(string(text))[0])
		return err
	}))
	return pids
}

// What an app starts listens on the loopback interface and nowhere else, its files are the
// user's alone even where the umask takes nothing from others, and a password is only where it is needed.
func TestNarrow(t *testing.T) {
	needs(t, "redis-server", "sleep")
	home := t.TempDir()
	former := syscall.Umask(0)
	defer syscall.Umask(former)
	const configured, given, elsewhere = "configured-password", "given-password", "elsewhere-password"
	t.Setenv("Parameters__guarded-password", configured)
	t.Setenv("PARAMETERS__GUARDED_PASSWORD", configured)
	t.Setenv("Parameters__smtp_password", "of no Redis")
	t.Setenv("ConnectionStrings__existing", "127.0.0.1:1,password="+elsewhere)

	b := builder(t, WithRuntime(ProcessRuntime), WithHome(home))
	guarded := b.AddRedis("guarded").WithPersistence(DefaultPersistenceInterval, 1).WithDataVolume()
	b.AddRedis("safe").WithTLS().WithPassword(given)
	b.AddRedis("kept").WithLifetime(PersistentLifetime)
	b.AddCluster("cluster").WithTLS().WithPassword(given)
	b.AddSentinel("watched").WithPassword(given)
	b.AddCommand("service", "sleep", "600").WithReference(guarded)
	b.AddCommand("stranger", "sleep", "600")
	secrets := []string{configured, given}
	a, err := b.Start(t.Context())
	require.NoError(t, err)
	defer func() {
		require.NoError(t, a.Stop(t.Context()))
		// And the one that was left running.
		next := builder(t, WithRuntime(ProcessRuntime), WithHome(home), WithPath(a.path))
		next.AddCommand("service", "sleep", "600")
		require.NoError(t, runningApp(t, next).Stop(t.Context()))
	}()
	require.NoError(t, connect(t, &guarded.Connection).Set(t.Context(), "key", "value", 0).Err())
	require.NoError(t, connect(t, &guarded.Connection).Save(t.Context()).Err())
	for _, file := range globbed(t, a.run.path("passwords"), "*") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		secrets = append(secrets, strings.TrimSpace(string(text)))
	}
	require.Len(t, secrets, 3, "that of kept is generated")

	programs := readPrograms(t, home)
	require.Len(t, programs, 3+3+5+2, "%v", programs)
	for name, pid := range programs {
		ports := redistest.Listening(t, pid)
		isCommand := name == "service" || name == "stranger"
		assert.Equal(t, !isCommand, len(ports) > 0, name)
		for _, port := range ports {
			assert.Equal(t, "127.0.0.1", port, name)
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		require.NoError(t, err)
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		require.NoError(t, err)
		require.NotEmpty(t, environ)
		assert.Equal(t, isCommand, strings.Contains(string(environ), "Parameters__smtp_password=of no Redis"), name)
		for _, secret := range append(slices.Clone(secrets), elsewhere) {
			assert.NotContains(t, string(line), secret, name)
			switch {
			case name == "service" && secret == configured:
				assert.Contains(t, string(environ), secret, name)
			case isCommand && secret == elsewhere: // what is the user's own is passed on
			default:
				assert.NotContains(t, string(environ), secret, name)
			}
		}
	}

	seen := map[string]bool{}
	require.NoError(t, filepath.WalkDir(home, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		name := filepath.Base(path)
		seen[filepath.Ext(name)] = true
		switch {
		case path == home: // the test's
		case entry.IsDir():
			assert.Equal(t, fs.ModeDir|0o700, info.Mode(), path)
		case name == "dump.rdb", name == "nodes.conf", strings.Contains(path, "/watched.sentinel."):
			// Redis writes these as the umask lets it, in a folder that is the user's alone.
		default:
			assert.Equal(t, fs.FileMode(0o600), info.Mode(), path)
		}
		return nil
	}))
	for _, kind := range []string{".conf", ".pem", ".pid", ".log", ".lock", ".rdb"} {
		assert.True(t, seen[kind], kind)
	}
}

// Passwords of the app are not in the environment of what does not need them. (A redis-server
// shows nobody its environment, and so it is looked at before it starts.)
func TestEnvironmentOfPrograms(t *testing.T) {
	for _, name := range []string{"Parameters__a-password", "Parameters__a_b_password", "PARAMETERS__C_PASSWORD", "ConnectionStrings__d", "CONNECTIONSTRINGS__E"} {
		t.Setenv(name, testPassword)
	}
	t.Setenv("Parameters__a-tag", "stays")
	t.Setenv("SOME_PASSWORD", "stays too")
	p := newTestProcesses(t)
	c, err := p.prepare(&server{name: "cache", password: testPassword}, filepath.Join(p.run.dir, "cache"), 1)
	require.NoError(t, err)
	all := strings.Join(c.env, "\n")
	assert.NotContains(t, all, testPassword)
	assert.Contains(t, all, "Parameters__a-tag=stays")
	assert.Contains(t, all, "SOME_PASSWORD=stays too")
	assert.Contains(t, all, "PATH=")
	fakeNPM(t, `! env | grep '`+testPassword+`' && `+installs)
	_, err = installCommander(t.Context(), p.run, noProgress)
	require.NoError(t, err)
}

// A folder in which others could put their files in place of these is not taken.
func TestHomeOfOthers(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, home, app string){
		"everybody can write to it":            func(t *testing.T, home, _ string) { require.NoError(t, os.Chmod(home, 0o777)) },
		"everybody can write to it, if sticky": func(t *testing.T, home, _ string) { require.NoError(t, os.Chmod(home, fs.ModeSticky|0o777)) },
		"everybody can write to the app's":     func(t *testing.T, _, app string) { require.NoError(t, os.Chmod(app, 0o707)) },
		"it is another's":                      func(t *testing.T, home, _ string) { chown(t, home) },
		"the app's is another's":               func(t *testing.T, _, app string) { chown(t, app) },
		"the app's leads to where it is another's": func(t *testing.T, _, app string) {
			other := t.TempDir()
			chown(t, other)
			require.NoError(t, os.RemoveAll(app))
			require.NoError(t, os.Symlink(other, app))
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			h, err := openHome(home, "shop", "/shop")
			require.NoError(t, err)
			spoil(t, home, h.dir)
			_, err = openHome(home, "shop", "/shop")
			require.ErrorContains(t, err, "the folder for passwords and data: "+home)
			require.ErrorContains(t, err, ", or set REDISBINDING_HOSTING_HOME to another")
		})
	}
}

// chown gives a folder to another user, where the test may.
func chown(t *testing.T, folder string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give folders away")
	}
	require.NoError(t, os.Chown(folder, 4711, -1))
}
