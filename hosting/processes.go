package hosting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// processes is the runtime that runs the redis-server on PATH.
type processes struct {
	run   *run
	log   *slog.Logger
	redis string // the program
	// answerGrace is how long a server that was left running may take to answer, before it
	// is replaced.
	answerGrace time.Duration
}

func newProcesses(r *run, log *slog.Logger) (*processes, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("%w: no redis-server on PATH; install it (apt-get install redis-server, dnf install redis, "+
			"brew install redis), or set %s to %q or %q", ErrNoRuntime, RuntimeVariable, ContainerRuntime, EmbeddedRuntime)
	}
	// It takes the path of its configuration for a pattern, and starts without any when
	// nothing matches: on all interfaces, and without a password.
	if strings.ContainsAny(r.dir, "*?[") {
		return nil, fmt.Errorf("redis-server cannot run in %s, as it has one of *, ? and [ in it; set %s to another folder", r.dir, HomeVariable)
	}
	return &processes{run: r, log: log, redis: path, answerGrace: 5 * time.Second}, nil
}

func (p *processes) kind() RuntimeKind { return ProcessRuntime }

func (p *processes) where() string { return "as " + p.redis }

// supports finds nothing to object to. Whether the redis-server was built with TLS shows
// when it is started.
func (p *processes) supports(*server) error { return nil }

func (p *processes) supportsUI(u *uiServer) error {
	return supportsNPM(ProcessRuntime, u)
}

func (p *processes) startUI(ctx context.Context, u *uiServer, progress func(string)) (instance, error) {
	return commanderFromNPM(ctx, p.run, u, progress)
}

// close has nothing to do: the run's folder is the run's.
func (p *processes) close(context.Context) error { return nil }

// started is an instance, and how to take it back when others of its group fail.
type started struct {
	instance
	undo func(context.Context)
}

func (p *processes) start(ctx context.Context, group []*server, _ func(string)) ([]instance, error) {
	all := make([]started, len(group))
	errs := make([]error, len(group))
	var starting sync.WaitGroup
	for i, s := range group {
		starting.Go(func() {
			if all[i], errs[i] = p.startServer(ctx, s); errs[i] != nil && len(group) > 1 {
				errs[i] = fmt.Errorf("%s: %w", s.name, errs[i])
			}
		})
	}
	starting.Wait()

	instances := make([]instance, len(group))
	err := errors.Join(errs...)
	for i, one := range all {
		instances[i] = one.instance
		if err != nil && one.instance != nil {
			undo(ctx, one.undo)
		}
	}
	if err != nil {
		return nil, err
	}
	return instances, nil
}

func (p *processes) startServer(ctx context.Context, s *server) (started, error) {
	if s.persistent {
		return p.startPersistent(ctx, s)
	}
	return onPort(s.port, func(port int) (started, error) { return p.startAt(ctx, s, port) })
}

// startAt starts a server that lives no longer than the app.
func (p *processes) startAt(ctx context.Context, s *server, port int) (started, error) {
	folder := filepath.Join(p.run.dir, s.name)
	c, err := p.prepare(s, folder, port)
	if err != nil {
		_ = os.RemoveAll(folder)
		return started{}, err
	}
	c.scratch = folder
	one, err := startProcess(p.run.dir, c)
	if err != nil {
		_ = os.RemoveAll(folder)
		return started{}, err
	}
	stop := func(ctx context.Context) { _ = one.stop(ctx) }
	pid := one.cmd.Process.Pid
	if err := p.untilUp(ctx, s, one, port, pid); err != nil {
		undo(ctx, stop)
		return started{}, err
	}
	return started{one, stop}, nil
}

// untilUp waits until the server listens, which is before it has read its data.
func (p *processes) untilUp(ctx context.Context, s *server, i instance, port, pid int) error {
	ctx, cancel := p.run.patient(ctx)
	defer cancel()
	err := until(ctx, i, func(ctx context.Context) bool { return s.answers(ctx, i.address(), pid) })
	if err == nil {
		p.log.DebugContext(ctx, "hosting: started redis-server", "resource", s.name, "address", i.address(), "pid", pid)
		return nil
	}
	select {
	case <-i.done():
	default:
		return err
	}
	switch text := err.Error(); {
	case strings.Contains(text, addressInUse):
		_, log, _ := strings.Cut(text, "\n") // it may be about another port that belongs to it
		return fmt.Errorf("%w\n%s", portTaken(port), log)
	case s.tls != nil && strings.Contains(text, "Bad directive") && strings.Contains(text, "tls-"):
		return unsupported(ProcessRuntime, "TLS", p.redis+" was built without it; install another, or use the runtime \"container\"")
	}
	return err
}

// addressInUse is what programs log whose port is taken, but for its beginning.
const addressInUse = "ddress already in use"

// prepare makes what the server needs in its folder, and says how to run it.
func (p *processes) prepare(s *server, folder string, port int) (command, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return command{}, err
	}
	data, err := p.dataFolder(s.mount, folder)
	if err != nil {
		return command{}, err
	}
	at := place{bind: loopback, port: port, folder: data}
	if s.tls != nil {
		at.ca, at.cert, at.key = s.tls.caFile(), s.tls.certFile(), s.tls.keyFile()
	}
	// Only the user can read it, as it has the password. A sentinel writes to it as well.
	const config = "redis.conf"
	if err := writeFile(filepath.Join(folder, config), []byte(s.config(at))); err != nil {
		return command{}, err
	}
	lock, err := lockData(s.mount, data)
	if err != nil {
		return command{}, err
	}
	c := command{
		name: s.name,
		path: p.redis,
		args: []string{config},
		dir:  folder,
		env:  environment(),
		addr: localAddress(port),
		lock: lock,
	}
	if s.sentinel {
		c.args = append(c.args, "--sentinel")
	}
	c.secrets = s.secrets()
	return c, nil
}

// secrets are what must not be in an error: Redis logs a line of its configuration that it
// does not like.
func (s *server) secrets() []string {
	if s.password == "" {
		return nil
	}
	return []string{s.password, strings.Trim(quotedWord(s.password), `"`)}
}
