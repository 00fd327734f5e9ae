package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestMain(m *testing.M) {
	// The test's own program is the command when it is told to, so that it is one with the
	// race detector where the tests have it.
	if os.Getenv("REDISBINDING_DAPR_MAIN") == "true" {
		main()
	}
	redistest.Main(m)
}

// folder returns a new folder with a path that is short enough for sockets.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dapr")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			dir := folder(t)
			var stderr bytes.Buffer
			command := exec.CommandContext(t.Context(), os.Args[0], "-name", "cache", "-mode", "0660", "-log-level", "debug")
			command.Env = append(os.Environ(), "REDISBINDING_DAPR_MAIN=true", folderVariable+"="+dir)
			command.Stderr = &stderr
			stdout, err := command.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, command.Start())
			lines := bufio.NewReader(stdout)
			line, err := lines.ReadString('\n')
			require.NoError(t, err, "it says what it serves")
			socket := filepath.Join(dir, "cache.sock")
			assert.Equal(t, "component type bindings.cache, version v1, on the socket "+socket+"\n", line)
			info, err := os.Lstat(socket)
			require.NoError(t, err)
			assert.Equal(t, fs.FileMode(0o660), info.Mode().Perm())

			operate(t, socket)

			require.NoError(t, command.Process.Signal(signal))
			_, _ = io.Copy(io.Discard, lines)
			require.NoError(t, command.Wait(), "exit code 0: %s", &stderr)
			require.NoFileExists(t, socket)
			assert.Contains(t, stderr.String(), "made a binding")
			assert.Contains(t, stderr.String(), "stopped")
		})
	}
}

// operate does what daprd does.
func operate(t *testing.T, socket string) {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	client := pb.NewOutputBindingClient(conn)
	_, err = client.Init(t.Context(), &pb.OutputBindingInitRequest{Metadata: &pb.MetadataRequest{Properties: redistest.Plain(t).Fields()}})
	require.NoError(t, err)
	key := map[string]string{"key": t.Name()}
	_, err = client.Invoke(t.Context(), &pb.InvokeRequest{Operation: "create", Metadata: key, Data: []byte("value")})
	require.NoError(t, err)
	resp, err := client.Invoke(t.Context(), &pb.InvokeRequest{Operation: "get", Metadata: map[string]string{"key": t.Name(), "delete": "true"}})
	require.NoError(t, err)
	assert.Equal(t, "value", string(resp.GetData()))
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-nonsense"}, "not defined: -nonsense"},
		{[]string{"serve"}, `there are flags only, got "serve"`},
		{[]string{"-socket-folder", ""}, "-socket-folder must not be empty"},
		{[]string{"-name", ""}, "-name must be"},
		{[]string{"-name", "../x"}, "-name must be"},
		{[]string{"-mode", "0899"}, `invalid value "0899" for flag -mode: must be octal`},
		{[]string{"-mode", "1600"}, "must be octal"},
		{[]string{"-mode", "066"}, "must be octal"},
		{[]string{"-max-message-size", "0"}, "-max-message-size must be between"},
		{[]string{"-max-message-size", "4MiB"}, `invalid value "4MiB" for flag -max-message-size`},
		{[]string{"-stop-timeout", "-1s"}, "-stop-timeout must not be negative"},
		{[]string{"-log-level", "loud"}, `invalid value "loud" for flag -log-level`},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			assert.Equal(t, 2, run(t.Context(), test.args, &stdout, &stderr))
			assert.Empty(t, stdout.String())
			assert.Contains(t, stderr.String(), "redisbinding: ")
			assert.Contains(t, stderr.String(), test.want)
			assert.Equal(t, 1, strings.Count(stderr.String(), "\n"), "one line: %s", &stderr)
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 0, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	for _, name := range []string{"socket-folder", "name", "mode", "max-message-size", "stop-timeout", "log-level"} {
		assert.Contains(t, stderr.String(), "-"+name+" ")
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	c, err := parseFlags(nil, none, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, &config{
		folder: "/tmp/dapr-components-sockets", name: "redisbinding", mode: 0o600,
		maxMessageSize: 4 << 20, stopTimeout: 10 * time.Second, logLevel: slog.LevelInfo,
	}, c)
	assert.Equal(t, filepath.FromSlash("/tmp/dapr-components-sockets/redisbinding.sock"), c.socket())

	variable := func(name string) string { return map[string]string{folderVariable: "/sockets"}[name] }
	c, err = parseFlags(nil, variable, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "/sockets", c.folder)
	c, err = parseFlags([]string{"-socket-folder", "/flag"}, variable, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, "/flag", c.folder)
}

func TestSocketInTheWay(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "redisbinding.sock"), nil, 0o600))
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	assert.Equal(t, 1, run(ctx, []string{"-socket-folder", dir}, &stdout, &stderr))
	assert.Contains(t, stderr.String(), "something else than a socket")
	assert.Empty(t, stdout.String())
}
