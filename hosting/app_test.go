package hosting

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/cache"
)

// events is a log whose messages are "resource: state", in order.
type events struct{ output }

func (e *events) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(&e.output, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (e *events) list() (all []string) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(e.String())))
	for {
		var record struct{ Msg, Resource string }
		if decoder.Decode(&record) != nil {
			return all
		}
		event := record.Resource + strings.TrimPrefix(record.Msg, "hosting")
		if len(all) == 0 || all[len(all)-1] != event {
			all = append(all, event)
		}
	}
}

// inOrder checks that events have happened one after the other.
func (e *events) inOrder(t *testing.T, order ...string) {
	t.Helper()
	all := e.list()
	last := -1
	for _, event := range order {
		at := slices.Index(all, event)
		require.Greater(t, at, last, "%s is not where it should be:\n%s", event, strings.Join(all, "\n"))
		last = at
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	log := &events{}
	b := builder(t, WithLogger(log.logger()))
	// Declared the other way round.
	web := program(t, b, "web", "http").WithHTTPEndpoint(0, "PORT")
	api := program(t, b, "api", "http").WithHTTPEndpoint(0, "PORT")
	r := b.AddRedis("cache")
	web.WaitFor(api)
	api.WithReference(r).WaitFor(r)

	a, err := b.Start(t.Context())
	require.NoError(t, err)
	log.inOrder(t, "cache: starting", "cache: healthy", "api: starting", "api: healthy", "web: starting", "web: healthy")
	response, err := http.Get(web.URL())
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())

	require.NoError(t, a.Stop(t.Context()))
	log.inOrder(t, "web: stopping", "web: stopped", "api: stopping", "api: stopped", "cache: stopping", "cache: stopped")
	assert.Empty(t, web.URL())
	assert.NoError(t, a.Stop(t.Context()), "once more does nothing")
}

func TestCommandIsGivenReferences(t *testing.T) {
	out := &output{}
	b := builder(t, WithOutput(out))
	t.Setenv("INHERITED", "yes")
	for _, name := range []string{"CACHE_HOST", "CACHE_CA_FILE", "connectionstrings__CACHE", "MY_STORE_PASSWORD"} {
		t.Setenv(name, "elsewhere")
	}
	r := b.AddRedis("cache").WithTLS()
	store := b.AddRedis("my-store").WithTLS()
	program(t, b, "api", "environment").WithReference(r).WithReference(store).WithEnv("COLOUR", "red").WithEnv("MY_STORE_PORT", "1")
	runningApp(t, b)
	out.has(t, "that is all")

	var env []string
	for line := range strings.Lines(out.String()) {
		if name, variable, found := strings.Cut(line, " | "); found && strings.TrimSpace(name) == "api" {
			env = append(env, strings.TrimSpace(variable))
		}
	}
	password := r.UniversalOptions().Password
	host, port, err := net.SplitHostPort(r.UniversalOptions().Addrs[0])
	require.NoError(t, err)
	for _, variable := range []string{
		"ConnectionStrings__my-store=" + strings.ReplaceAll(store.ConnectionString(), store.UniversalOptions().Password, "***"),
		"ConnectionStrings__cache=" + strings.ReplaceAll(r.ConnectionString(), password, "***"),
		"CACHE_HOST=" + host, "CACHE_PORT=" + port, "CACHE_PASSWORD=***",
		"CACHE_URI=rediss://:***@" + host + ":" + port,
		"MY_STORE_PORT=1", "COLOUR=red", "INHERITED=yes",
	} {
		assert.Contains(t, env, variable)
	}
	assert.NotContains(t, out.String(), password, "no password is shown")
	assert.NotContains(t, out.String(), "elsewhere", "what is another's of the same name is not inherited")

	folders := ""
	for _, variable := range env {
		if value, found := strings.CutPrefix(variable, "SSL_CERT_DIR="); found {
			folders = value
		}
	}
	bundle, err := os.ReadFile(filepath.Join(filepath.SplitList(folders)[0], "ca.pem"))
	require.NoError(t, err)
	for _, c := range []*Connection{&r.Connection, &store.Connection} {
		assert.Contains(t, string(bundle), c.Metadata()["caCert"])
	}
}

