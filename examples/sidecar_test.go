package examples_test

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// sidecar is examples/sidecar at work.
type sidecar struct {
	cmd    *exec.Cmd
	url    string
	output []string // what it printed before it listened
	rest   *bufio.Scanner
}

// startSidecar builds and starts the sidecar, listening on a port of its own.
func startSidecar(t *testing.T, env []string, args ...string) *sidecar {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sidecar")
	built, err := exec.CommandContext(t.Context(), "go", "build", "-race", "-o", program, "./sidecar").CombinedOutput()
	require.NoError(t, err, "%s", built)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)

	s := &sidecar{cmd: exec.CommandContext(ctx, program, append([]string{"-listen", "127.0.0.1:0"}, args...)...)}
	s.cmd.Env = append(environment(), env...)
	s.cmd.Stderr = os.Stderr
	stdout, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	s.rest = bufio.NewScanner(stdout)
	for s.rest.Scan() {
		if url, ok := strings.CutPrefix(s.rest.Text(), "listening on "); ok {
			s.url = url
			return s
		}
		s.output = append(s.output, s.rest.Text())
	}
	require.NoError(t, s.cmd.Wait(), "it ended without listening")
	return nil
}

// stop ends the sidecar as a service manager would.
func (s *sidecar) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.True(t, s.rest.Scan())
	assert.Equal(t, "stopped", s.rest.Text())
	assert.NoError(t, s.cmd.Wait())
}

// The curl lines of the READMEs work as they stand, but for the port, which may be taken.
func TestSidecarReadme(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "curl is missing: make deps installs it")
		t.Skip("curl is missing: make deps installs it")
	}
	_, err := os.ReadDir("sidecar")
	require.NoError(t, err)
	s := startSidecar(t, nil)
	assert.Contains(t, strings.Join(s.output, "\n"), "embedded and in memory")
	for file, commands := range map[string]int{"sidecar/README.md": 10, "../README.md": 2} {
		readme, err := os.ReadFile(file)
		require.NoError(t, err)
		lines, ran := strings.Split(string(readme), "\n"), 0
		for i, line := range lines {
			command := strings.TrimSpace(line)
			if !strings.HasPrefix(command, "curl ") {
				continue
			}
			ran++
			require.Contains(t, command, "http://127.0.0.1:3500/")
			shell := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, "http://127.0.0.1:3500", s.url))
			got, err := shell.Output()
			require.NoError(t, err, command)
			want, ok := strings.CutPrefix(strings.TrimSpace(lines[i+1]), "#")
			if ok {
				assert.Equal(t, strings.TrimSpace(want), strings.TrimSpace(string(got)), command)
			} else {
				assert.NotContains(t, string(got), "errorCode", command)
			}
		}
		assert.Equal(t, commands, ran, file)
	}
	s.stop(t)
}

// A component file of one's own, with a secret, on a real server; and pages in a
// browser have no say.
func TestSidecarComponents(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "hunter2")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	components := write("redis.yaml", `
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: mine
spec:
  type: bindings.redis
  metadata:
    - name: redisHost
      value: `+server.Addr+`
    - name: redisPassword
      secretKeyRef: {name: redis, key: password}
`)
	write("secrets/redis/password", "hunter2\n")
	for _, secrets := range []string{write("secrets.json", `{"redis":{"password":"hunter2"}}`), filepath.Join(dir, "secrets")} {
		s := startSidecar(t, []string{"DAPR_API_TOKEN=t0ken"}, "-components", components, "-secrets", secrets)
		call := func(headers ...string) int {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1.0/bindings/mine",
				strings.NewReader(`{"operation":"increment","metadata":{"key":"k"}}`))
			require.NoError(t, err)
			for i := 0; i < len(headers); i += 2 {
				req.Header.Set(headers[i], headers[i+1])
			}
			resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			return resp.StatusCode
		}
		assert.Equal(t, 200, call("dapr-api-token", "t0ken"))
		assert.Equal(t, 401, call())
		assert.Equal(t, 403, call("dapr-api-token", "t0ken", "Sec-Fetch-Site", "cross-site"))
		s.stop(t)
	}
}
