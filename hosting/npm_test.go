package hosting

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gopsutil "github.com/shirou/gopsutil/v4/process"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// npmHome has the apps of all tests with Redis Commander, so that it is installed once.
var npmHome string

func newNPMProcesses(t *testing.T) *processes {
	t.Helper()
	needs(t, "node", "npm")
	if npmHome == "" {
		var err error
		npmHome, err = os.MkdirTemp("", "hosting-npm-")
		require.NoError(t, err)
	}
	h, err := openHome(npmHome, "shop", t.TempDir())
	require.NoError(t, err)
	return newProcessesIn(t, newRunIn(t, h))
}

func targetOf(t *testing.T, s *server, i instance) uiTarget {
	t.Helper()
	_, port, err := net.SplitHostPort(i.address())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	return uiTarget{name: s.name, server: s, host: loopback, port: number, password: s.password, tls: s.tls}
}

func get(t *testing.T, address, path string) string {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+address+path, nil)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(body))
	return string(body)
}

func noProgress(string) {}

func TestCommander(t *testing.T) {
	p := newNPMProcesses(t)
	certificates, err := keptCertificates(p.run.path("certificates", "secured"), "secured")
	require.NoError(t, err)
	servers := []*server{
		{name: "open"},
		{name: "locked", password: testPassword},
		{name: "secured", password: testPassword, tls: certificates},
	}
	u := &uiServer{kind: commander, name: commanderName}
	for _, s := range servers {
		i := startOne(t, p, s)
		require.NoError(t, clientOf(t, s, i.address()).Set(within(t), "key-of-"+s.name, "v", 0).Err())
		u.targets = append(u.targets, targetOf(t, s, i))
	}
	require.NoError(t, p.supportsUI(u))
	// Much of the environment would change what it does.
	t.Setenv("HTTP_USER", "nobody")
	t.Setenv("HTTP_PASSWORD", "nothing")
	t.Setenv("NODE_APP_INSTANCE", "7")
	t.Setenv("NODE_CONFIG_DIR", t.TempDir())
	t.Setenv("URL_PREFIX", "/elsewhere")
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, ".redis-commander"),
		[]byte(`{"default_connections": [{"label": "the user's", "host": "127.0.0.1", "port": 1, "dbIndex": 0}]}`), 0o600))
	t.Setenv("HOME", home)

	i, err := p.startUI(within(t), u, noProgress)
	require.NoError(t, err)
	defer func() { _ = i.stop(within(t)) }()
	_, port, err := net.SplitHostPort(i.address())
	require.NoError(t, err)
	assertDead(t, net.JoinHostPort("127.0.0.2", port)) // it would answer, if it listened everywhere

	assert.Contains(t, get(t, i.address(), "/"), "Redis Commander")
	var list struct {
		Connections []struct{ Label, ConID string }
	}
	require.NoError(t, json.Unmarshal([]byte(get(t, i.address(), "/connections")), &list))
	var labels []string
	for n, connection := range list.Connections {
		labels = append(labels, connection.Label)
		require.EventuallyWithT(t, func(t *assert.CollectT) { // it may not have connected yet
			transport := &http.Transport{DisableKeepAlives: true}
			request, err := http.NewRequest(http.MethodGet, "http://"+i.address()+"/apiv2/keystree/"+connection.ConID, nil)
			if !assert.NoError(t, err) {
				return
			}
			response, err := transport.RoundTrip(request)
			if !assert.NoError(t, err) {
				return
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			assert.NoError(t, err)
			assert.Contains(t, string(body), "key-of-"+servers[n].name)
		}, time.Minute, 10*time.Millisecond)
	}
	assert.Equal(t, []string{"open", "locked", "secured"}, labels)

	// No password, neither for all to see nor in the log.
	pid := i.(*process).cmd.Process.Pid
	line, err := (&gopsutil.Process{Pid: int32(pid)}).Cmdline()
	require.NoError(t, err)
	assert.Contains(t, line, "redis-commander.js --address 127.0.0.1 ")
	assert.NotContains(t, line, "p4ss")
	log, err := os.ReadFile(logFileOf(p.run.dir, u.name))
	require.NoError(t, err)
	assert.NotContains(t, string(log), "p4ss")

	stopped(t, i)
	assert.False(t, groupExists(pid))
	assert.Empty(t, globbed(t, p.run.dir, u.name+"*"))
}

// Wrong passwords and servers that are gone are logged, without passwords.
func TestCommanderLog(t *testing.T) {
	t.Parallel()
	p := newNPMProcesses(t)
	s := &server{name: "cache", password: testPassword}
	i := startOne(t, p, s)
	wrong, gone := targetOf(t, s, i), targetOf(t, s, i)
	wrong.password = "wr0ng"
	gone.port = testPort(t)
	u := &uiServer{kind: commander, name: commanderName, targets: []uiTarget{wrong, gone}}
	ui, err := p.startUI(within(t), u, noProgress)
	require.NoError(t, err)
	defer func() { _ = ui.stop(within(t)) }()
	var log string
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(logFileOf(p.run.dir, u.name))
		log = string(text)
		return err == nil && strings.Contains(log, "WRONGPASS") && strings.Contains(log, "ECONNREFUSED")
	}, time.Minute, 10*time.Millisecond, "%s", &log)
	assert.NotContains(t, log, "wr0ng")
	assert.NotContains(t, log, "p4ss")
	require.NoError(t, ui.stop(within(t)))
}

