package hosting

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shell starts a script.
func shell(t *testing.T, folder string, c command, script string) *process {
	t.Helper()
	c.name, c.path, c.args, c.env = "script", "/bin/sh", []string{"-c", script}, os.Environ()
	p, err := startProcess(folder, c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.stop(ended()) })
	return p
}

// ended is a context for stopping without grace.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// within is a context that bounds what nothing else would end.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func waitFor(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		require.FailNow(t, "it did not happen")
	}
}

// pidIn waits until a script has written a pid.
func pidIn(t *testing.T, file string) int {
	t.Helper()
	var pid int
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(file)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil && pid != 0
	}, time.Minute, time.Millisecond)
	return pid
}

func TestProcessThatEnds(t *testing.T) {
	t.Parallel()
	t.Run("its error has its exit status and its log, without secrets", func(t *testing.T) {
		p := shell(t, t.TempDir(), command{secrets: []string{"hunter2"}}, "echo the password is hunter2; exit 3")
		waitFor(t, p.done())
		require.EqualError(t, p.err(), "sh has ended: exit status 3\n  | the password is ***")
	})
	t.Run("the log's end is what counts", func(t *testing.T) {
		p := shell(t, t.TempDir(), command{}, "for i in $(seq 100); do echo line $i; done")
		waitFor(t, p.done())
		assert.ErrorContains(t, p.err(), "sh has ended: exit status 0\n  | line 86\n")
		assert.ErrorContains(t, p.err(), "\n  | line 100")
	})
	t.Run("its output goes where it should", func(t *testing.T) {
		var lines []string
		output := newLineWriter(newRedactor("hunter2"), func(line string) { lines = append(lines, line) })
		p := shell(t, t.TempDir(), command{output: output}, "echo out; printf 'hunter2 is the end' >&2")
		waitFor(t, p.done())
		assert.Equal(t, []string{"out", "*** is the end"}, lines, "what has no line end, too")
		assert.EqualError(t, p.err(), "sh has ended: exit status 0\n  | out\n  | *** is the end")
	})
	t.Run("what it has started ends with it", func(t *testing.T) {
		p := shell(t, t.TempDir(), command{}, "sleep 1000 & kill -9 $$")
		waitFor(t, p.done())
		require.Eventually(t, func() bool { return !groupExists(p.cmd.Process.Pid) }, time.Minute, time.Millisecond)
	})
	t.Run("a program that is not there", func(t *testing.T) {
		folder := t.TempDir()
		_, err := startProcess(folder, command{name: "none", path: filepath.Join(folder, "none")})
		require.EqualError(t, err, "starting "+filepath.Join(folder, "none")+": fork/exec "+filepath.Join(folder, "none")+": no such file or directory")
		assert.NoFileExists(t, pidFileOf(folder, "none"))
	})
	t.Run("a working directory that is not there", func(t *testing.T) {
		folder := t.TempDir()
		_, err := startProcess(folder, command{name: "true", path: "/bin/true", dir: filepath.Join(folder, "none")})
		require.EqualError(t, err, "the working directory: stat "+filepath.Join(folder, "none")+": no such file or directory")
	})
}

func TestProcessStop(t *testing.T) {
	t.Parallel()
	t.Run("gracefully", func(t *testing.T) {
		folder, scratch := t.TempDir(), t.TempDir()
		p := shell(t, folder, command{dir: folder, scratch: scratch},
			"trap 'echo bye >said; exit 0' TERM; echo $$ >ready; while :; do sleep 0.01; done")
		pidIn(t, filepath.Join(folder, "ready"))
		require.NoError(t, p.stop(within(t)))
		waitFor(t, p.done())
		require.NoError(t, p.err(), "it was asked for")
		assert.FileExists(t, filepath.Join(folder, "said"))
		assert.NoFileExists(t, filepath.Join(folder, "script.pid"))
		assert.NoFileExists(t, filepath.Join(folder, "script.log"))
		assert.NoDirExists(t, scratch)
		require.NoError(t, p.stop(within(t)), "again")
	})
	t.Run("what it has started has time to end as well", func(t *testing.T) {
		folder := t.TempDir()
		p := shell(t, folder, command{dir: folder},
			"(trap 'sleep 0.05; echo bye >said; exit 0' TERM; echo $$ >ready; while :; do sleep 0.01; done) & wait")
		pidIn(t, filepath.Join(folder, "ready"))
		require.NoError(t, p.stop(within(t)))
		assert.FileExists(t, filepath.Join(folder, "said"))
	})
	t.Run("whose output is read until then", func(t *testing.T) {
		folder := t.TempDir()
		var lines []string
		output := newLineWriter(nil, func(line string) { lines = append(lines, line) })
		p := shell(t, folder, command{dir: folder, output: output},
			"(trap 'sleep 1.5; echo more; echo bye >said; exit 0' TERM; echo $$ >ready; while :; do sleep 0.01; done) & wait")
		pidIn(t, filepath.Join(folder, "ready"))
		require.NoError(t, p.stop(within(t)))
		assert.FileExists(t, filepath.Join(folder, "said"), "a pipe that nobody reads would have killed it")
		assert.Contains(t, lines, "more")
	})
	t.Run("what does not listen is killed", func(t *testing.T) {
		folder := t.TempDir()
		p := shell(t, folder, command{dir: folder}, "trap '' TERM; echo $$ >ready; while :; do sleep 1000; done")
		pid := pidIn(t, filepath.Join(folder, "ready"))
		require.ErrorIs(t, p.stop(ended()), context.Canceled)
		waitFor(t, p.done())
		require.Eventually(t, func() bool { return !groupExists(pid) }, time.Minute, time.Millisecond)
	})
}