func TestNothingStaysOfAFailedStart(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	log := &events{}
	b := builder(t, WithHome(home), WithLogger(log.logger()))
	r := b.AddRedis("cache")
	program(t, b, "api", "http").WithHTTPEndpoint(0, "PORT").WaitFor(r)
	bad := program(t, b, "bad", "failure").WithHTTPEndpoint(0, "PORT").WaitFor(r)

	_, err := b.Start(t.Context())
	require.ErrorContains(t, err, "hosting: bad: ")
	require.ErrorContains(t, err, "has ended: exit status 3\n  | something is wrong", "also where nobody sees its output")
	var of *ResourceError
	require.ErrorAs(t, err, &of)
	assert.Equal(t, bad.Name(), of.Resource)
	assert.Empty(t, r.ConnectionString())
	assert.Contains(t, log.list(), "cache: stopped")
	assert.Contains(t, log.list(), "bad: failed to start")
	runs, err := filepath.Glob(filepath.Join(home, "shop-*", "runs", "*"))
	require.NoError(t, err)
	assert.Empty(t, runs)
}

func TestUnknownProgram(t *testing.T) {
	t.Parallel()
	b := builder(t)
	b.AddCommand("api", "no-such-program")
	_, err := b.Start(t.Context())
	require.EqualError(t, err, `hosting: api: AddCommand takes a path or a program on PATH: exec: "no-such-program": executable file not found in $PATH`)
}

func TestStubbornProgramIsKilled(t *testing.T) {
	t.Parallel()
	out := &output{}
	b := builder(t, WithOutput(out), WithStopTimeout(100*time.Millisecond))
	program(t, b, "api", "stubborn")
	a, err := b.Start(t.Context())
	require.NoError(t, err)
	out.has(t, "ready")
	err = a.Stop(t.Context())
	require.EqualError(t, err, "hosting: api: it did not stop in time, and was killed: context deadline exceeded")
	assert.Equal(t, err, a.Stop(t.Context()), "it says the same again")
}

func TestProgramThatEndsIsReported(t *testing.T) {
	t.Parallel()
	out := &output{}
	log := &events{}
	b := builder(t, WithOutput(out), WithLogger(log.logger()))
	program(t, b, "job", "failure")
	runningApp(t, b)
	out.has(t, "something is wrong")
	out.has(t, "has ended: exit status 3")
	require.Eventually(t, func() bool { return slices.Contains(log.list(), "job: ended") }, time.Minute, 5*time.Millisecond)
	assert.Contains(t, log.list(), "job: a resource has ended")
}

const helloModule = "module example.test/shop\n\ngo 1.26\n"

