package hosting

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	return &processes{run: r, log: log, redis: path, answerGrace: 5 * time.Second}, nil
}

func (p *processes) kind() RuntimeKind { return ProcessRuntime }

// supports finds nothing to object to. Whether the redis-server was built with TLS shows
// when it is started.
func (p *processes) supports(*server) error { return nil }

func (p *processes) supportsUI(u *uiServer) error {
	return supportsNPM(ProcessRuntime, u)
}

func (p *processes) startUI(ctx context.Context, u *uiServer, progress func(string)) (instance, error) {
	if err := p.supportsUI(u); err != nil {
		return nil, err
	}
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

// undoGrace is how long what was just started may take to end, when it is not needed after all.
const undoGrace = 10 * time.Second

// undo takes back what was started, which the end of ctx may be the reason for.
func undo(ctx context.Context, how func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoGrace)
	defer cancel()
	how(ctx)
}

func (p *processes) startServer(ctx context.Context, s *server) (started, error) {
	if s.persistent {
		return p.startPersistent(ctx, s)
	}
	if err := p.endPersistent(ctx, s.name); err != nil {
		return started{}, err
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
	err := until(ctx, i, func(ctx context.Context) bool { return s.answers(ctx, i.address(), pid) })
	if err == nil {
		p.log.DebugContext(ctx, "started redis-server", "name", s.name, "address", i.address(), "pid", pid)
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
	config := filepath.Join(folder, "redis.conf")
	if err := writeFile(config, []byte(s.config(at))); err != nil {
		return command{}, err
	}
	c := command{
		name: s.name,
		path: p.redis,
		args: []string{config},
		dir:  folder,
		env:  os.Environ(),
		addr: localAddress(port),
	}
	if s.sentinel {
		c.args = append(c.args, "--sentinel")
	}
	if s.password != "" {
		// Redis logs a line of its configuration that it does not like.
		c.secrets = []string{s.password, strings.Trim(quotedWord(s.password), `"`)}
	}
	return c, nil
}

func localAddress(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// dataFolder is where the server keeps its data: what is mounted, or a folder of its own.
func (p *processes) dataFolder(m *mount, folder string) (string, error) {
	own := filepath.Join(folder, "data")
	if m == nil {
		return own, os.MkdirAll(own, 0o700)
	}
	mounted := m.folder
	if m.volume != "" {
		mounted = p.run.shared("volumes", m.volume)
	}
	if m.readOnly {
		if _, err := os.Stat(mounted); err != nil && m.folder != "" {
			return "", fmt.Errorf("the folder with data, %s: %w", mounted, err)
		}
		return own, copyDump(own, mounted)
	}
	if err := writableFolder(mounted); err != nil {
		return "", fmt.Errorf("the folder for data, %s: %w", mounted, err)
	}
	return mounted, nil
}

func writableFolder(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, ".new-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// copyDump makes a folder with a copy of another's data: redis-server has no way to only
// read it.
func copyDump(folder, from string) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	dump, err := os.Open(filepath.Join(from, "dump.rdb"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no data
	}
	if err != nil {
		return fmt.Errorf("the folder with data, %s: %w", from, err)
	}
	defer func() { _ = dump.Close() }()
	out, err := os.OpenFile(filepath.Join(folder, "dump.rdb"), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, dump)
	return errors.Join(err, out.Close())
}

// portAttempts is how often to try with another port that was free a moment ago.
const portAttempts = 5

// onPort starts something on the port, or on any that is free.
func onPort[T any](port int, start func(port int) (T, error)) (T, error) {
	var none T
	if port != 0 {
		if err := checkPort(port); err != nil {
			return none, err
		}
		return start(port)
	}
	for attempt := 1; ; attempt++ {
		ports, err := freePorts(1)
		if err != nil {
			return none, err
		}
		one, err := start(ports[0])
		if !errors.Is(err, ErrPortTaken) || attempt == portAttempts {
			return one, err
		}
	}
}

// until waits until up says that what was started is up. It is an error when it ends before.
func until(ctx context.Context, i instance, up func(context.Context) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // so that up does not wait for an answer that nobody will give
		select {
		case <-i.done():
			cancel()
		case <-ctx.Done():
		}
	}()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !up(ctx) {
		select {
		case <-ticker.C:
			continue
		case <-ctx.Done():
		}
		select {
		case <-i.done():
			return i.err()
		default:
			return fmt.Errorf("it does not answer: %w", context.Cause(ctx))
		}
	}
	return nil
}

// answers tells whether the server answers at its address: that of the process, or of one
// it has started, and no other that has taken the port. What says that it is a Redis and not
// which one, because its commands were renamed, is believed.
func (s *server) answers(ctx context.Context, address string, pid int) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if s.tls != nil {
		config := s.tls.clientConfig()
		config.ServerName = loopback
		conn = tls.Client(conn, config)
	}
	request, replies := "INFO server\r\n", 1
	if s.password != "" {
		request = fmt.Sprintf("*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n%s", len(s.password), s.password, request)
		replies = 2
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return false
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		line := lines.Text()
		if id, ok := strings.CutPrefix(line, "process_id:"); ok {
			id, err := strconv.Atoi(id)
			return err == nil && inGroup(id, pid)
		}
		if strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+") {
			if replies--; replies == 0 {
				return true // its last word
			}
		}
	}
	return false
}
