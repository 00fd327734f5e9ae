package hosting

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/hosting/internal/dockertest"
)

func noEngineInEnvironment(t *testing.T) {
	t.Helper()
	t.Setenv(dockerHostVariable, "")
	t.Setenv(podmanHostVariable, "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
}

func TestNewContainers(t *testing.T) {
	docker := dockertest.Start(t)
	for _, variable := range []string{dockerHostVariable, podmanHostVariable} {
		t.Run(variable, func(t *testing.T) {
			noEngineInEnvironment(t)
			t.Setenv(variable, docker.Host)
			r := newTestRun(t)
			c, err := newContainers(t.Context(), r, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			assert.Equal(t, ContainerRuntime, c.kind())
			text, err := os.ReadFile(engineFile(r))
			require.NoError(t, err)
			assert.Equal(t, docker.Host, string(text))
			require.NoError(t, c.close(t.Context()))
		})
	}
	t.Run("socket", func(t *testing.T) {
		noEngineInEnvironment(t)
		if _, err := os.Stat("/var/run/docker.sock"); err == nil {
			t.Skip("there is an engine that comes first")
		}
		socket := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "podman", "podman.sock")
		require.NoError(t, os.Mkdir(filepath.Dir(socket), 0o700))
		require.NoError(t, os.Symlink(strings.TrimPrefix(docker.Host, "unix://"), socket))
		c, err := newContainers(t.Context(), newTestRun(t), slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		assert.Equal(t, "unix://"+socket, c.api.DaemonHost())
		require.NoError(t, c.close(t.Context()))
	})
}

func TestNoEngine(t *testing.T) {
	silent := filepath.Join(t.TempDir(), "docker.sock")
	if runtime.GOOS != "windows" {
		listener, err := net.Listen("unix", silent)
		require.NoError(t, err)
		server := &http.Server{Handler: http.NotFoundHandler()}
		go func() { _ = server.Serve(listener) }()
		defer func() { _ = server.Close() }()
	}
	for host, reason := range map[string]string{
		"unix:///nowhere/docker.sock": "/nowhere/docker.sock",
		"unix://" + silent:            "404",
		"tcp://192.0.2.1:2375":        "not on this machine",
		"tcp://build.example:2376":    "not on this machine",
		"ssh://me@build.example":      "not on this machine",
		"nonsense":                    "it begins with none of",
	} {
		t.Run(host, func(t *testing.T) {
			noEngineInEnvironment(t)
			t.Setenv(dockerHostVariable, host)
			r := newTestRun(t)
			_, err := newContainers(t.Context(), r, slog.New(slog.DiscardHandler))
			require.ErrorIs(t, err, ErrNoRuntime)
			for _, part := range []string{reason, host, "start Docker or Podman", dockerHostVariable, RuntimeVariable} {
				assert.ErrorContains(t, err, part)
			}
			assert.NoFileExists(t, engineFile(r))
		})
	}
	t.Run("none", func(t *testing.T) {
		noEngineInEnvironment(t)
		_, err := newContainers(t.Context(), newTestRun(t), slog.New(slog.DiscardHandler))
		if err == nil {
			t.Skip("there is one")
		}
		require.ErrorIs(t, err, ErrNoRuntime)
		for _, host := range engineHosts() {
			assert.ErrorContains(t, err, host)
		}
	})
}

func TestOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"unix:///var/run/docker.sock", "npipe:////./pipe/docker_engine",
		"tcp://127.0.0.1:2375", "tcp://localhost:2375", "tcp://[::1]:2375", "http://127.0.0.1:2375",
	} {
		assert.NoError(t, onThisMachine(host), host)
	}
}