func TestCommanderPort(t *testing.T) {
	t.Parallel()
	p := newNPMProcesses(t)
	u := &uiServer{kind: commander, name: commanderName, port: takenPort(t)}
	_, err := p.startUI(within(t), u, noProgress)
	require.ErrorIs(t, err, ErrPortTaken)

	installed, err := installCommander(within(t), p.run, noProgress)
	require.NoError(t, err)
	_, err = startCommander(within(t), p.run, u, "node", installed, u.port)
	require.ErrorIs(t, err, ErrPortTaken, "at the last moment")
	require.ErrorContains(t, err, localAddress(u.port))
	assertNothingLeft(t, p.run)

	u.port = testPort(t)
	i, err := p.startUI(within(t), u, noProgress)
	require.NoError(t, err)
	assert.Equal(t, localAddress(u.port), i.address())
	require.NoError(t, i.stop(within(t)))
	assertNothingLeft(t, p.run)
}

// fakeNPM puts an npm on PATH that needs no registry.
func fakeNPM(t *testing.T, text string) {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "npm"), []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// installs is what npm does, as far as it matters: $3 is the folder.
const installs = `mkdir -p "$3/node_modules/redis-commander/bin" && echo x >"$3/node_modules/redis-commander/bin/redis-commander.js"`

func TestInstallCommander(t *testing.T) {
	t.Run("once, for all apps", func(t *testing.T) {
		count := filepath.Join(t.TempDir(), "count")
		fakeNPM(t, "echo once >>"+count+"; echo \"$@\" >"+count+".args; sleep 0.1; "+installs)
		home := t.TempDir()
		var all sync.WaitGroup
		for _, name := range []string{"shop", "other", "third"} {
			h, err := openHome(home, name, "/"+name)
			require.NoError(t, err)
			r := newRunIn(t, h)
			all.Go(func() {
				folder, err := installCommander(within(t), r, noProgress)
				assert.NoError(t, err)
				assert.Equal(t, filepath.Join(home, "npm", "redis-commander-0.9.0"), folder)
				assert.FileExists(t, commanderProgram(folder))
			})
		}
		all.Wait()
		text, err := os.ReadFile(count)
		require.NoError(t, err)
		assert.Equal(t, "once\n", string(text))
		args, err := os.ReadFile(count + ".args")
		require.NoError(t, err)
		assert.Contains(t, string(args), "--ignore-scripts --omit=optional redis-commander@0.9.0\n")
	})
	t.Run("it fails, and succeeds", func(t *testing.T) {
		r := newTestRun(t)
		fakeNPM(t, "echo half >\"$3/half\"; echo npm error code E404; exit 1")
		var told []string
		progress := func(what string) { told = append(told, what) }
		_, err := installCommander(within(t), r, progress)
		require.EqualError(t, err, "installing redis-commander@0.9.0 from npm: npm has ended: exit status 1\n  | npm error code E404")
		assert.Equal(t, []string{"installing redis-commander from npm"}, told)
		assert.Equal(t, []string{"redis-commander-0.9.0.lock"}, names(t, filepath.Join(filepath.Dir(r.home.dir), "npm")))
		assertNothingLeft(t, r)

		fakeNPM(t, installs)
		_, err = installCommander(within(t), r, progress)
		require.NoError(t, err)
		assertNothingLeft(t, r)
		_, err = installCommander(within(t), r, progress)
		require.NoError(t, err)
		assert.Len(t, told, 2, "it is there")
	})
	t.Run("interrupted", func(t *testing.T) {
		r := newTestRun(t)
		ready := filepath.Join(t.TempDir(), "ready")
		fakeNPM(t, installs+"; echo $$ >"+ready+"; sleep 1000")
		ctx, cancel := context.WithCancel(within(t))
		go func() {
			pidIn(t, ready)
			cancel()
		}()
		_, err := installCommander(ctx, r, noProgress)
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, []string{"redis-commander-0.9.0.lock"}, names(t, filepath.Join(filepath.Dir(r.home.dir), "npm")))
		assertNothingLeft(t, r)
	})
	t.Run("the app died in the middle", func(t *testing.T) {
		r := newTestRun(t)
		unfinished := filepath.Join(filepath.Dir(r.home.dir), "npm", "redis-commander-0.9.0.new")
		require.NoError(t, os.MkdirAll(filepath.Dir(commanderProgram(unfinished)), 0o700))
		require.NoError(t, os.WriteFile(commanderProgram(unfinished), nil, 0o600))
		fakeNPM(t, installs)
		folder, err := installCommander(within(t), r, noProgress)
		require.NoError(t, err)
		text, err := os.ReadFile(commanderProgram(folder))
		require.NoError(t, err)
		assert.Equal(t, "x\n", string(text))
		assert.NoDirExists(t, unfinished)
	})
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestNoUI(t *testing.T) {
	p := &processes{run: newTestRun(t)}
	err := p.supportsUI(&uiServer{kind: insight})
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, "it exists as an image only")

	t.Setenv("PATH", t.TempDir())
	require.ErrorContains(t, npmMissing(), "no node on PATH: install Node.js")
	err = p.supportsUI(&uiServer{kind: commander})
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, "no node on PATH")
}
