package hosting

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/hosting/internal/dockertest"
)

const testPassword = "correct-horse-battery"

// containerTest is a run that has a container engine.
type containerTest struct {
	*containers
	docker *dockertest.Engine
	home   *home
}

func newContainerTest(t *testing.T) *containerTest {
	t.Helper()
	docker := dockertest.Start(t)
	docker.Redis(t)
	h, err := openHome(t.TempDir(), "shop", t.TempDir())
	require.NoError(t, err)
	test := &containerTest{docker: docker, home: h}
	test.containers = test.again(t)
	return test
}

// again is another run of the same app.
func (c *containerTest) again(t *testing.T) *containers {
	t.Helper()
	r, err := c.home.startRun()
	require.NoError(t, err)
	t.Cleanup(r.end)
	api, err := connectEngine(t.Context(), c.docker.Host)
	require.NoError(t, err)
	opened, err := openContainers(api, c.docker.Host, r, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, opened.close(patient(t))) })
	return opened
}

// patient is a context that bounds what nothing else would end. It is there in Cleanup, too.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func testServer(name string) *server {
	return &server{name: name, image: dockertest.RedisImage, password: testPassword}
}

// up starts servers, which are stopped at the end of the test.
func up(t *testing.T, c *containers, group ...*server) []instance {
	t.Helper()
	instances, err := c.start(patient(t), group, func(string) {})
	require.NoError(t, err)
	require.Len(t, instances, len(group))
	t.Cleanup(func() {
		for _, i := range instances {
			assert.NoError(t, i.stop(patient(t)))
		}
	})
	return instances
}

// dial returns a client of a server once it answers.
func dial(t *testing.T, i instance, s *server) *redis.Client {
	t.Helper()
	options := &redis.Options{Addr: i.address(), Password: s.password}
	if s.tls != nil {
		options.TLSConfig = s.tls.clientConfig()
	}
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	require.Eventually(t, func() bool {
		require.NoError(t, i.err())
		return c.Ping(t.Context()).Err() == nil
	}, time.Minute, 10*time.Millisecond)
	return c
}

// left are the containers and networks of the app.
func (c *containerTest) left(t *testing.T) (names []string) {
	t.Helper()
	mine := make(client.Filters).Add("label", appLabel+"="+c.home.id)
	found, err := c.docker.API.ContainerList(patient(t), client.ContainerListOptions{All: true, Filters: mine})
	require.NoError(t, err)
	for _, item := range found.Items {
		names = append(names, item.Names[0])
	}
	networks, err := c.docker.API.NetworkList(patient(t), client.NetworkListOptions{Filters: mine})
	require.NoError(t, err)
	for _, network := range networks.Items {
		names = append(names, "network "+network.Name)
	}
	return names
}

// discard removes what outlives runs.
func (c *containerTest) discard(t *testing.T, i instance) {
	t.Helper()
	t.Cleanup(func() {
		assert.NoError(t, removeContainer(patient(t), c.docker.API, i.(*runningContainer).id))
		assert.NoError(t, removeNetwork(patient(t), c.docker.API, c.home.id))
	})
}

