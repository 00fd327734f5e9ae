package hosting

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// leaveNone ends what a test has left running.
func leaveNone(t *testing.T, h *home) {
	t.Helper()
	t.Cleanup(func() {
		for _, file := range globbed(t, h.path("persistent"), "*/*.pid") {
			endProcess(within(t), file)
		}
	})
}

func TestPersistentServer(t *testing.T) {
	t.Parallel()
	needs(t, "redis-server")
	h, err := openHome(t.TempDir(), "shop", t.TempDir())
	require.NoError(t, err)
	leaveNone(t, h)
	folder := h.path("persistent", "cache")
	pidFile := pidFileOf(folder, "cache")
	// Each is another run of the app.
	start := func(t *testing.T, s *server) (instance, int) {
		t.Helper()
		r := newRunIn(t, h)
		i := startOne(t, newProcessesIn(t, r), s)
		assertNothingLeft(t, r)
		require.NoError(t, clientOf(t, s, i.address()).Ping(within(t)).Err())
		return i, findProcess(pidFile)
	}
	letGo := func(t *testing.T, s *server, i instance) {
		t.Helper()
		require.NoError(t, i.stop(within(t)))
		waitFor(t, i.done())
		require.NoError(t, i.err())
		require.NoError(t, clientOf(t, s, i.address()).Ping(within(t)).Err(), "it runs on")
	}

	s := &server{name: "cache", password: testPassword, persistent: true}
	first, pid := start(t, s)
	require.NotZero(t, pid)
	address := first.address()
	require.NoError(t, clientOf(t, s, address).Set(within(t), "memory", "yes", 0).Err())
	letGo(t, s, first)

	again, samePid := start(t, s)
	assert.Equal(t, pid, samePid, "it was taken over")
	assert.Equal(t, address, again.address())
	assert.Equal(t, "yes", clientOf(t, s, address).Get(within(t), "memory").Val())

	// It ends while it is watched.
	_ = clientOf(t, s, address).ShutdownNoSave(within(t)).Err()
	waitFor(t, again.done())
	require.ErrorContains(t, again.err(), "redis-server has ended")
	require.ErrorContains(t, again.err(), "Redis is now ready to exit")
	require.NoError(t, again.stop(within(t)))

	revived, newPid := start(t, s)
	assert.NotEqual(t, pid, newPid)
	assert.Equal(t, address, revived.address(), "the port that is known")
	letGo(t, s, revived)

	// Another configuration.
	changed := *s
	changed.save = &persistence{time.Hour, 1}
	replaced, changedPid := start(t, &changed)
	assert.NotEqual(t, newPid, changedPid)
	assert.False(t, groupExists(newPid))
	require.NoError(t, clientOf(t, s, replaced.address()).Set(within(t), "saved", "yes", 0).Err())
	letGo(t, s, replaced)

	// And again: it was ended gracefully.
	changed.save = &persistence{2 * time.Hour, 1}
	replaced, _ = start(t, &changed)
	assert.Equal(t, "yes", clientOf(t, s, replaced.address()).Get(within(t), "saved").Val())
	letGo(t, s, replaced)

	// A port is a part of the configuration.
	changed.port = testPort(t)
	moved, movedPid := start(t, &changed)
	assert.Equal(t, localAddress(changed.port), moved.address())
	letGo(t, s, moved)
	moved, samePid = start(t, &changed)
	assert.Equal(t, movedPid, samePid)
	letGo(t, s, moved)
}

func TestPersistentServerThatHangs(t *testing.T) {
	t.Parallel()
	p := newTestProcesses(t)
	leaveNone(t, p.run.home)
	s := &server{name: "cache", persistent: true}
	pidFile := pidFileOf(p.run.path("persistent", "cache"), "cache")
	require.NoError(t, startOne(t, p, s).stop(within(t)))
	p.answerGrace = 100 * time.Millisecond
	// Its port is another's now, as far as the next run can see.
	old := findProcess(pidFile)
	require.NoError(t, writeState(p.run.path("persistent", "cache"), s.fingerprint(), takenPort(t)))
	i := startOne(t, p, s)
	require.NoError(t, clientOf(t, s, i.address()).Ping(within(t)).Err())
	assert.False(t, groupExists(old))
	require.NoError(t, i.stop(within(t)))
}

func TestPersistentServerFailsToStart(t *testing.T) {
	t.Parallel()
	p := newTestProcesses(t)
	leaveNone(t, p.run.home)
	folder := p.run.path("persistent", "cache")
	s := &server{name: "cache", persistent: true, port: takenPort(t)}
	_, err := p.start(within(t), []*server{s}, nil)
	require.ErrorIs(t, err, ErrPortTaken)
	assert.NoDirExists(t, folder)

	s = &server{name: "cache", persistent: true, directives: [][]string{{"maxmemory", "much"}}}
	_, err = p.start(within(t), []*server{s}, nil)
	require.ErrorContains(t, err, "redis-server has ended")
	require.ErrorContains(t, err, "maxmemory")
	assert.NoDirExists(t, folder)

	// One of a group that was started is not left, and one that was taken over is.
	good := &server{name: "cache", persistent: true, port: testPort(t)}
	bad := &server{name: "bad", port: takenPort(t)}
	_, err = p.start(within(t), []*server{good, bad}, nil)
	require.ErrorIs(t, err, ErrPortTaken)
	assert.NoDirExists(t, folder)
	assertDead(t, localAddress(good.port))
	i := startOne(t, p, good)
	require.NoError(t, i.stop(within(t)))
	_, err = p.start(within(t), []*server{good, bad}, nil)
	require.ErrorIs(t, err, ErrPortTaken)
	require.NoError(t, clientOf(t, good, i.address()).Ping(within(t)).Err())

	// Data stays.
	require.NoError(t, os.WriteFile(filepath.Join(folder, "data", "dump.rdb"), nil, 0o600))
	_, err = p.start(within(t), []*server{s}, nil)
	require.Error(t, err)
	assert.FileExists(t, filepath.Join(folder, "data", "dump.rdb"))
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	base := func() *server { return &server{name: "cache", password: "p", save: &persistence{time.Minute, 1}} }
	seen := map[string]string{}
	for name, change := range map[string]func(*server){
		"nothing":     func(*server) {},
		"port":        func(s *server) { s.port = 7000 },
		"password":    func(s *server) { s.password = "q" },
		"save":        func(s *server) { s.save.keys = 2 },
		"volume":      func(s *server) { s.mount = &mount{volume: "v"} },
		"folder":      func(s *server) { s.mount = &mount{folder: "v"} },
		"readOnly":    func(s *server) { s.mount = &mount{volume: "v", readOnly: true} },
		"tls":         func(s *server) { s.tls = &certificates{folder: "f", cert: []byte("1")} },
		"certificate": func(s *server) { s.tls = &certificates{folder: "f", cert: []byte("2")} },
		"sentinel":    func(s *server) { s.sentinel = true },
		"directives":  func(s *server) { s.directives = [][]string{{"maxmemory", "1mb"}} },
	} {
		s := base()
		change(s)
		made := s.fingerprint()
		assert.NotContains(t, seen, made, "%s and %s", name, seen[made])
		seen[made] = name
		again := base()
		change(again)
		assert.Equal(t, made, again.fingerprint(), name)
	}
}
