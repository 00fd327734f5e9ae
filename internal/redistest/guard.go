package redistest

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// guardScript runs the command $2... with its output appended to the file $1
// and prints its pid. Its stdin is a pipe that only the test process holds
// open: when that process ends, in whatever way, stdin reaches its end and the
// command is killed. The script itself ends with the command.
//
// It ignores the signals that a terminal sends to the whole process group, so
// that it outlives the test process and can clean up after it.
const guardScript = `
trap '' HUP INT TERM
log=$1
shift
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
echo "$server"
( read -r _ <&3; kill -9 "$server" ) &
watcher=$!
wait "$server"
kill -9 "$watcher"
`

// guarded is a running command that does not outlive the test process.
type guarded struct {
	pid   int // of the command, not of the guard
	guard *exec.Cmd
	stdin io.Closer
}

// startGuarded starts the command args and appends its output to the file log.
func startGuarded(log string, args ...string) (*guarded, error) {
	guard := exec.Command("sh", append([]string{"-c", guardScript, "redistest", log}, args...)...)
	stdin, err := guard.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := guard.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := guard.Start(); err != nil {
		return nil, err
	}
	g := &guarded{guard: guard, stdin: stdin}

	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		g.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		g.kill()
		return nil, fmt.Errorf("reading the pid of %s: %w", args[0], err)
	}
	return g, nil
}

// kill kills the command with SIGKILL and waits until it is gone. It leaves
// the killing to the guard, which knows whether the pid is still the command's.
func (g *guarded) kill() {
	_ = g.stdin.Close()
	_ = g.guard.Wait() // The exit code is that of the last kill.
}