func TestContainer(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	i := up(t, test.containers, s)[0]
	c := dial(t, i, s)
	require.NoError(t, c.Set(t.Context(), "key", "value", 0).Err())

	t.Run("password", func(t *testing.T) {
		without := *s
		without.password = ""
		stranger := redis.NewClient(&redis.Options{Addr: i.address()})
		defer stranger.Close()
		assert.ErrorContains(t, stranger.Ping(t.Context()).Err(), "NOAUTH")

		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		require.NoError(t, err)
		servers := 0
		for _, file := range files {
			line, _ := os.ReadFile(file) // it may be gone
			if strings.Contains(string(line), "redis-server") {
				servers++
			}
			assert.NotContains(t, string(line), testPassword)
		}
		assert.Positive(t, servers)
	})

	t.Run("description", func(t *testing.T) {
		found, err := test.docker.API.ContainerInspect(t.Context(), i.(*runningContainer).id, client.ContainerInspectOptions{})
		require.NoError(t, err)
		assert.Equal(t, "/"+test.home.id+"-cache-"+test.run.id, found.Container.Name)
		assert.Equal(t, map[string]string{appLabel: test.home.id, runLabel: test.run.id}, found.Container.Config.Labels)
		assert.Contains(t, found.Container.Config.Env, "REDIS_PASSWORD="+testPassword)
		// Redis hides its arguments from /proc, and the engine shows them.
		assert.NotContains(t, strings.Join(found.Container.Args, " "), testPassword)
		for _, bindings := range found.Container.NetworkSettings.Ports {
			require.Len(t, bindings, 1)
			assert.Equal(t, "127.0.0.1", bindings[0].HostIP.String())
		}
	})

	t.Run("loopback only", func(t *testing.T) {
		_, port, err := net.SplitHostPort(i.address())
		require.NoError(t, err)
		addresses, err := net.InterfaceAddrs()
		require.NoError(t, err)
		for _, address := range addresses {
			ip := address.(*net.IPNet).IP
			if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
				continue
			}
			conn, err := net.Dial("tcp", net.JoinHostPort(ip.String(), port))
			if !assert.Error(t, err, ip) {
				_ = conn.Close()
			}
		}
	})

	t.Run("nothing is saved by default", func(t *testing.T) {
		save, err := c.ConfigGet(t.Context(), "save").Result()
		require.NoError(t, err)
		assert.Equal(t, map[string]string{"save": ""}, save)
	})

	found, err := test.docker.API.ContainerInspect(t.Context(), i.(*runningContainer).id, client.ContainerInspectOptions{})
	require.NoError(t, err)
	require.Len(t, found.Container.Mounts, 1, "the image has a volume for what nobody wants to keep")
	require.NoError(t, i.err())
	require.NoError(t, i.stop(patient(t)))
	<-i.done()
	_, err = test.docker.API.VolumeInspect(t.Context(), found.Container.Mounts[0].Name, client.VolumeInspectOptions{})
	require.ErrorContains(t, err, "no such volume")
	require.NoError(t, i.err(), "it was asked to stop")
	require.NoError(t, i.stop(patient(t)), "it has gone already")
	require.NoError(t, test.close(patient(t)))
	assert.Empty(t, test.left(t))
}

func TestContainerWithoutPassword(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	s.password = ""
	dial(t, up(t, test.containers, s)[0], s)
}

func TestContainerData(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	folder := filepath.Join(t.TempDir(), "not", "there")
	volume := test.home.volumeName("cache")
	t.Cleanup(func() {
		_, err := test.docker.API.VolumeRemove(patient(t), volume, client.VolumeRemoveOptions{})
		assert.NoError(t, err)
	})
	for name, m := range map[string]mount{"volume": {volume: volume}, "folder": {folder: folder}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testServer(name)
			s.mount = &m
			s.save = &persistence{interval: time.Hour, keys: 1} // so that only the end saves
			i := up(t, test.containers, s)[0]
			require.NoError(t, dial(t, i, s).Set(t.Context(), "key", "value", 0).Err())
			code := exitCode(t, test.docker, i)
			require.NoError(t, i.stop(patient(t)))
			assert.EqualValues(t, 0, <-code, "it was not killed")

			i = up(t, test.containers, s)[0]
			value, err := dial(t, i, s).Get(t.Context(), "key").Result()
			require.NoError(t, err)
			assert.Equal(t, "value", value)
			require.NoError(t, i.stop(patient(t)))

			m.readOnly, s.save = true, nil
			i = up(t, test.containers, s)[0]
			c := dial(t, i, s)
			value, err = c.Get(t.Context(), "key").Result()
			require.NoError(t, err)
			assert.Equal(t, "value", value)
			require.Error(t, c.Save(t.Context()).Err())
			require.NoError(t, i.stop(patient(t)))
		})
	}
	found, err := os.ReadDir(filepath.Dir(filepath.Dir(folder)))
	require.NoError(t, err)
	assert.Empty(t, found)
}

// Files in a folder of the host belong to the user.
func TestContainerFolderOwner(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	test.uid, test.gid = 1234, 5678
	s := testServer("cache")
	s.mount = &mount{folder: t.TempDir()}
	s.save = &persistence{interval: time.Hour, keys: 1}
	require.NoError(t, os.Chmod(s.mount.folder, 0o700))
	require.NoError(t, os.Chown(s.mount.folder, test.uid, test.gid))
	i := up(t, test.containers, s)[0]
	found, err := test.docker.API.ContainerInspect(t.Context(), i.(*runningContainer).id, client.ContainerInspectOptions{})
	require.NoError(t, err)
	assert.Equal(t, "1234:5678", found.Container.Config.User)
	c := dial(t, i, s)
	require.NoError(t, c.Set(t.Context(), "key", "value", 0).Err())
	require.NoError(t, c.Save(t.Context()).Err())
	require.NoError(t, i.stop(patient(t)))
	assert.FileExists(t, filepath.Join(s.mount.folder, "dump.rdb"))
}

