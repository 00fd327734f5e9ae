package hosting

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
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
	r := newRunIn(t, h)
	again := startOne(t, newProcessesIn(t, r), &s)
	assert.Equal(t, "yes", clientOf(t, &s, again.address()).Get(within(t), "kept").Val())
}

func TestFindProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sleep.pid")
	sleep := newGroup(file, "sleep", []string{"1000"})
	require.NoError(t, sleep.Start())
	pid := sleep.Process.Pid
	killed := false
	defer func() {
		_ = sleep.Process.Kill()
		_ = sleep.Wait()
		assert.True(t, killed)
	}()
	pidIn(t, file)
	write := func(text string, at time.Time) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.NoError(t, os.Chtimes(file, at, at))
	}
	number := strconv.Itoa(pid)
	now := time.Now()

	assert.Zero(t, findProcess(file+".none"), "no file")
	for _, text := range []string{"", "x", "0", "1", "-1", "99999999999"} {
		write(text, now)
		assert.Zero(t, findProcess(file), "%q", text)
	}
	write(number, now.Add(-time.Hour))
	assert.Zero(t, findProcess(file), "the number was another's when it was written")
	endProcess(within(t), file)
	require.NoError(t, sleep.Process.Signal(syscall.Signal(0)))
	assert.True(t, groupExists(pid), "it is left alone")
	assert.NoFileExists(t, file)

	write(number, now.Add(time.Hour))
	assert.Zero(t, findProcess(file), "it would have written the file at once")
	member := exec.Command("sleep", "1000")
	require.NoError(t, member.Start())
	defer func() {
		_ = member.Process.Kill()
		_ = member.Wait()
	}()
	write(strconv.Itoa(member.Process.Pid), now)
	assert.Zero(t, findProcess(file), "it leads no group of its own")
	write(number+"\n", now)
	assert.Equal(t, pid, findProcess(file))

	// One that has ended, and whose parent does not care, is none. It is waited for below.
	require.NoError(t, sleep.Process.Kill())
	require.Eventually(t, func() bool { return findProcess(file) == 0 }, time.Minute, time.Millisecond)
	killed = true
}
