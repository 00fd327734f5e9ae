// Package dockertest has a container engine for tests: a dockerd of their own, with images
// that were made here and came from no registry.
package dockertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

const (
	startTimeout = time.Minute
	pollInterval = 20 * time.Millisecond
)

// Engine is a running dockerd.
type Engine struct {
	Host string         // for DOCKER_HOST
	API  *client.Client // for tests to look and to meddle

	dir   string
	guard *guard
	mu    sync.Mutex // makes one image at a time
}

// The engine that all tests of the process share.
var shared struct {
	sync.Mutex
	engine *Engine
	err    error // of starting it; every test is told
}

// Start returns the engine of the test process, which is started by the first call and
// ended by [Stop]. Where there can be none it skips the test, or fails it when CI is "true".
func Start(t testing.TB) *Engine {
	t.Helper()
	if reason := missing(); reason != "" {
		skip(t, reason)
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.engine == nil && shared.err == nil {
		shared.engine, shared.err = start()
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.engine
}

// skip skips the test, except in CI, where that would go unnoticed.
func skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("in CI this must be tested: " + reason)
	}
	t.Skip(reason)
}

// missing says why there can be no engine, "" if there can.
func missing() string {
	for _, program := range []string{"dockerd", "redis-server", "redis-cli", "ldd"} {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is not on PATH; on Linux, \"sh scripts/install.sh docker redis\" installs it"
		}
	}
	if os.Geteuid() != 0 {
		return "dockerd needs root"
	}
	return ""
}

// Stop ends the engine, if one was started, and waits until nothing of it is left. It is
// for TestMain.
func Stop() {
	shared.Lock()
	defer shared.Unlock()
	if shared.engine != nil {
		shared.engine.stop()
		shared.engine = nil
	}
}

func start() (*Engine, error) {
	// The path of a Unix socket is short, so this is not in a test's folder.
	dir, err := os.MkdirTemp("", "dockertest")
	if err != nil {
		return nil, err
	}
	e := &Engine{Host: "unix://" + filepath.Join(dir, "docker.sock"), dir: dir}
	e.guard, err = startGuarded(dir, "dockerd",
		"--host", e.Host,
		"--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "dockerd.pid"),
		// Nothing of the machine is changed: no bridge but those of networks that tests make, no
		// rules of a firewall (another dockerd would lose its own), and no forwarding, so that
		// containers reach nothing outside. Ports are published by docker-proxy.
		"--bridge", "none", "--iptables=false", "--ip-forward=false", "--ip-masq=false",
		"--userland-proxy=true",
		// Engines of other test processes would take the same addresses, and the machine would
		// not know whose bridge leads to them.
		"--default-address-pool", fmt.Sprintf("base=10.%d.%d.0/20,size=28", 64+os.Getpid()/16%128, os.Getpid()%16*16),
	)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if e.API, err = client.New(client.WithHost(e.Host)); err == nil {
		err = e.wait()
	}
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		e.stop()
		return nil, fmt.Errorf("starting dockerd: %w\n%s", err, log)
	}
	return e, nil
}

// wait waits until the engine answers.
func (e *Engine) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		_, err := e.API.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-e.guard.ended:
			return errors.New("it has ended")
		case <-time.After(pollInterval):
		}
	}
}

func (e *Engine) stop() {
	if e.API != nil {
		e.clear()
		_ = e.API.Close()
	}
	e.guard.end()
}

// clear removes what failed tests have left, of which networks would outlive the engine.
func (e *Engine) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	containers, _ := e.API.ContainerList(ctx, client.ContainerListOptions{All: true})
	for _, c := range containers.Items {
		_, _ = e.API.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
	}
	_, _ = e.API.NetworkPrune(ctx, client.NetworkPruneOptions{})
}