// exitCode sends the exit code of a container once it has one.
func exitCode(t *testing.T, docker *dockertest.Engine, i instance) <-chan int64 {
	t.Helper()
	wait := docker.API.ContainerWait(patient(t), i.(*runningContainer).id, client.ContainerWaitOptions{})
	code := make(chan int64, 1)
	go func() {
		select {
		case status := <-wait.Result:
			code <- status.StatusCode
		case err := <-wait.Error:
			t.Error(err)
			code <- -1
		}
	}()
	return code
}

func TestContainerFolderMissing(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, m := range []mount{
		{folder: filepath.Join(file, "below")}, // cannot be made
		{folder: filepath.Join(t.TempDir(), "none"), readOnly: true},
	} {
		s := testServer("cache")
		s.mount = &m
		_, err := test.start(patient(t), []*server{s}, func(string) {})
		assert.ErrorContains(t, err, m.folder)
	}
	require.NoError(t, test.close(patient(t)))
	assert.Empty(t, test.left(t))
}

func TestContainerTLS(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	var err error
	s.tls, err = keptCertificates(t.TempDir(), s.name)
	require.NoError(t, err)
	i := up(t, test.containers, s)[0]
	dial(t, i, s)

	stranger := redis.NewClient(&redis.Options{Addr: i.address(), Password: s.password, TLSConfig: &tls.Config{}})
	defer stranger.Close()
	assert.ErrorContains(t, stranger.Ping(t.Context()).Err(), "certificate")
}

func TestContainerEnds(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	i := up(t, test.containers, s)[0]
	c := dial(t, i, s)
	_ = c.Shutdown(t.Context())
	<-i.done()
	require.ErrorContains(t, i.err(), "has ended: exit status 0")
	assert.ErrorContains(t, i.err(), "User requested shutdown")
	require.NoError(t, i.stop(patient(t)))
}

func TestContainerConfigurationError(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	s.password = `correct"horse`
	s.directives = [][]string{{"nonsense", s.password}}
	i, err := test.start(patient(t), []*server{s}, func(string) {})
	if err == nil { // it was inspected while it still ran
		<-i[0].done()
		err = i[0].err()
		require.NoError(t, i[0].stop(patient(t)))
	}
	require.ErrorContains(t, err, "exit status 1")
	require.ErrorContains(t, err, "nonsense")
	require.NotContains(t, err.Error(), "horse")
	require.NoError(t, test.close(patient(t)))
	assert.Empty(t, test.left(t))
}

// What does not stop is killed when the context ends, and nothing is left.
func TestContainerKilled(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	i := up(t, test.containers, s)[0]
	dial(t, i, s)
	_, err := test.docker.API.ContainerPause(t.Context(), i.(*runningContainer).id, client.ContainerPauseOptions{})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err = i.stop(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "was killed")
	require.NoError(t, test.close(patient(t)))
	assert.Empty(t, test.left(t))
}

func testGroup(t *testing.T, n int, each func(*server)) []*server {
	t.Helper()
	ports, err := freePorts(2 * n)
	require.NoError(t, err)
	group := make([]*server, n)
	for i := range group {
		group[i] = testServer("cluster-" + strconv.Itoa(i+1))
		group[i].port = ports[i]
		each(group[i])
		if !group[i].sentinel {
			group[i].directives = append(group[i].directives, []string{"cluster-port", strconv.Itoa(ports[n+i])})
		}
	}
	return group
}

