package hosting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// command is a program to run.
type command struct {
	name   string // unique in the run; for errors and for the pid file
	path   string
	args   []string
	dir    string    // "": where the app runs
	env    []string  // all of it
	output io.Writer // nil: a file beside the pid file, whose end is put into errors
	// addr is where it will listen, for those that ask.
	addr string
}

// process is a command that runs. It and what it starts are a process group of their
// own: Ctrl-C in a terminal is for the app, which stops them in order.
type process struct {
	command
	cmd     *exec.Cmd
	pidFile string
	logFile string

	ended  chan struct{}
	mu     sync.Mutex
	result error
	asked  bool // to stop
}

// pidGrace is how long after it was started a process may write its pid down: more than
// that before the file was written, and the pid is another process's now.
const pidGrace = 10 * time.Second

// killGrace is how long to wait for what was killed, which is short but for a kernel's
// own troubles.
const killGrace = 5 * time.Second

// startProcess starts a command and writes its pid into the folder, for [sweepProcesses].
func startProcess(folder string, c command) (*process, error) {
	p := &process{
		command: c,
		pidFile: filepath.Join(folder, c.name+".pid"),
		logFile: filepath.Join(folder, c.name+".log"),
		ended:   make(chan struct{}),
	}
	p.cmd = newGroup(p.pidFile, c.path, c.args)
	p.cmd.Dir, p.cmd.Env = c.dir, c.env

	output := c.output
	if output == nil {
		file, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		defer file.Close() // the process has its own
		output = file
	}
	p.cmd.Stdout, p.cmd.Stderr = output, output
	// A process that leaves children with its output behind must not keep us waiting.
	p.cmd.WaitDelay = time.Second

	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.path, err)
	}
	if err := recordPid(p.pidFile, p.cmd.Process.Pid); err != nil {
		killGroup(p.cmd.Process.Pid)
		_ = p.cmd.Wait()
		return nil, err
	}
	go p.wait()
	return p, nil
}

func (p *process) wait() {
	err := p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well, and something it started has not
	}
	if err == nil {
		err = errors.New("exit status 0")
	}
	p.mu.Lock()
	if !p.asked {
		p.result = fmt.Errorf("%s has ended: %w%s", filepath.Base(p.path), err, p.logTail())
	}
	p.mu.Unlock()
	close(p.ended)
}

func (p *process) address() string       { return p.addr }
func (p *process) done() <-chan struct{} { return p.ended }

func (p *process) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result
}

func (p *process) stop(ctx context.Context) error {
	p.mu.Lock()
	p.asked = true
	p.mu.Unlock()
	terminate(p.cmd.Process.Pid)
	var err error
	select {
	case <-p.ended:
	case <-ctx.Done():
		err = fmt.Errorf("it did not stop in time, and was killed: %w", context.Cause(ctx))
	}
	killGroup(p.cmd.Process.Pid) // all of it, or what it left behind
	select {
	case <-p.ended:
	case <-time.After(killGrace):
		return errors.Join(err, fmt.Errorf("process %d does not end although it was killed", p.cmd.Process.Pid))
	}
	_ = os.Remove(p.pidFile)
	return err
}

// logLines is how much of a log is put into an error.
const logLines = 15

// logTail is the end of the log, on lines of its own.
func (p *process) logTail() string {
	if p.output != nil {
		return ""
	}
	text, err := os.ReadFile(p.logFile)
	if err != nil {
		return ""
	}
	return tailOf(string(text))
}

// tailOf is the end of a log, as errors have it.
func tailOf(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	lines = lines[max(0, len(lines)-logLines):]
	if lines[0] == "" {
		return ""
	}
	return "\n  | " + strings.Join(lines, "\n  | ")
}
