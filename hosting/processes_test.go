package hosting

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// needs skips the test where programs are missing, and fails it in CI.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				require.FailNow(t, "no "+program+" on PATH")
			}
			t.Skip("no " + program + " on PATH")
		}
	}
}

func newRunIn(t *testing.T, h *home) *run {
	t.Helper()
	r, err := h.startRun()
	require.NoError(t, err)
	t.Cleanup(r.end)
	return r
}

func newTestRun(t *testing.T) *run {
	t.Helper()
	h, err := openHome(t.TempDir(), "shop", t.TempDir())
	require.NoError(t, err)
	return newRunIn(t, h)
}

func newProcessesIn(t *testing.T, r *run) *processes {
	t.Helper()
	needs(t, "redis-server")
	p, err := newProcesses(r, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return p
}

func newTestProcesses(t *testing.T) *processes {
	t.Helper()
	return newProcessesIn(t, newTestRun(t))
}

func startGroup(t *testing.T, p *processes, group ...*server) []instance {
	t.Helper()
	instances, err := p.start(within(t), group, nil)
	require.NoError(t, err)
	for _, one := range instances {
		t.Cleanup(func() { _ = one.stop(within(t)) })
	}
	return instances
}

func startOne(t *testing.T, p *processes, s *server) instance {
	t.Helper()
	return startGroup(t, p, s)[0]
}

func clientOf(t *testing.T, s *server, address string) *redis.Client {
	t.Helper()
	options := &redis.Options{Addr: address, Password: s.password, MaxRetries: -1, DisableIdentity: true}
	if s.tls != nil {
		options.TLSConfig = s.tls.clientConfig()
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func globbed(t *testing.T, folder, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, pattern))
	require.NoError(t, err)
	return names
}

func testPort(t *testing.T) int {
	t.Helper()
	ports, err := freePorts(1)
	require.NoError(t, err)
	return ports[0]
}

// takenPort is a port on which somebody listens who never answers.
func takenPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", localAddress(0))
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}

func assertNothingLeft(t *testing.T, r *run) {
	t.Helper()
	assert.Empty(t, globbed(t, r.dir, "*"))
}

func assertDead(t *testing.T, address string) {
	t.Helper()
	_, err := net.Dial("tcp", address)
	require.Error(t, err)
}

func stopped(t *testing.T, i instance) {
	t.Helper()
	begin := time.Now()
	require.NoError(t, i.stop(within(t)))
	t.Log("stopped after", time.Since(begin))
	waitFor(t, i.done())
	require.NoError(t, i.err())
	assertDead(t, i.address())
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	p := newTestProcesses(t)
	assert.Equal(t, ProcessRuntime, p.kind())
	s := &server{name: "cache", password: testPassword}
	require.NoError(t, p.supports(s))
	i := startOne(t, p, s)

	require.NoError(t, clientOf(t, s, i.address()).Ping(within(t)).Err())
	require.ErrorContains(t, clientOf(t, &server{}, i.address()).Ping(within(t)).Err(), "NOAUTH")

	host, port, err := net.SplitHostPort(i.address())
	require.NoError(t, err)
	assert.Equal(t, loopback, host)
	assertDead(t, net.JoinHostPort("127.0.0.2", port)) // it would answer, if it listened everywhere

	config := filepath.Join(p.run.dir, "cache", "redis.conf")
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	assert.Contains(t, string(text), quotedWord(testPassword))
	if runtime.GOOS != "windows" {
		info, err := os.Stat(config)
		require.NoError(t, err)
		assert.Equal(t, "-rw-------", info.Mode().String())
	}
	assert.NotContains(t, strings.Join(i.(*process).cmd.Args, " "), "p4ss")
	for _, file := range globbed(t, "/proc", "[0-9]*/cmdline") {
		line, _ := os.ReadFile(file) // some have ended
		assert.NotContains(t, string(line), testPassword)
	}

	select {
	case <-i.done():
		assert.Fail(t, "it runs")
	default:
	}
	stopped(t, i)
	assertNothingLeft(t, p.run)
	require.NoError(t, p.close(within(t)))
}

func TestProcessesGroup(t *testing.T) {
	t.Parallel()
	p := newTestProcesses(t)
	ports, err := freePorts(2)
	require.NoError(t, err)
	primary := &server{name: "cache", port: ports[0], password: testPassword}
	sentinel := &server{
		name: "sentinel", port: ports[1], sentinel: true,
		directives: [][]string{
			{"sentinel", "monitor", "main", loopback, strconv.Itoa(ports[0]), "1"},
			{"sentinel", "auth-pass", "main", testPassword},
		},
	}
	instances := startGroup(t, p, primary, sentinel)
	assert.Equal(t, localAddress(ports[0]), instances[0].address())
	assert.Equal(t, localAddress(ports[1]), instances[1].address())
	client := redis.NewSentinelClient(&redis.Options{Addr: instances[1].address()})
	defer client.Close()
	address, err := client.GetMasterAddrByName(within(t), "main").Result()
	require.NoError(t, err)
	assert.Equal(t, []string{loopback, strconv.Itoa(ports[0])}, address)
	for _, i := range instances {
		stopped(t, i)
	}
	assertNothingLeft(t, p.run)
}

