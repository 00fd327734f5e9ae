package dockertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Stop()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// endVariable tells a copy of the test binary how it is to end.
const endVariable = "DOCKERTEST_END"

// TestEngineDoesNotOutliveTests runs the test binary again, which starts an engine with a
// container, and ends in one way or the other.
func TestEngineDoesNotOutliveTests(t *testing.T) {
	if reason := missing(); reason != "" {
		Start(t) // to skip or to fail
	}
	for _, end := range []string{"stop", "exit", "kill"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			child := exec.Command(os.Args[0], "-test.run=^TestEndWithEngine$")
			child.Env = append(os.Environ(), endVariable+"="+end)
			stdout, err := child.StdoutPipe()
			require.NoError(t, err)
			goOn, err := child.StdinPipe()
			require.NoError(t, err)
			require.NoError(t, child.Start())
			line, err := bufio.NewReader(stdout).ReadString('\n')
			require.NoError(t, err)
			dir, bridge, _ := strings.Cut(strings.TrimSpace(line), " ")
			require.DirExists(t, dir)
			_, err = net.InterfaceByName(bridge)
			require.NoError(t, err)
			require.NotEmpty(t, using(t, dir))
			if end == "kill" {
				require.NoError(t, child.Process.Kill())
			}
			_ = goOn.Close()
			_ = child.Wait()
			if end != "stop" { // which has waited for it
				require.Eventually(t, func() bool {
					_, err := os.Stat(dir)
					return os.IsNotExist(err)
				}, time.Minute, pollInterval)
			}
			assert.NoDirExists(t, dir)
			assert.Empty(t, using(t, dir))
			mounts, err := os.ReadFile("/proc/mounts")
			require.NoError(t, err)
			assert.NotContains(t, string(mounts), dir)
			if _, err := exec.LookPath("ip"); err == nil || end == "stop" {
				_, err = net.InterfaceByName(bridge)
				assert.Error(t, err, bridge)
			}
		})
	}
}

// using are the command lines of processes that name the folder.
func using(t *testing.T, dir string) (lines []string) {
	t.Helper()
	files, err := fs.Glob(os.DirFS("/proc"), "[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		line, _ := os.ReadFile("/proc/" + file) // it may be gone
		if strings.Contains(string(line), dir) {
			lines = append(lines, string(line))
		}
	}
	return lines
}

// TestEndWithEngine is what the copies of the test binary run.
func TestEndWithEngine(t *testing.T) {
	end := os.Getenv(endVariable)
	if end == "" {
		t.Skip("only for TestEngineDoesNotOutliveTests")
	}
	e := Start(t)
	e.Redis(t)
	ctx := context.Background()
	made, err := e.API.ContainerCreate(ctx, client.ContainerCreateOptions{Config: &container.Config{Image: RedisImage}})
	require.NoError(t, err)
	_, err = e.API.ContainerStart(ctx, made.ID, client.ContainerStartOptions{})
	require.NoError(t, err)
	network, err := e.API.NetworkCreate(ctx, "left", client.NetworkCreateOptions{Driver: "bridge"})
	require.NoError(t, err)
	fmt.Println(e.dir, "br-"+network.ID[:12])
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test has looked at what is running
	if end == "exit" {
		os.Exit(3)
	}
}
