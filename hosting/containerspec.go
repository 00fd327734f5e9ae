package hosting

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	mounts "github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// Labels say whose a container, network or volume is.
const (
	appLabel           = "io.redisbinding.hosting.app"
	runLabel           = "io.redisbinding.hosting.run"           // of what ends with the run
	configurationLabel = "io.redisbinding.hosting.configuration" // of containers that do not: a fingerprint
)

// Where things are in the container of a server.
const (
	dataFolder   = "/data"
	configFolder = "/etc/redisbinding"
	configFile   = configFolder + "/redis.conf"
	caFile       = configFolder + "/ca.pem"
	certFile     = configFolder + "/cert.pem"
	keyFile      = configFolder + "/key.pem"
	// A sentinel writes its own configuration, so that has to be in a folder of its own.
	sentinelFile = dataFolder + "/sentinel.conf"
)

// containerSpec is a container to make. Its fingerprint is that of all of it.
type containerSpec struct {
	Name       string
	Config     container.Config
	Host       container.HostConfig
	Network    string   // its name; "": that of Host.NetworkMode
	Aliases    []string // other names in the network
	Files      []containerFile
	Persistent bool
}

// containerFile is a file to copy into a container. So what it holds is neither on a
// command line nor in the host's file system.
type containerFile struct {
	Name string
	Mode int64
	Text []byte
}