func TestProcessesTLS(t *testing.T) {
	t.Parallel()
	p := newTestProcesses(t)
	certificates, err := keptCertificates(p.run.path("certificates", "cache"), "cache")
	require.NoError(t, err)
	s := &server{name: "cache", password: testPassword, tls: certificates}
	i := startOne(t, p, s)
	require.NoError(t, clientOf(t, s, i.address()).Ping(within(t)).Err())
	require.Error(t, clientOf(t, &server{}, i.address()).Ping(within(t)).Err())
	stopped(t, i)
}

func TestProcessesData(t *testing.T) {
	t.Parallel()
	hourly := &persistence{time.Hour, 1}
	folder := filepath.Join(t.TempDir(), "new", "folder")
	for name, test := range map[string]struct {
		mount *mount
		save  *persistence
		kept  bool
	}{
		"nothing mounted":            {nil, hourly, false},
		"a volume":                   {&mount{volume: "cache-data"}, hourly, true},
		"a volume, nothing is saved": {&mount{volume: "cache-data"}, nil, false},
		"a folder":                   {&mount{folder: folder}, hourly, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestProcesses(t)
			s := &server{name: "cache", mount: test.mount, save: test.save}
			i := startOne(t, p, s)
			client := clientOf(t, s, i.address())
			require.NoError(t, client.Set(within(t), "unsaved", "yes", 0).Err())
			stopped(t, i)
			i = startOne(t, p, s)
			n, err := clientOf(t, s, i.address()).Exists(within(t), "unsaved").Result()
			require.NoError(t, err)
			assert.Equal(t, test.kept, n == 1)
			stopped(t, i)
			assertNothingLeft(t, p.run)
		})
	}
}

func TestProcessesReadOnlyData(t *testing.T) {
	t.Parallel()
	p := newTestProcesses(t)
	folder := t.TempDir()
	s := &server{name: "cache", mount: &mount{folder: folder}, save: &persistence{time.Hour, 1}}
	i := startOne(t, p, s)
	require.NoError(t, clientOf(t, s, i.address()).Set(within(t), "old", "yes", 0).Err())
	stopped(t, i)
	before := contents(t, folder)
	require.NotEmpty(t, before)

	s.mount.readOnly = true
	for range 2 {
		i = startOne(t, p, s)
		client := clientOf(t, s, i.address())
		assert.Equal(t, []string{"old"}, client.Keys(within(t), "*").Val())
		require.NoError(t, client.Set(within(t), "new", "yes", 0).Err())
		require.NoError(t, client.Save(within(t)).Err())
		stopped(t, i)
		assert.Equal(t, before, contents(t, folder))
	}

	s.mount.folder = filepath.Join(folder, "none")
	_, err := p.start(within(t), []*server{s}, nil)
	require.ErrorContains(t, err, s.mount.folder)
	assert.NoDirExists(t, s.mount.folder)
	s.mount = &mount{volume: "none-yet", readOnly: true}
	i = startOne(t, p, s)
	assert.Empty(t, clientOf(t, s, i.address()).Keys(within(t), "*").Val())
}

// contents are the files of a folder: names, modes, times and bytes.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range globbed(t, folder, "*") {
		info, err := os.Stat(name)
		require.NoError(t, err)
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		files[name] = fmt.Sprint(info.Mode(), info.ModTime(), string(text))
	}
	return files
}