// The servers of a cluster reach each other, and are reached, at the same addresses, also
// when one of them has ended, whichever that is.
func TestContainerGroup(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	group := testGroup(t, 6, func(s *server) {
		s.directives = [][]string{{"cluster-enabled", "yes"}}
	})
	instances := up(t, test.containers, group...)
	clients := make([]*redis.Client, len(group))
	for i, s := range group {
		assert.Equal(t, fmt.Sprintf("127.0.0.1:%d", s.port), instances[i].address())
		clients[i] = dial(t, instances[i], s)
	}
	for _, s := range group[1:] {
		bus, err := strconv.Atoi(s.directives[1][1])
		require.NoError(t, err)
		require.NoError(t, clients[0].Do(t.Context(), "cluster", "meet", "127.0.0.1", s.port, bus).Err())
	}
	for _, c := range clients {
		require.Eventually(t, func() bool {
			info, err := c.ClusterInfo(t.Context()).Result()
			require.NoError(t, err)
			return strings.Contains(info, "cluster_known_nodes:6")
		}, time.Minute, 10*time.Millisecond)
	}

	require.NoError(t, instances[0].stop(patient(t)))
	for _, c := range clients[1:] {
		require.NoError(t, c.Ping(t.Context()).Err())
	}
	for _, i := range instances[1:] {
		require.NoError(t, i.stop(patient(t)))
	}

	// They can be started again.
	for n, i := range up(t, test.containers, group...) {
		dial(t, i, group[n])
		require.NoError(t, i.stop(patient(t)))
	}
	require.NoError(t, test.close(patient(t)))
	assert.Empty(t, test.left(t))
}

func TestContainerSentinel(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	group := testGroup(t, 2, func(*server) {})
	group[0].directives = nil
	group[1].sentinel = true
	group[1].directives = [][]string{
		{"sentinel", "monitor", "main", "127.0.0.1", strconv.Itoa(group[0].port), "1"},
		{"sentinel", "auth-pass", "main", testPassword},
	}
	instances := up(t, test.containers, group...)
	dial(t, instances[0], group[0])
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: instances[1].address(), Password: testPassword})
	defer sentinel.Close()
	require.Eventually(t, func() bool {
		require.NoError(t, instances[1].err())
		master, err := sentinel.Master(t.Context(), "main").Result()
		return err == nil && master["flags"] == "master"
	}, time.Minute, 10*time.Millisecond)
	// It has to write this into its configuration.
	require.NoError(t, sentinel.Set(t.Context(), "main", "down-after-milliseconds", "12345").Err())
}

func TestContainerPersistent(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	s.persistent = true
	i := up(t, test.containers, s)[0]
	id := i.(*runningContainer).id
	test.discard(t, i)
	require.NoError(t, dial(t, i, s).Set(t.Context(), "key", "value", 0).Err())
	require.NoError(t, i.stop(patient(t)))
	require.NoError(t, test.close(patient(t)))
	assert.ElementsMatch(t, []string{"/" + test.home.id + "-cache", "network " + test.home.id}, test.left(t))

	// It runs, and is taken over.
	second := test.again(t)
	i = up(t, second, s)[0]
	assert.Equal(t, id, i.(*runningContainer).id)
	value, err := dial(t, i, s).Get(t.Context(), "key").Result()
	require.NoError(t, err)
	assert.Equal(t, "value", value)

	// It does not, and is started.
	require.NoError(t, i.stop(patient(t)))
	require.NoError(t, stopContainer(patient(t), test.docker.API, id))
	i = up(t, second, s)[0]
	assert.Equal(t, id, i.(*runningContainer).id)
	dial(t, i, s)
	require.NoError(t, i.stop(patient(t)))

	// It is another.
	other := *s
	other.directives = [][]string{{"maxmemory", "100mb"}}
	i = up(t, second, &other)[0]
	assert.NotEqual(t, id, i.(*runningContainer).id)
	test.discard(t, i)
	dial(t, i, &other)
}

func TestContainerGroupPersistent(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	group := testGroup(t, 2, func(s *server) { s.persistent = true })
	group[0].directives, group[1].directives = nil, nil
	instances := up(t, test.containers, group...)
	var ids []string
	for n, i := range instances {
		ids = append(ids, i.(*runningContainer).id)
		test.discard(t, i)
		dial(t, i, group[n])
		require.NoError(t, i.stop(patient(t)))
	}
	require.NoError(t, test.close(patient(t)))
	require.Len(t, test.left(t), 4, "with what holds their network, and the network")
	holder := test.placed[group[0]].container
	t.Cleanup(func() { assert.NoError(t, removeContainer(patient(t), test.docker.API, holder)) })

	// They run, and are taken over; they do not, and are started.
	for range 2 {
		second := test.again(t)
		for n, i := range up(t, second, group...) {
			assert.Equal(t, ids[n], i.(*runningContainer).id)
			dial(t, i, group[n])
			require.NoError(t, i.stop(patient(t)))
		}
		for _, id := range append(ids, holder) {
			require.NoError(t, stopContainer(patient(t), test.docker.API, id))
		}
	}
}

