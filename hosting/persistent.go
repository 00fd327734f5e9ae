package hosting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Servers that outlive the app have a folder each, which is not the run's:
//
//	{home}/persistent/{name}/redis.conf
//	                         {name}.pid, {name}.log
//	                         data/         when nothing is mounted
//	                         state         what it was started with, and its port
const stateFile = "state"

// startPersistent takes over the server that the app has left running, and starts one when
// there is none or it was configured otherwise.
func (p *processes) startPersistent(ctx context.Context, s *server) (started, error) {
	unlock, err := p.run.lockPersistent(ctx, s.name)
	if err != nil {
		return started{}, err
	}
	defer unlock()

	folder := p.run.path("persistent", s.name)
	pidFile := pidFileOf(folder, s.name)
	fingerprint := s.fingerprint()
	port, same := readState(folder, fingerprint)
	if pid := findProcess(pidFile); pid != 0 {
		if same {
			one, err := p.takeOver(ctx, s, folder, port, pid)
			if err == nil {
				return one, nil
			}
			if ctx.Err() != nil { // which says nothing of the server
				return started{}, err
			}
		}
		p.log.InfoContext(ctx, "hosting: replacing the redis-server that was left running", "resource", s.name, "pid", pid, "sameConfiguration", same)
		undo(ctx, func(ctx context.Context) { endProcess(ctx, pidFile) })
	}

	start := func(port int) (started, error) { return p.startKept(ctx, s, folder, port, fingerprint) }
	if same && s.port == 0 && checkPort(port) == nil {
		one, err := start(port) // as callers may know it
		if !errors.Is(err, ErrPortTaken) {
			return one, err
		}
	}
	return onPort(s.port, start)
}

// lockPersistent keeps two apps that start at the same time from both starting what outlives
// them.
func (r *run) lockPersistent(ctx context.Context, name string) (unlock func(), err error) {
	if err := os.MkdirAll(r.path("persistent"), 0o700); err != nil {
		return nil, err
	}
	if unlock, err = lockFile(ctx, r.path("persistent", name+".lock")); err != nil {
		return nil, fmt.Errorf("waiting for another run of the app that starts it: %w", err)
	}
	return unlock, nil
}

func (p *processes) retire(ctx context.Context, persistent []string) error {
	return p.run.retire(ctx, persistent)
}

// retire ends the processes that earlier runs have left running to outlive them, but for those
// that are still to, and takes their files away.
func (r *run) retire(ctx context.Context, persistent []string) error {
	entries, err := os.ReadDir(r.path("persistent"))
	if err != nil {
		return nil //nolint:nilerr // there are none
	}
	for _, entry := range entries {
		name := entry.Name()
		if !entry.IsDir() || slices.Contains(persistent, name) {
			continue
		}
		unlock, err := r.lockPersistent(ctx, name)
		if err != nil {
			return err
		}
		folder := r.path("persistent", name)
		undo(ctx, func(ctx context.Context) { endProcess(ctx, pidFileOf(folder, name)) })
		err = os.RemoveAll(folder)
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// takeOver returns the server that was left running, if it answers.
func (p *processes) takeOver(ctx context.Context, s *server, folder string, port, pid int) (started, error) {
	k := watch(command{name: s.name, path: p.redis, addr: localAddress(port), secrets: s.secrets()}, folder, pid)
	within, cancel := context.WithTimeout(ctx, p.answerGrace)
	defer cancel()
	if err := until(within, k, func(ctx context.Context) bool { return s.answers(ctx, k.addr, pid) }); err != nil {
		return started{}, errors.Join(err, k.stop(ctx))
	}
	p.log.DebugContext(ctx, "hosting: took over redis-server", "resource", s.name, "address", k.addr, "pid", pid)
	return started{k, func(ctx context.Context) { _ = k.stop(ctx) }}, nil
}

// startKept starts a server to outlive the app.
func (p *processes) startKept(ctx context.Context, s *server, folder string, port int, fingerprint string) (started, error) {
	// Until the state is written, whoever finds the server knows nothing about it, and
	// replaces it.
	clean := func() {
		for _, name := range []string{
			filepath.Join(folder, stateFile), logFileOf(folder, s.name), pidFileOf(folder, s.name), filepath.Join(folder, "redis.conf"),
		} {
			_ = os.Remove(name)
		}
	}
	abandon := func() {
		clean()
		_ = os.Remove(filepath.Join(folder, "data")) // if it is empty, as is the next then
		_ = os.Remove(folder)
	}
	clean()
	c, err := p.prepare(s, folder, port)
	if err != nil {
		abandon()
		return started{}, err
	}
	cmd, err := c.launch(folder, nil)
	if err != nil {
		abandon()
		return started{}, err
	}
	pid := cmd.Process.Pid
	// Nobody waits for it: that could not be given up when the app lets go of it.
	_ = cmd.Process.Release()
	k := watch(c, folder, pid)
	end := func(ctx context.Context) {
		_ = k.stop(ctx)
		endPid(ctx, pid, pidFileOf(folder, s.name))
		abandon()
	}
	err = p.untilUp(ctx, s, k, port, pid)
	if err == nil {
		err = writeState(folder, fingerprint, port)
	}
	if err != nil {
		undo(ctx, end)
		return started{}, err
	}
	return started{k, end}, nil
}

// fingerprint is one of all that makes the server what it is.
func (s *server) fingerprint() string {
	hash := sha256.New()
	at := place{bind: loopback, port: s.port} // the one that was asked for
	if s.tls != nil {
		at.ca, at.cert, at.key = s.tls.caFile(), s.tls.certFile(), s.tls.keyFile()
		_, _ = hash.Write(s.tls.cert) // files of the same names may be new
	}
	var mounted mount
	if s.mount != nil {
		mounted = *s.mount
	}
	_, _ = fmt.Fprintf(hash, "%s\n%#v\n%t\n", s.config(at), mounted, s.sentinel)
	return hex.EncodeToString(hash.Sum(nil))
}

// readState returns the port that the server had, and whether it was started with the same
// configuration.
func readState(folder, fingerprint string) (port int, same bool) {
	text, err := os.ReadFile(filepath.Join(folder, stateFile))
	if err != nil {
		return 0, false
	}
	var of string
	if _, err := fmt.Sscan(string(text), &of, &port); err != nil {
		return 0, false
	}
	return port, of == fingerprint
}

func writeState(folder, fingerprint string, port int) error {
	return writeFile(filepath.Join(folder, stateFile), fmt.Appendln(nil, fingerprint, port))
}

// watched is a process that the app does not own. It looks from time to time whether it
// still runs.
type watched struct {
	command
	folder string

	ended chan struct{}
	letGo context.CancelFunc
	mu    sync.Mutex
	why   error
}

// watchInterval is how often to look.
const watchInterval = 50 * time.Millisecond

func watch(c command, folder string, pid int) *watched {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watched{command: c, folder: folder, ended: make(chan struct{}), letGo: cancel}
	go func() {
		defer close(w.ended)
		if waitGone(ctx, pid, pidFileOf(folder, c.name), watchInterval) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.why = w.endedError(folder, errNotOurs)
		}
	}()
	return w
}

var errNotOurs = errors.New("nobody knows its exit status")

func (w *watched) address() string { return w.addr }

// done is closed as well when it was let go of: nothing is known of it from then on.
func (w *watched) done() <-chan struct{} { return w.ended }

func (w *watched) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// stop lets go of it.
func (w *watched) stop(context.Context) error {
	w.letGo()
	<-w.ended
	return nil
}