func module(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	files["go.mod"] = helloModule
	for name, text := range files {
		file := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	return folder
}

func TestProject(t *testing.T) {
	t.Parallel()
	folder := module(t, map[string]string{"cmd/api/main.go": `package main

import ("fmt"; "os")

func main() { dir, _ := os.Getwd(); fmt.Println("hello from", dir) }
`})
	out := &output{}
	b := builder(t, WithOutput(out), WithPath(folder))
	b.AddProject("api", "./cmd/api")
	b.AddProject("elsewhere", "cmd/api").WithDir("cmd")
	runningApp(t, b)
	out.has(t, "| hello from "+folder+"\n")
	out.has(t, "| hello from "+filepath.Join(folder, "cmd")+"\n")
}

func TestProjectThatCannotBeBuilt(t *testing.T) {
	t.Parallel()
	folder := module(t, map[string]string{
		"broken/main.go": "package main\n\nfunc main() { nonsense }\n",
		"library/lib.go": "package library\n",
		"file":           "",
	})
	tests := map[string]string{
		"broken":  "hosting: api: building " + filepath.Join(folder, "broken") + ": go has ended: exit status 1\n  | # example.test/shop/broken\n  | ./main.go:3:15: undefined: nonsense",
		"library": "hosting: api: " + filepath.Join(folder, "library") + " has no main package",
		"absent":  "hosting: api: the folder of the program: stat " + filepath.Join(folder, "absent") + ": no such file or directory",
		"file":    "hosting: api: the folder of the program: " + filepath.Join(folder, "file") + " is no folder",
	}
	for name, message := range tests {
		t.Run(name, func(t *testing.T) {
			b := builder(t, WithPath(folder))
			b.AddProject("api", "./"+name)
			_, err := b.Start(t.Context())
			require.EqualError(t, err, message)
		})
	}
}

func TestPath(t *testing.T) {
	folder := module(t, map[string]string{"a/b/c": ""})
	b := NewBuilder("shop")
	for _, working := range []string{folder, filepath.Join(folder, "a", "b")} {
		t.Chdir(working)
		path, err := b.path()
		require.NoError(t, err)
		assert.Equal(t, folder, path, "the folder of go.mod, wherever in it the app is started")
	}
	outside := t.TempDir()
	t.Chdir(outside)
	path, err := b.path()
	require.NoError(t, err)
	assert.Equal(t, outside, path)
}

func TestConnectionString(t *testing.T) {
	server := miniredis.RunT(t)
	server.RequireAuth("secret")
	t.Setenv("CONNECTIONSTRINGS__CACHE", server.Addr()+",password=secret")
	out := &output{}
	b := builder(t, WithOutput(out))
	r := b.AddConnectionString("cache")
	program(t, b, "api", "environment").WithReference(r).WaitFor(r)
	a := runningApp(t, b)
	works(t, &r.Connection)
	out.has(t, "ConnectionStrings__cache="+server.Addr()+",password=***")
	assert.NoError(t, a.HealthChecks()["cache_check"](t.Context()))
}

func TestConnectionStringThatDoesNotAnswer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	t.Setenv("ConnectionStrings__cache", addr+",password=secret")

	log := &events{}
	b := builder(t, WithLogger(log.logger()), WithStartTimeout(200*time.Millisecond))
	r := b.AddConnectionString("cache")
	program(t, b, "api", "http").WithReference(r)
	a, err := b.Start(t.Context())
	require.NoError(t, err, "nobody waits for it")
	require.Eventually(t, func() bool { return slices.Contains(log.list(), "cache: not healthy") }, time.Minute, 5*time.Millisecond)
	require.NoError(t, a.Stop(t.Context()))
	assert.NotContains(t, log.String(), "secret")

	program(t, b, "web", "http").WaitFor(r)
	_, err = b.Start(t.Context())
	require.ErrorContains(t, err, "hosting: cache: it runs, but was not healthy within 200ms: ")
	require.ErrorContains(t, err, addr)
}

func TestBadConnectionString(t *testing.T) {
	t.Setenv("ConnectionStrings__cache", "localhost:6379,passwort=secret")
	b := builder(t)
	b.AddConnectionString("cache")
	_, err := b.Start(t.Context())
	require.ErrorContains(t, err, "hosting: cache: the environment variable ConnectionStrings__cache: ")
	require.ErrorContains(t, err, "Keyword 'passwort' is not supported. Did you mean 'password'?")
	require.NotContains(t, err.Error(), "secret")
}

func TestStartIsCancelled(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	require.NoError(t, err)
	defer listener.Close()
	t.Setenv("ConnectionStrings__cache", listener.Addr().String())
	b := builder(t)
	program(t, b, "api", "http").WaitFor(b.AddConnectionString("cache"))

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = b.Start(ctx)
	require.ErrorIs(t, err, context.Canceled)

	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	require.NoError(t, b.Run(ctx), "that is how Run ends")
}

func TestRun(t *testing.T) {
	t.Parallel()
	out := &output{}
	b := builder(t, WithOutput(out))
	r := b.AddRedis("cache")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- b.Run(ctx) }()
	out.has(t, "healthy")
	works(t, &r.Connection)
	cancel()
	require.NoError(t, <-result)
	assert.Contains(t, out.String(), "stopped")
	assert.Empty(t, r.ConnectionString())
}

func TestHealthChecksForTheHandler(t *testing.T) {
	t.Parallel()
	b := builder(t)
	b.AddRedis("cache")
	a := runningApp(t, b)
	assert.NotNil(t, cache.HealthHandler(a.HealthChecks()))
}