func TestContainerFingerprint(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	fingerprint := func(change func(*server)) string {
		s := testServer("cache")
		s.persistent = true
		change(s)
		spec, err := test.serverSpec(t.Context(), s, redisPort)
		require.NoError(t, err)
		spec.publish(redisPort, s.port)
		sum, err := spec.fingerprint()
		require.NoError(t, err)
		return sum
	}
	first := fingerprint(func(*server) {})
	assert.Equal(t, first, fingerprint(func(*server) {}))
	for name, change := range map[string]func(*server){
		"image":     func(s *server) { s.image = "redis:7" },
		"port":      func(s *server) { s.port = 7000 },
		"password":  func(s *server) { s.password = "" },
		"save":      func(s *server) { s.save = &persistence{time.Minute, 1} },
		"mount":     func(s *server) { s.mount = &mount{volume: "data"} },
		"read-only": func(s *server) { s.mount = &mount{volume: "data", readOnly: true} },
		"directive": func(s *server) { s.directives = [][]string{{"maxmemory", "1"}} },
		"TLS":       func(s *server) { s.tls = &certificates{ca: []byte("ca")} },
	} {
		assert.NotEqual(t, first, fingerprint(change), name)
	}
}

func TestContainerPortTaken(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	s := testServer("cache")
	s.port = listener.Addr().(*net.TCPAddr).Port
	_, err = test.start(patient(t), []*server{s}, func(string) {})
	require.ErrorIs(t, err, ErrPortTaken)
	assert.ErrorContains(t, err, strconv.Itoa(s.port))

	// The engine finds out by itself where nobody has asked.
	l := &launch{containers: test.containers}
	spec, err := test.serverSpec(t.Context(), s, redisPort)
	require.NoError(t, err)
	spec.publish(redisPort, s.port)
	spec.Network, err = test.network(t.Context(), false)
	require.NoError(t, err)
	id, err := l.create(t.Context(), spec, test.labels(false))
	require.NoError(t, err)
	_, err = test.api.ContainerStart(t.Context(), id, client.ContainerStartOptions{})
	require.ErrorIs(t, portError(err, spec.hostPorts()), ErrPortTaken)
	l.undo(t.Context())

	// Nor is anything left of a group.
	group := testGroup(t, 2, func(*server) {})
	group[1].port = s.port
	_, err = test.start(patient(t), group, func(string) {})
	require.ErrorIs(t, err, ErrPortTaken)
	require.NoError(t, test.close(patient(t)))
	assert.Empty(t, test.left(t))
}

func TestContainerImageIsPulled(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	told := make(chan string, 1000)
	var heard []string
	s := testServer("cache")
	s.image = dockertest.Registry(t, func() {
		// What has come so far is told before the rest is there.
		for !strings.HasSuffix(strings.Join(heard, ""), "%") {
			heard = append(heard, <-told)
		}
	})
	instances, err := test.start(patient(t), []*server{s}, func(text string) { told <- text })
	require.NoError(t, err)
	dial(t, instances[0], s)
	require.NoError(t, instances[0].stop(patient(t)))
	close(told)
	for text := range told {
		heard = append(heard, text)
	}
	name := strings.TrimPrefix(s.image, "docker.io/")
	assert.Equal(t, "pulling "+name, heard[0])
	assert.Equal(t, "pulling "+name+" 100%", heard[len(heard)-1])
	assert.Greater(t, len(heard), 2, heard)
}

func TestContainerImageMissing(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	s.image = "localhost:1/nothing:1"
	var told []string
	_, err := test.start(patient(t), []*server{s}, func(text string) { told = append(told, text) })
	require.ErrorContains(t, err, "pulling the image localhost:1/nothing:1: ")
	require.ErrorContains(t, err, "connection refused")
	require.ErrorContains(t, err, "WithImage")
	assert.Equal(t, []string{"pulling localhost:1/nothing:1"}, told)
	assert.Empty(t, test.left(t))
}

