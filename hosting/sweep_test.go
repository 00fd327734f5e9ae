package hosting

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var helperServer = server{
	name: "cache", password: "p4ss", save: &persistence{time.Hour, 1}, mount: &mount{volume: "data"},
}

// helperApp starts servers and stays until it is killed.
func helperApp(home string) {
	fail := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	h, err := openHome(home, "shop", "/shop")
	fail(err)
	r, err := h.startRun()
	fail(err)
	p, err := newProcesses(r, slog.New(slog.DiscardHandler))
	fail(err)
	other := server{name: "other"}
	s := helperServer
	instances, err := p.start(context.Background(), []*server{&s, &other}, nil)
	fail(err)
	fail(os.WriteFile(filepath.Join(home, "ready.new"), []byte(instances[0].address()), 0o600))
	fail(os.Rename(filepath.Join(home, "ready.new"), filepath.Join(home, "ready")))
	select {}
}

func TestSweep(t *testing.T) {
	needs(t, "redis-server")
	home := t.TempDir()
	app := exec.Command(os.Args[0])
	app.Env = append(os.Environ(), helperVariable+"="+home)
	app.Stderr = os.Stderr
	require.NoError(t, app.Start())
	defer func() {
		_ = app.Process.Kill()
		_ = app.Wait()
	}()
	ready := filepath.Join(home, "ready")
	require.Eventually(t, func() bool { _, err := os.Stat(ready); return err == nil }, time.Minute, time.Millisecond)
	address, err := os.ReadFile(ready)
	require.NoError(t, err)
	s := helperServer
	client := clientOf(t, &s, string(address))
	require.NoError(t, client.Set(within(t), "kept", "yes", 0).Err())

	h, err := openHome(home, "shop", "/shop")
	require.NoError(t, err)
	runs, err := h.dead()
	require.NoError(t, err)
	require.Empty(t, runs, "it lives")

	require.NoError(t, app.Process.Kill())
	_ = app.Wait()
	require.NoError(t, client.Ping(within(t)).Err(), "it has outlived the app")

	runs, err = h.dead()
	require.NoError(t, err)
	require.Len(t, runs, 1)
	pids := []int{findProcess(pidFileOf(runs[0].dir, "cache")), findProcess(pidFileOf(runs[0].dir, "other"))}
	assert.NotContains(t, pids, 0)
	sweepProcesses(within(t), runs[0].dir)
	for _, pid := range pids {
		assert.False(t, groupExists(pid))
	}
	assert.Empty(t, globbed(t, runs[0].dir, "*.pid"))
	runs[0].end()
	assert.NoDirExists(t, runs[0].dir)

	// It was not killed: what it had not saved is there.
	// A child that saves in the background may hold the folder for a moment longer.
	processes := newProcessesIn(t, newRunIn(t, h))
	var again []instance
	require.Eventually(t, func() bool {
		again, err = processes.start(within(t), []*server{&s}, nil)
		return !errors.Is(err, errInUse)
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, err)
	defer func() { assert.NoError(t, again[0].stop(within(t))) }()
	assert.Equal(t, "yes", clientOf(t, &s, again[0].address()).Get(within(t), "kept").Val())
}

func TestFindProcess(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := pidFileOf(folder, "script")
	p := shell(t, folder, command{dir: folder}, "sleep 1000 & echo $$ >ready; wait")
	pid := pidIn(t, filepath.Join(folder, "ready"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	_, identity, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	number := strconv.Itoa(pid)
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }

	assert.Equal(t, pid, findProcess(file))
	assert.Zero(t, findProcess(file+".none"), "no file")
	for _, text := range []string{"", "x", "0", "1", "-1", "99999999999", number, "1 " + identity, number + " " + identity + "0"} {
		write(text)
		assert.Zero(t, findProcess(file), "%q", text)
	}
	write(number + " of another boot:1")
	endProcess(within(t), file)
	require.True(t, groupExists(pid), "a process that has the number of another is left alone")
	assert.NoFileExists(t, file)

	member := exec.Command("sleep", "1000")
	require.NoError(t, member.Start())
	defer func() {
		_ = member.Process.Kill()
		_ = member.Wait()
	}()
	write(strconv.Itoa(member.Process.Pid) + " " + processIdentity(member.Process.Pid))
	assert.Zero(t, findProcess(file), "it leads no group of its own")

	// The one that led the group has gone, and what it had started is found.
	p.mu.Lock()
	p.asked = true // so that nobody ends the rest
	p.mu.Unlock()
	require.NoError(t, p.cmd.Process.Kill())
	waitFor(t, p.done())
	write(string(text))
	assert.Equal(t, pid, findProcess(file))
	sweepProcesses(within(t), folder)
	assert.False(t, groupExists(pid))
}

// After the numbers of processes were given again, a group of that number may be anybody's.
func TestFindProcessOfAnothersGroup(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	other := newGroup("sh", []string{"-c", "sleep 1000 & echo $$ >ready; wait"})
	other.Dir = folder
	require.NoError(t, other.Start())
	pid := pidIn(t, filepath.Join(folder, "ready"))
	defer func() { killGroup(pid) }()
	file := pidFileOf(folder, "script")
	require.NoError(t, os.WriteFile(file, []byte(strconv.Itoa(pid)+" boot:1"), 0o600))
	require.NoError(t, other.Process.Kill())
	_ = other.Wait()
	require.True(t, groupExists(pid))

	sweepProcesses(within(t), folder)
	assert.True(t, groupExists(pid), "it is left alone")
}