func TestProcessesFailToStart(t *testing.T) {
	t.Run("the port is taken", func(t *testing.T) {
		p := newTestProcesses(t)
		port := takenPort(t)
		_, err := p.start(within(t), []*server{{name: "cache", port: port}}, nil)
		require.ErrorIs(t, err, ErrPortTaken)
		require.ErrorContains(t, err, localAddress(port))
		assertNothingLeft(t, p.run)
	})
	t.Run("the port is taken at the last moment", func(t *testing.T) {
		p := newTestProcesses(t)
		port := takenPort(t)
		_, err := p.startAt(within(t), &server{name: "cache"}, port)
		require.ErrorIs(t, err, ErrPortTaken)
		require.ErrorContains(t, err, localAddress(port))
		assertNothingLeft(t, p.run)
	})
	t.Run("the port is taken by another Redis", func(t *testing.T) {
		p := newTestProcesses(t)
		s := &server{name: "other", password: testPassword}
		i := startOne(t, p, s)
		assert.True(t, s.answers(within(t), i.address(), i.(*process).cmd.Process.Pid))
		assert.False(t, s.answers(within(t), i.address(), os.Getpid()))
		stopped(t, i)
	})
	t.Run("one of several", func(t *testing.T) {
		p := newTestProcesses(t)
		good := testPort(t)
		_, err := p.start(within(t), []*server{{name: "cache-1", port: good}, {name: "cache-2", port: takenPort(t)}}, nil)
		require.ErrorIs(t, err, ErrPortTaken)
		require.ErrorContains(t, err, "cache-2: ")
		assertDead(t, localAddress(good))
		assertNothingLeft(t, p.run)
	})
	t.Run("the folder cannot be made", func(t *testing.T) {
		p := newTestProcesses(t)
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		for _, m := range []*mount{{folder: file}, {folder: filepath.Join(file, "in it")}} {
			_, err := p.start(within(t), []*server{{name: "cache", mount: m}}, nil)
			require.ErrorContains(t, err, m.folder)
			assertNothingLeft(t, p.run)
		}
	})
	t.Run("the configuration is bad", func(t *testing.T) {
		p := newTestProcesses(t)
		s := &server{name: "cache", password: testPassword, directives: [][]string{{"maxmemory", testPassword}}}
		_, err := p.start(within(t), []*server{s}, nil)
		require.ErrorContains(t, err, "redis-server has ended: exit status 1\n")
		require.ErrorContains(t, err, `>>> 'maxmemory "***"'`)
		assert.NotContains(t, err.Error(), "p4ss")
		assertNothingLeft(t, p.run)
	})
	t.Run("a redis-server without TLS", func(t *testing.T) {
		p := newTestProcesses(t)
		p.redis = script(t, `
			echo "*** FATAL CONFIG FILE ERROR (Redis 5.0.14) ***"
			echo "Reading the configuration file, at line 6"
			echo ">>> 'tls-port \"7000\"'"
			echo "Bad directive or wrong number of arguments"
			exit 1`)
		certificates, err := keptCertificates(p.run.path("certificates", "cache"), "cache")
		require.NoError(t, err)
		_, err = p.start(within(t), []*server{{name: "cache", tls: certificates}}, nil)
		require.ErrorIs(t, err, ErrUnsupported)
		require.ErrorContains(t, err, p.redis+" was built without it")
		assertNothingLeft(t, p.run)
	})
	t.Run("nobody waits any longer", func(t *testing.T) {
		p := newTestProcesses(t)
		ready := filepath.Join(t.TempDir(), "ready")
		p.redis = script(t, "echo $$ >"+ready+"\nexec sleep 1000")
		ctx, cancel := context.WithCancel(within(t))
		go func() {
			pidIn(t, ready)
			cancel()
		}()
		_, err := p.start(ctx, []*server{{name: "cache"}}, nil)
		require.ErrorIs(t, err, context.Canceled)
		assertNothingLeft(t, p.run)
		assert.False(t, groupExists(pidIn(t, ready)))
	})
	t.Run("no redis-server", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := newProcesses(newTestRun(t), slog.New(slog.DiscardHandler))
		require.ErrorIs(t, err, ErrNoRuntime)
		require.ErrorContains(t, err, "apt-get install redis-server")
		require.ErrorContains(t, err, RuntimeVariable)
	})
}

// script is a program in the place of redis-server.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "redis-server")
	require.NoError(t, os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	return name
}

// A script that runs redis-server instead of becoming it will do.
func TestProcessesWrapped(t *testing.T) {
	t.Parallel()
	p := newTestProcesses(t)
	p.redis = script(t, p.redis+` "$@"; exit $?`)
	s := &server{name: "cache", mount: &mount{volume: "data"}, save: &persistence{time.Hour, 1}}
	i := startOne(t, p, s)
	require.NoError(t, clientOf(t, s, i.address()).Set(within(t), "unsaved", "yes", 0).Err())
	stopped(t, i)
	i = startOne(t, p, s)
	assert.Equal(t, "yes", clientOf(t, s, i.address()).Get(within(t), "unsaved").Val())
	stopped(t, i)
}

func TestProcessesServerEnds(t *testing.T) {
	t.Parallel()
	p := newTestProcesses(t)
	s := &server{name: "cache", password: testPassword}
	i := startOne(t, p, s)
	_ = clientOf(t, s, i.address()).ShutdownNoSave(within(t)).Err()
	waitFor(t, i.done())
	require.ErrorContains(t, i.err(), "redis-server has ended: exit status 0\n")
	require.ErrorContains(t, i.err(), "Redis is now ready to exit")
	require.NoError(t, i.stop(within(t)))
	require.Error(t, i.err(), "it had ended before")
	assertNothingLeft(t, p.run)
}

func TestOnPort(t *testing.T) {
	t.Parallel()
	var ports []int
	failing := func(times int) func(int) (string, error) {
		ports = nil
		return func(port int) (string, error) {
			if ports = append(ports, port); len(ports) <= times {
				return "", portTaken(port)
			}
			return "up", nil
		}
	}
	got, err := onPort(0, failing(2))
	require.NoError(t, err)
	assert.Equal(t, "up", got)
	assert.Len(t, ports, 3)
	assert.NotContains(t, ports, 0)

	_, err = onPort(0, failing(100))
	require.ErrorIs(t, err, ErrPortTaken)
	assert.Len(t, ports, portAttempts)

	given := testPort(t)
	_, err = onPort(given, failing(1))
	require.ErrorIs(t, err, ErrPortTaken)
	assert.Equal(t, []int{given}, ports, "no other will do")
}