// publish has inner ports listened on at the host, on its loopback interface and no
// other.
func (s *containerSpec) publish(inner, port int) {
	if s.Host.PortBindings == nil {
		s.Config.ExposedPorts, s.Host.PortBindings = network.PortSet{}, network.PortMap{}
	}
	key := tcpPort(inner)
	binding := network.PortBinding{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	if port != 0 {
		binding.HostPort = strconv.Itoa(port)
	}
	s.Config.ExposedPorts[key] = struct{}{}
	s.Host.PortBindings[key] = []network.PortBinding{binding}
}

func tcpPort(port int) network.Port {
	key, _ := network.PortFrom(uint16(port), network.TCP) //nolint:gosec // ports have 16 bits
	return key
}

// hostPorts are the ports of the host that it asks for.
func (s *containerSpec) hostPorts() []int {
	var ports []int
	for _, bindings := range s.Host.PortBindings {
		if port, err := strconv.Atoi(bindings[0].HostPort); err == nil {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}

func (s *containerSpec) fingerprint() (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// options are what the engine makes the container of.
func (s *containerSpec) options(labels map[string]string) client.ContainerCreateOptions {
	config := s.Config
	config.Labels = labels
	options := client.ContainerCreateOptions{Name: s.Name, Config: &config, HostConfig: &s.Host}
	if s.Network != "" {
		options.HostConfig.NetworkMode = container.NetworkMode(s.Network)
		options.NetworkingConfig = &network.NetworkingConfig{
			EndpointsConfig: map[string]*network.EndpointSettings{s.Network: aliased(s.Aliases)},
		}
	}
	return options
}

// archive has the files to copy to the root of the container.
func (s *containerSpec) archive() (*bytes.Buffer, error) {
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	headers := []*tar.Header{{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(configFolder, "/") + "/", Mode: 0o755}}
	for _, file := range s.Files {
		headers = append(headers, &tar.Header{Name: strings.TrimPrefix(file.Name, "/"), Mode: file.Mode, Size: int64(len(file.Text))})
	}
	for i, header := range headers {
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if i > 0 {
			if _, err := archive.Write(s.Files[i-1].Text); err != nil {
				return nil, err
			}
		}
	}
	return &buffer, archive.Close()
}

// containerName is unique among all runs, but for what outlives them.
func (c *containers) containerName(name string, persistent bool) string {
	name = c.run.home.id + "-" + name
	if !persistent {
		name += "-" + c.run.id
	}
	return name
}

// serverSpec is the container of a server that listens on the port in it. Its network and
// what is published of it are the caller's to say.
func (c *containers) serverSpec(ctx context.Context, s *server, port int) (*containerSpec, error) {
	at := place{bind: "0.0.0.0", port: port, folder: dataFolder}
	spec := &containerSpec{
		Name:       c.containerName(s.name, s.persistent),
		Persistent: s.persistent,
		// No shell is in between: it would keep SIGTERM from Redis, which would lose its
		// data. Nor is the image's own entry point replaced, which loads its modules.
		Config: container.Config{Image: s.image, Cmd: []string{"redis-server", configFile}},
	}
	if s.password != "" {
		spec.Config.Env = []string{"REDIS_PASSWORD=" + s.password}
	}
	if s.tls != nil {
		at.ca, at.cert, at.key = caFile, certFile, keyFile
		// Images have Redis run as a user of their own, who has to read these.
		spec.Files = append(spec.Files,
			containerFile{caFile, 0o644, s.tls.ca}, containerFile{certFile, 0o644, s.tls.cert}, containerFile{keyFile, 0o644, s.tls.key})
	}
	config := containerFile{configFile, 0o644, []byte(s.config(at))}
	if s.sentinel {
		config.Name, config.Mode = sentinelFile, 0o666
		spec.Config.Cmd = []string{"redis-server", sentinelFile, "--sentinel"}
	}
	spec.Files = append(spec.Files, config)
	return spec, c.mount(ctx, spec, s.mount)
}

// mount has the data of a server where it is to stay.
func (c *containers) mount(ctx context.Context, spec *containerSpec, m *mount) error {
	if m == nil {
		return nil
	}
	to := mounts.Mount{Type: mounts.TypeVolume, Source: m.volume, Target: dataFolder, ReadOnly: m.readOnly}
	if m.folder == "" {
		to.VolumeOptions = &mounts.VolumeOptions{Labels: map[string]string{appLabel: c.run.home.id}}
	} else {
		to.Type, to.Source = mounts.TypeBind, m.folder
		if !m.readOnly {
			if err := writableFolder(m.folder); err != nil {
				return fmt.Errorf("the folder for data, %s: %w", m.folder, err)
			}
		}
		user, err := c.owner(ctx)
		if err != nil {
			return err
		}
		spec.Config.User = user
		// SELinux would keep the container from a folder of the user, or the user from the
		// folder once it was given to the container.
		spec.Host.SecurityOpt = []string{"label=disable"}
	}
	spec.Host.Mounts = []mounts.Mount{to}
	if m.readOnly {
		return nil
	}
	return c.takeData(ctx, spec.Name, to.Source)
}

// takeData makes sure that no other container writes to a volume or folder: the last one to save
// would win.
func (c *containers) takeData(ctx context.Context, name, source string) error {
	source = realPath(source)
	c.mu.Lock()
	defer c.mu.Unlock()
	if filepath.IsAbs(source) { // a process may have it
		lock, err := lockFolder(source)
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		_ = lock.Close()
	}
	if other, taken := c.taken[source]; taken && other != name {
		return fmt.Errorf("%s: %w (%s)", source, errInUse, other)
	}
	running, err := c.api.ContainerList(ctx, client.ContainerListOptions{Filters: make(client.Filters).Add("label", appLabel)})
	if err != nil {
		return err
	}
	for _, item := range running.Items {
		for _, mounted := range item.Mounts {
			if mounted.RW && (mounted.Name == source || realPath(mounted.Source) == source) && !slices.Contains(item.Names, "/"+name) {
				return fmt.Errorf("%s: %w (%s)", source, errInUse, strings.TrimPrefix(item.Names[0], "/"))
			}
		}
	}
	c.taken[source] = name
	return nil
}

// realPath is one spelling of a folder of many. The name of a volume stays as it is.
func realPath(source string) string {
	if !filepath.IsAbs(source) {
		return source
	}
	if target, err := filepath.EvalSymlinks(source); err == nil {
		return target
	}
	return filepath.Clean(source)
}

// owner is the user in a container whose files in a folder of the host belong to the
// caller. It is "" where that is the engine's to see to, whose containers are in a virtual
// machine, or whose users are others outside.
func (c *containers) owner(ctx context.Context) (string, error) {
	if runtime.GOOS != "linux" || c.uid == 0 {
		return "", nil
	}
	info, err := c.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return "", err
	}
	if slices.Contains(info.Info.SecurityOptions, "name=rootless") {
		return "", nil
	}
	return strconv.Itoa(c.uid) + ":" + strconv.Itoa(c.gid), nil
}

// holderSpec is a container that has nothing but a network interface, which the servers
// of a group share: they have to reach each other where clients reach them, at 127.0.0.1.
// It is no server's own, so that any of them can end to see what the others make of it.
func (c *containers) holderSpec(group []*server) *containerSpec {
	first := group[0]
	spec := &containerSpec{
		Name:       c.containerName(first.name+"-network", first.persistent),
		Persistent: first.persistent,
		Config: container.Config{
			Image: first.image,
			// What is there in every image that has Redis. It serves nobody.
			Entrypoint: []string{"redis-server"},
			Cmd:        []string{"--port", "0", "--unixsocket", "/dev/shm/redis.sock", "--save", ""},
		},
	}
	for _, s := range group {
		spec.publish(s.port, s.port)
		spec.Aliases = append(spec.Aliases, s.name)
	}
	return spec
}

// uiSpec is the container of a user interface.
func (c *containers) uiSpec(u *uiServer) *containerSpec {
	spec := &containerSpec{
		Name:    c.containerName(u.name, false),
		Config:  container.Config{Image: u.image, Env: c.inContainers(u).containerEnv()},
		Aliases: []string{u.name},
	}
	spec.publish(u.innerPort(), u.port)
	return spec
}

// inContainers is a user interface whose targets are where other containers reach them.
func (c *containers) inContainers(u *uiServer) *uiServer {
	c.mu.Lock()
	defer c.mu.Unlock()
	inner := *u
	inner.targets = slices.Clone(u.targets)
	for i, target := range inner.targets {
		if placed, ok := c.placed[target.server]; ok {
			inner.targets[i].host, inner.targets[i].port = target.server.name, placed.port
		}
	}
	return &inner
}
