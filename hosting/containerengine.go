package hosting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// The environment variables that name the container engine, as Docker and Podman know
// them.
const (
	dockerHostVariable = "DOCKER_HOST"
	podmanHostVariable = "CONTAINER_HOST"
)

// enginePing is how long an engine may take to answer before it counts as absent.
const enginePing = 2 * time.Second

// findEngine connects to the container engine of this machine. One that the environment
// names is the only one that is asked: somebody who has chosen an engine would not look
// for containers in another.
func findEngine(ctx context.Context) (*client.Client, string, error) {
	for _, variable := range []string{dockerHostVariable, podmanHostVariable} {
		if host := os.Getenv(variable); host != "" {
			api, err := connectEngine(ctx, host)
			if err != nil {
				return nil, "", noEngine(fmt.Errorf("%s is %q: %w", variable, host, err))
			}
			return api, host, nil
		}
	}
	hosts := engineHosts()
	var tried []error
	for _, host := range hosts {
		if socket, ok := strings.CutPrefix(host, "unix://"); ok {
			if _, err := os.Stat(socket); err != nil {
				continue
			}
		}
		api, err := connectEngine(ctx, host)
		if err == nil {
			return api, host, nil
		}
		tried = append(tried, fmt.Errorf("%s: %w", host, err))
	}
	if len(tried) == 0 {
		return nil, "", noEngine(errors.New("there is none of " + strings.Join(hosts, ", ")))
	}
	return nil, "", noEngine(errors.Join(tried...))
}

// noEngine says what to do.
func noEngine(err error) error {
	return fmt.Errorf("%w: no container engine answers: %w; start Docker or Podman, set %s to its address, "+
		"or choose another runtime with %s", ErrNoRuntime, err, dockerHostVariable, RuntimeVariable)
}

// engineHosts are the addresses where engines are known to listen: the system's Docker, then
// those of users, and Podman, which mostly is there beside something else.
func engineHosts() []string {
	if runtime.GOOS == "windows" {
		return []string{client.DefaultDockerHost}
	}
	sockets := []string{"/var/run/docker.sock"}
	if home, err := os.UserHomeDir(); err == nil {
		for _, socket := range []string{
			".docker/run/docker.sock", ".docker/desktop/docker.sock", // Docker Desktop
			".colima/default/docker.sock",
			".rd/docker.sock", // Rancher Desktop
		} {
			sockets = append(sockets, filepath.Join(home, socket))
		}
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" { // rootless
		sockets = append(sockets, filepath.Join(dir, "docker.sock"), filepath.Join(dir, "podman/podman.sock"))
	}
	sockets = append(sockets, "/run/podman/podman.sock")
	for i, socket := range sockets {
		sockets[i] = "unix://" + socket
	}
	return sockets
}

// connectEngine returns a client of the engine at host once it has answered.
func connectEngine(ctx context.Context, host string) (*client.Client, error) {
	if err := onThisMachine(host); err != nil {
		return nil, err
	}
	var options []client.Opt
	if strings.HasPrefix(host, "tcp://") {
		options = append(options, client.WithTLSClientConfigFromEnv()) // replaces what WithHost sets
	}
	api, err := client.New(append(options, client.WithHost(host))...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, enginePing)
	defer cancel()
	pong, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err == nil && pong.OSType == "windows" {
		err = errors.New("it runs Windows containers, and Redis needs Linux ones")
	}
	if err != nil {
		_ = api.Close()
		return nil, err
	}
	return api, nil
}

// onThisMachine refuses engines elsewhere: the ports that they publish, and the folders
// that they mount, are not on this machine.
func onThisMachine(host string) error {
	address, err := url.Parse(host)
	if err != nil {
		return err
	}
	switch address.Scheme {
	case "unix", "npipe":
		return nil
	case "tcp", "http", "https":
		name := address.Hostname()
		if ip := net.ParseIP(name); name == "localhost" || ip != nil && ip.IsLoopback() {
			return nil
		}
	case "ssh":
	default:
		return errors.New("it begins with none of unix://, npipe:// and tcp://")
	}
	return errors.New("it is not on this machine, and so its ports would not be either")
}
