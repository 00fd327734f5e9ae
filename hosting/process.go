package hosting

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// command is a program to run.
type command struct {
	name   string // unique in the run; for errors and for the pid file
	path   string
	args   []string
	dir    string      // "": where the app runs
	env    []string    // all of it
	output *lineWriter // nil: a file beside the pid file; the end of either is put into errors
	// addr is where it will listen, for those that ask.
	addr string
	// scratch is a folder that is taken away with it, or "".
	scratch string
	// secrets are taken out of what errors show of its log.
	secrets []string
	// lock is held as long as the process runs, or anything that it has started; nil: none.
	lock *os.File
}

func pidFileOf(folder, name string) string { return filepath.Join(folder, name+".pid") }
func logFileOf(folder, name string) string { return filepath.Join(folder, name+".log") }

// process is a command that runs. It and what it starts are a process group of their
// own: Ctrl-C in a terminal is for the app, which stops them in order.
type process struct {
	command
	cmd    *exec.Cmd
	folder string
	pipe   *pipe // nil: the output is in a file

	ended  chan struct{}
	mu     sync.Mutex
	result error
	asked  bool // to stop, by somebody who ends the group
	over   bool // it has ended by itself, and the group with it
}

// errKilled is about what did not stop in time. Nothing of it is left.
var errKilled = errors.New("it did not stop in time, and was killed")

// killGrace is how long to wait for what was killed, which is short but for a kernel's
// own troubles.
const killGrace = 5 * time.Second

// startProcess starts a command and writes its pid into the folder, for [sweepProcesses].
func startProcess(folder string, c command) (*process, error) {
	p := &process{command: c, folder: folder, ended: make(chan struct{})}
	var err error
	if c.output != nil {
		if p.pipe, err = newPipe(c.output); err != nil {
			return nil, err
		}
	}
	if p.cmd, err = p.launch(folder, p.pipe); err != nil {
		p.pipe.drain()
		return nil, err
	}
	go p.wait()
	return p, nil
}

// launch starts the command, for which nobody waits yet.
func (c *command) launch(folder string, output *pipe) (*exec.Cmd, error) {
	defer output.started()
	defer func() { _ = c.lock.Close() }() // the process has its own, of nil too
	if c.dir != "" {
		if _, err := os.Stat(c.dir); err != nil { // or the program would be said not to be there
			return nil, fmt.Errorf("the working directory: %w", err)
		}
	}
	cmd := newGroup(c.path, c.args)
	cmd.Dir, cmd.Env = c.dir, slices.Concat(c.env, []string{markerOf(folder, c.name)})
	if c.lock != nil {
		cmd.ExtraFiles = []*os.File{c.lock}
	}
	// Both are files: nobody has to wait for those that a process leaves behind with its
	// output.
	if output != nil {
		cmd.Stdout, cmd.Stderr = output.write, output.write
	} else {
		file, err := os.OpenFile(logFileOf(folder, c.name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // the process has its own
		cmd.Stdout, cmd.Stderr = file, file
	}
	// What follows the start at once is that somebody could find the process again: the
	// file is there already.
	pidFile, err := os.OpenFile(pidFileOf(folder, c.name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	err = cmd.Start()
	if err == nil {
		_, err = fmt.Fprintln(pidFile, cmd.Process.Pid, processIdentity(cmd.Process.Pid))
		if err != nil {
			killGroup(cmd.Process.Pid)
			_ = cmd.Wait()
		}
	}
	err = errors.Join(err, pidFile.Close())
	if err != nil {
		_ = os.Remove(pidFile.Name())
		return nil, fmt.Errorf("starting %s: %w", c.path, err)
	}
	return cmd, nil
}

func (p *process) wait() {
	err := p.cmd.Wait()
	p.mu.Lock()
	if !p.asked {
		// What it has started goes with it, and goes now: later the number of the group
		// may be another's.
		killGroup(p.cmd.Process.Pid)
		p.over = true
		p.pipe.drain()
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
	over := p.over
	p.mu.Unlock()
	var err error
	if !over {
		err = p.terminate(ctx)
	}
	select {
	case <-p.ended:
	case <-time.After(killGrace):
		return errors.Join(err, fmt.Errorf("process %d does not end although it was killed", p.cmd.Process.Pid))
	}
	p.pipe.drain()
	_ = os.Remove(pidFileOf(p.folder, p.name))
	_ = os.Remove(logFileOf(p.folder, p.name))
	if p.scratch != "" {
		err = errors.Join(err, os.RemoveAll(p.scratch))
	}
	return err
}

// terminate ends the group gracefully, and kills it when ctx ends first.
func (p *process) terminate(ctx context.Context) error {
	terminate(p.cmd.Process.Pid)
	if !p.groupEnds(ctx) {
		killGroup(p.cmd.Process.Pid)
		return fmt.Errorf("%w: %w", errKilled, context.Cause(ctx))
	}
	return nil
}

// runToEnd runs a command that ends by itself, and kills it when ctx ends first: there is
// nothing to save.
func runToEnd(ctx context.Context, r *run, c command) error {
	p, err := startProcess(r.dir, c)
	if err != nil {
		return err
	}
	select {
	case <-p.done():
	case <-ctx.Done():
		_ = p.stop(ctx)
		return context.Cause(ctx)
	}
	err = p.err()
	if p.cmd.ProcessState.Success() {
		err = nil
	}
	return errors.Join(err, p.stop(ctx))
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
		return tailOf(c.output.tail())
	}
	text, err := os.ReadFile(logFileOf(folder, c.name))
	if err != nil {
		return ""
	}
	return masked(tailOf(string(text)), c.secrets)
}

// masked is a text of few lines without secrets, however short these are.
func masked(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
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
