package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// readyTimeout bounds the start of a server, or of what several servers
	// have to agree on.
	readyTimeout = 15 * time.Second
	pollInterval = 5 * time.Millisecond

	// portAttempts bounds how often a server is started on another port
	// because its port was taken meanwhile.
	portAttempts = 5
)

var errPortTaken = errors.New("the port is taken")

// Server is a redis-server process of the tests. Its methods may be called
// from several goroutines.
type Server struct {
	Addr string // Host and Port, as in "127.0.0.1:6379"
	Host string
	Port string

	dir     string
	options options

	mu      sync.Mutex
	process *guarded // nil when it does not run
	client  *redis.Client
}

// Start starts a server for this test only and stops it at the end of the
// test. args are further command-line arguments of redis-server, such as
// "--requirepass", "x"; a directive of several words takes one argument a
// word. They must not change the port. When the test fails, the end of the
// server's log is put into the log of the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return startOwned(t, options{args: args})
}

func startOwned(t testing.TB, o options) *Server {
	t.Helper()
	requirePrograms(t)
	if slices.Contains(o.args, "--user") {
		requireVersion(t, versionOfACL, "an ACL user")
	}
	if slices.ContainsFunc(o.args, func(arg string) bool { return strings.HasPrefix(arg, "&") }) {
		requireVersion(t, versionOfGetDel, "an ACL rule for channels")
	}
	if o.certificates != nil {
		requireTLS(t)
	}

	o.args = withoutRenames(o.args)
	s, err := startServer(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.logTail())
		}
		s.stop()
	})
	return s
}

// startServer starts a server that keeps its files below dir, and waits until
// it answers.
func startServer(dir string, o options) (*Server, error) {
	var err error
	for range portAttempts {
		var s *Server
		if s, err = startOnFreePort(dir, o); !errors.Is(err, errPortTaken) {
			return s, err
		}
	}
	return nil, err
}

func startOnFreePort(dir string, o options) (*Server, error) {
	find := freePort
	if o.cluster {
		find = freeNodePort
	}
	port, err := find()
	if err != nil {
		return nil, err
	}
	dir, err = os.MkdirTemp(dir, "server-")
	if err != nil {
		return nil, err
	}
	if err := writeConfig(dir, port, o); err != nil {
		return nil, err
	}

	s := &Server{
		Addr:    net.JoinHostPort("127.0.0.1", port),
		Host:    "127.0.0.1",
		Port:    port,
		dir:     dir,
		options: o,
	}
	if err := s.launch(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// launch starts the process and waits until it answers.
func (s *Server) launch() error {
	logged := len(s.Log())
	args := append(slices.Clone(s.options.under), program(), filepath.Join(s.dir, "redis.conf"))
	args = append(args, s.options.args...)
	process, err := startGuarded(s.logFile(), args...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.process = process
	s.mu.Unlock()

	err = poll(func() error {
		if !alive(process.pid) {
			return nil // Polling is over; the reason is found below.
		}
		return s.answers(process.pid)
	})
	switch {
	case err != nil:
		s.Kill()
		return fmt.Errorf("redis-server does not get ready: %w\n%s", err, s.logTail())
	case alive(process.pid):
		return nil
	}
	s.Kill()
	err = errors.New("redis-server has ended")
	if strings.Contains(s.Log()[logged:], "Address already in use") {
		err = errPortTaken
	}
	return fmt.Errorf("starting redis-server: %w\n%s", err, s.logTail())
}

// answers tells whether it is the process pid that answers on the port, and
// not another one that took the port first.
func (s *Server) answers(pid int) error {
	// A plain connection first: go-redis answers failures to connect with
	// pauses that get longer.
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	_ = conn.Close()

	info, err := s.Client().Info(context.Background(), "server").Result()
	if err != nil && strings.Contains(err.Error(), "unknown command") {
		return nil // An argument of the test has renamed INFO.
	}
	if err == nil && !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", pid)) {
		err = errors.New("another server answers on the port")
	}
	return err
}

// Kill kills the server with SIGKILL and waits until the process is gone. It
// does nothing when the server does not run.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

// running tells whether the server was started and not killed since.
func (s *Server) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process != nil
}

// Restart starts the server again on the same port, with the same arguments
// and data directory, and waits until it answers. A server that still runs is
// killed first.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	// Another process may use the port for a moment.
	err := s.launch()
	for deadline := time.Now().Add(readyTimeout); errors.Is(err, errPortTaken) && time.Now().Before(deadline); {
		time.Sleep(pollInterval)
		err = s.launch()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Pause stops the server with SIGSTOP: it keeps its connections and accepts
// new ones, but answers nothing until Resume. It panics when the server does
// not run, and on Windows.
func (s *Server) Pause() { s.signal(suspend) }

// Resume lets a paused server go on. It panics when the server does not run,
// and on Windows.
func (s *Server) Resume() { s.signal(resume) }

func (s *Server) signal(send func(pid int) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		panic("redistest: the server does not run")
	}
	if err := send(s.process.pid); err != nil {
		panic("redistest: " + err.Error())
	}
}

// Log returns what the server has logged since it was first started.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	return string(text)
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "redis.log") }

// logTail returns the end of the log under a heading.
func (s *Server) logTail() string {
	lines := strings.Split(strings.TrimSpace(s.Log()), "\n")
	lines = lines[max(0, len(lines)-50):]
	return fmt.Sprintf("log of redis-server %s:\n%s", s.Addr, strings.Join(lines, "\n"))
}

// Client returns the admin client, which may run every command whatever the
// default user may. It connects when it is first used and is closed when the
// server is stopped.
func (s *Server) Client() *redis.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client
	}

	user, password := s.options.adminLogin()
	o := &redis.Options{
		Addr:            s.Addr,
		Username:        user,
		Password:        password,
		DisableIdentity: true,
		DialerRetries:   1, // A server that was killed does not come back by itself.
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	if s.options.certificates != nil {
		o.TLSConfig = s.options.certificates.clientConfig()
	}
	s.client = redis.NewClient(o)
	return s.client
}

// Do runs an admin command and returns the reply, nil for a null reply.
func (s *Server) Do(t testing.TB, args ...any) any {
	t.Helper()
	reply, err := s.Client().Do(context.Background(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatalf("%v on %s: %v", args, s.Addr, err)
	}
	return reply
}

// stop kills the server and closes the admin client.
func (s *Server) stop() {
	s.Kill()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		_ = s.client.Close()
		s.client = nil
	}
}

// poll calls ready until it returns nil, and returns its last error when that
// takes too long.
func poll(ready func() error) error {
	deadline := time.Now().Add(readyTimeout)
	for {
		err := ready()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pollInterval)
	}
}
