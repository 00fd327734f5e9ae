package redistest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// endEnv tells a copy of the test binary how it is to end.
const endEnv = "REDISTEST_END"

// TestServerDoesNotOutliveTests runs the test binary again, which starts a
// server and ends without stopping it.
func TestServerDoesNotOutliveTests(t *testing.T) {
	requirePrograms(t)
	for _, end := range []string{"exit", "panic", "kill", "kill while paused"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			child := exec.Command(os.Args[0], "-test.run=^TestEndWithoutStopping$")
			child.Env = append(os.Environ(), endEnv+"="+end, "TMPDIR="+t.TempDir())
			stdout, err := child.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, child.Start())

			line, err := bufio.NewReader(stdout).ReadString('\n')
			require.NoError(t, err)
			var pid int
			_, err = fmt.Sscanf(line, "pid %d\n", &pid)
			require.NoError(t, err, line)
			if strings.HasPrefix(end, "kill") {
				assert.True(t, alive(pid))
				require.NoError(t, child.Process.Kill())
			}
			assert.Error(t, child.Wait())

			assert.Eventually(t, func() bool { return !alive(pid) }, 5*time.Second, pollInterval)
		})
	}
}

// TestEndWithoutStopping is what the copies of the test binary run.
func TestEndWithoutStopping(t *testing.T) {
	t.Parallel()
	end := os.Getenv(endEnv)
	if end == "" {
		t.Skip("only for TestServerDoesNotOutliveTests")
	}
	s := Start(t)
	if end == "kill while paused" {
		s.Pause()
	}
	fmt.Printf("pid %d\n", s.process.pid)

	switch end {
	case "exit":
		os.Exit(3)
	case "panic":
		go panic("on another goroutine, so that the cleanups of the test do not run")
	}
	time.Sleep(time.Minute)
}
