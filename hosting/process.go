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
	// scratch is a folder that is taken away with it, or "".
	scratch string
	// secrets are taken out of what errors show of its log.
	secrets []string
}

func pidFileOf(folder, name string) string { return filepath.Join(folder, name+".pid") }
func logFileOf(folder, name string) string { return filepath.Join(folder, name+".log") }

// process is a command that runs. It and what it starts are a process group of their
// own: Ctrl-C in a terminal is for the app, which stops them in order.
type process struct {
	command
	cmd    *exec.Cmd
	folder string

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
	cmd, err := c.launch(folder)
	if err != nil {
		return nil, err
	}
	p := &process{command: c, cmd: cmd, folder: folder, ended: make(chan struct{})}
	go p.wait()
	return p, nil
}

// launch starts the command, for which nobody waits yet.
func (c *command) launch(folder string) (*exec.Cmd, error) {
	pidFile := pidFileOf(folder, c.name)
	cmd := newGroup(pidFile, c.path, c.args)
	cmd.Dir, cmd.Env = c.dir, c.env

	output := c.output
	if output == nil {
		file, err := os.OpenFile(logFileOf(folder, c.name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // the process has its own
		output = file
	}
	cmd.Stdout, cmd.Stderr = output, output
	// A process that leaves children with its output behind must not keep us waiting.
	cmd.WaitDelay = time.Second

	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.path, err)
	}
	if err := recordPid(pidFile, cmd.Process.Pid); err != nil {
		killGroup(cmd.Process.Pid)
		_ = cmd.Wait()
		return nil, err
	}
	return cmd, nil
}

func (p *process) wait() {
	err := p.cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well, and something it started has not
	}
	p.mu.Lock()
	if !p.asked {
		// What it has started goes with it, and goes now: later the number of the group
		// may be another's. (When it was asked to stop, so were they.)
		killGroup(p.cmd.Process.Pid)
		p.result = p.endedError(p.folder, err)
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
	err := p.terminate(ctx)
	select {
	case <-p.ended:
	case <-time.After(killGrace):
		return errors.Join(err, fmt.Errorf("process %d does not end although it was killed", p.cmd.Process.Pid))
	}
	_ = os.Remove(pidFileOf(p.folder, p.name))
	_ = os.Remove(logFileOf(p.folder, p.name))
	if p.scratch != "" {
		err = errors.Join(err, os.RemoveAll(p.scratch))
	}
	return err
}

// terminate ends the process gracefully, and kills it when ctx ends first.
func (p *process) terminate(ctx context.Context) error {
	select {
	case <-p.ended:
		return nil // its number may be another's
	default:
	}
	terminate(p.cmd.Process.Pid)
	if !p.groupEnds(ctx) {
		killGroup(p.cmd.Process.Pid)
		return fmt.Errorf("it did not stop in time, and was killed: %w", context.Cause(ctx))
	}
	return nil
}

// groupEnds waits until the process and all that it has started have ended, or ctx: a
// script ends at once, and the server that it runs has data to save.
func (p *process) groupEnds(ctx context.Context) bool {
	select {
	case <-p.ended:
	case <-ctx.Done():
		return false
	}
	for groupExists(p.cmd.Process.Pid) {
		select {
		case <-time.After(endInterval):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// endedError says that the command has ended, with the end of its log.
func (c *command) endedError(folder string, err error) error {
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("%s has ended: %w%s", filepath.Base(c.path), err, c.logTail(folder))
}

// logLines is how much of a log is put into an error.
const logLines = 15

// logTail is the end of the log, on lines of its own.
func (c *command) logTail(folder string) string {
	if c.output != nil {
		return ""
	}
	text, err := os.ReadFile(logFileOf(folder, c.name))
	if err != nil {
		return ""
	}
	tail := tailOf(string(text))
	for _, secret := range c.secrets {
		tail = strings.ReplaceAll(tail, secret, "***")
	}
	return tail
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
