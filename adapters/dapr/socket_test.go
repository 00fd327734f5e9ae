package dapr

import (
	"context"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requireAlone checks that the folder holds the entries and nothing else.
func requireAlone(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	got := []string{}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.ElementsMatch(t, names, got)
}

// endedContext is one that has ended.
func endedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestSocketMode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		opts           []Option
		socket, folder fs.FileMode
	}{
		{nil, 0o600, 0o700},
		{[]Option{WithSocketMode(0o644)}, 0o644, 0o700},
		{[]Option{WithSocketMode(0o660)}, 0o660, 0o750},
		{[]Option{WithSocketMode(0o666)}, 0o666, 0o755},
	} {
		t.Run(test.socket.String(), func(t *testing.T) {
			dir := filepath.Join(folder(t), "new", "sockets")
			s := serveAt(t, filepath.Join(dir, "x.sock"), test.opts...)
			info, err := os.Lstat(s.socket)
			require.NoError(t, err)
			assert.Equal(t, test.socket, info.Mode().Perm())
			assert.Equal(t, fs.ModeSocket, info.Mode().Type())
			info, err = os.Lstat(dir)
			require.NoError(t, err)
			assert.Zero(t, info.Mode().Perm()&^test.folder)
			requireAlone(t, dir, "x.sock")
			require.NoError(t, s.stop())
			requireAlone(t, dir)
		})
	}
}

// TestSocketIsNeverOpen looks for a moment in which the mode is another one.
func TestSocketIsNeverOpen(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(folder(t), "x.sock")
	done, looked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(looked)
		for {
			select {
			case <-done:
				return
			default:
			}
			if info, err := os.Lstat(socket); err == nil && !assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm()) {
				return
			}
		}
	}()
	for range 200 {
		s, err := Listen(socket)
		require.NoError(t, err)
		require.NoError(t, s.Serve(endedContext()))
	}
	close(done)
	<-looked
}

func TestStaleSocket(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	socket := filepath.Join(dir, "x.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	require.NoError(t, err)
	stale.SetUnlinkOnClose(false)
	require.NoError(t, stale.Close())
	require.FileExists(t, socket)

	s := serveAt(t, socket)
	initialize(t, component(t, s, ""), map[string]string{"redisHost": startMini(t)})
	requireAlone(t, dir, "x.sock")
}

func TestSocketInUse(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := serveAt(t, filepath.Join(dir, "x.sock"))
	_, err := Listen(s.socket)
	require.EqualError(t, err, "redisbinding: socket "+s.socket+": it is in use: another process listens there")
	requireAlone(t, dir, "x.sock")
	initialize(t, component(t, s, ""), map[string]string{"redisHost": startMini(t)})
}

func TestSomethingElseThere(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(file, link))
	for _, path := range []string{file, link, dir} {
		_, err := Listen(path)
		require.EqualError(t, err, "redisbinding: socket "+path+": there is something else than a socket: remove it or choose another path")
	}
	requireAlone(t, dir, "file", "link")
	content, err := os.ReadFile(link)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(content))
}

func TestBadPaths(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	long := filepath.Join(dir, strings.Repeat("x", maxSocketPath-len(dir)))
	_, err := Listen(long)
	require.ErrorContains(t, err, "the path is ")
	require.ErrorContains(t, err, long)

	longFolder := filepath.Join(dir, strings.Repeat("x", maxSocketPath-len(dir)-4))
	_, err = Listen(filepath.Join(longFolder, "s"))
	require.ErrorContains(t, err, "the path of its folder is ")
	_, err = Listen("@abstract")
	require.ErrorContains(t, err, "begins with @")
	requireAlone(t, dir)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	_, err = Listen(filepath.Join(dir, "file", "x.sock"))
	require.ErrorContains(t, err, "redisbinding: socket "+dir)

	// As long as can be.
	s := serveAt(t, long[:maxSocketPath])
	initialize(t, component(t, s, ""), map[string]string{"redisHost": startMini(t)})
}

// TestSocketIsSomebodyElses checks that a server removes none but its own socket.
func TestSocketIsSomebodyElses(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(folder(t), "x.sock")
	first := serveAt(t, socket)
	require.NoError(t, os.Remove(socket))
	second := serveAt(t, socket)
	require.NoError(t, first.stop())
	initialize(t, component(t, second, ""), map[string]string{"redisHost": startMini(t)})
	require.NoError(t, second.stop())
	require.NoFileExists(t, socket)
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(folder(t), "new", "x.sock")
	_, err := Listen(socket, WithSocketMode(0o060), WithMaxMessageSize(0), WithStopTimeout(-time.Second))
	require.EqualError(t, err, "redisbinding: socket mode: must be permissions that include 0600, got 060\n"+
		"redisbinding: max message size: must be between 1 and 2147418111 bytes, got 0\n"+
		"redisbinding: stop timeout: must not be negative, got -1s")
	_, err = Listen(socket, WithSocketMode(fs.ModeSetuid|0o600))
	require.ErrorContains(t, err, "socket mode")
	_, err = Listen(socket, WithMaxMessageSize(math.MaxInt32))
	require.ErrorContains(t, err, "max message size")
	require.NoDirExists(t, filepath.Dir(socket))
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	o, err := newOptions([]Option{WithLogger(nil), WithConstructor(nil)})
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), o.socketMode)
	assert.Equal(t, 4<<20, o.maxMessageSize)
	assert.Equal(t, 10*time.Second, o.stopTimeout)
	assert.NotNil(t, o.logger)
	assert.NotNil(t, o.construct)
}