func TestContainerStartCancelled(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	_, err := test.start(ctx, []*server{testServer("cache")}, func(string) {})
	require.Error(t, err)
	require.NoError(t, test.close(patient(t)))
	assert.Empty(t, test.left(t))
}

// askUI returns what the stand-in for a user interface says.
func askUI(t *testing.T, i instance) (report struct{ Env, Pings map[string]string }) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	require.Eventually(t, func() bool {
		require.NoError(t, i.err())
		answer, err := (&http.Client{Transport: transport}).Get("http://" + i.address())
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return json.NewDecoder(answer.Body).Decode(&report) == nil
	}, time.Minute, 10*time.Millisecond)
	return report
}

func TestContainerUI(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s, lasting := testServer("cache"), testServer("lasting")
	lasting.persistent = true
	group := testGroup(t, 2, func(*server) {})
	group[0].directives, group[1].directives = nil, nil
	dial(t, up(t, test.containers, s)[0], s)
	i := up(t, test.containers, lasting)[0]
	test.discard(t, i)
	dial(t, i, lasting)
	for n, i := range up(t, test.containers, group...) {
		dial(t, i, group[n])
	}

	var targets []uiTarget
	for _, s := range []*server{s, lasting, group[1]} {
		targets = append(targets, uiTarget{name: "my-" + s.name, server: s, host: "127.0.0.1", port: 1, password: s.password})
	}
	answers := map[string]string{"my-cache": "+OK +PONG", "my-lasting": "+OK +PONG", "my-cluster-2": "+OK +PONG"}
	for _, u := range []*uiServer{
		{kind: commander, name: commanderName, image: "localhost/commander:1", targets: targets},
		{kind: insight, name: insightName, image: "localhost/insight:1", targets: targets},
	} {
		test.docker.UI(t, u.image, u.innerPort())
		i, err := test.startUI(patient(t), u, func(string) {})
		require.NoError(t, err)
		report := askUI(t, i)
		assert.Equal(t, answers, report.Pings)
		if u.kind == insight {
			assert.Equal(t, "cache", report.Env["RI_REDIS_HOST1"])
			assert.Equal(t, "6379", report.Env["RI_REDIS_PORT1"])
		} else {
			assert.Contains(t, report.Env["REDIS_HOSTS"], "my-cache:cache:6379:0:"+testPassword+",")
		}
		assert.Equal(t, "127.0.0.1", targets[0].host, "the caller's own are as they were")
		require.NoError(t, i.stop(patient(t)))
		<-i.done()
	}
}

func TestSweepContainers(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	volume := test.home.volumeName("cache")
	t.Cleanup(func() {
		_, err := test.docker.API.VolumeRemove(patient(t), volume, client.VolumeRemoveOptions{})
		assert.NoError(t, err)
	})
	s, lasting := testServer("cache"), testServer("lasting")
	s.mount = &mount{volume: volume}
	s.save = &persistence{interval: time.Hour, keys: 1}
	lasting.persistent = true
	i, err := test.start(patient(t), []*server{s}, func(string) {})
	require.NoError(t, err)
	require.NoError(t, dial(t, i[0], s).Set(t.Context(), "key", "value", 0).Err())
	j := up(t, test.containers, lasting)[0]
	test.discard(t, j)
	network, err := test.network(t.Context(), false)
	require.NoError(t, err)
	require.NoError(t, test.introduce(t.Context(), lasting, network))

	// The run dies.
	other := test.again(t)
	require.NoError(t, sweepContainers(patient(t), test.run))
	<-i[0].done()
	require.NoError(t, i[0].stop(patient(t)))
	assert.ElementsMatch(t, []string{"/" + test.home.id + "-lasting", "network " + test.home.id}, test.left(t))
	require.NoError(t, sweepContainers(patient(t), other.run))

	value, err := dial(t, up(t, other, s)[0], s).Get(t.Context(), "key").Result()
	require.NoError(t, err)
	assert.Equal(t, "value", value)

	require.NoError(t, writeFile(engineFile(test.run), []byte("unix:///nowhere/docker.sock")))
	require.ErrorContains(t, sweepContainers(patient(t), test.run), "/nowhere/docker.sock")
	require.NoError(t, os.Remove(engineFile(test.run)))
	require.NoError(t, sweepContainers(patient(t), test.run), "it had no engine")
}
