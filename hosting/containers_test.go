package hosting

import (
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
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
	r := newRunIn(t, c.home)
	api, err := connectEngine(t.Context(), c.docker.Host)
	require.NoError(t, err)
	opened, err := openContainers(api, c.docker.Host, r, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, opened.close(within(t))) })
	return opened
}

func testServer(name string) *server {
	return &server{name: name, image: dockertest.RedisImage, password: testPassword}
}

// up starts servers, which are stopped at the end of the test.
func up(t *testing.T, c *containers, group ...*server) []instance {
	t.Helper()
	instances, err := c.start(within(t), group, func(string) {})
	require.NoError(t, err)
	require.Len(t, instances, len(group))
	t.Cleanup(func() {
		for _, i := range instances {
			assert.NoError(t, i.stop(within(t)))
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
	found, err := c.docker.API.ContainerList(within(t), client.ContainerListOptions{All: true, Filters: mine})
	require.NoError(t, err)
	for _, item := range found.Items {
		names = append(names, item.Names[0])
	}
	networks, err := c.docker.API.NetworkList(within(t), client.NetworkListOptions{Filters: mine})
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
		assert.NoError(t, removeContainer(within(t), c.docker.API, i.(*runningContainer).id))
		assert.NoError(t, removeNetwork(within(t), c.docker.API, c.home.id))
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
	require.NoError(t, i.stop(within(t)))
	<-i.done()
	_, err = test.docker.API.VolumeInspect(t.Context(), found.Container.Mounts[0].Name, client.VolumeInspectOptions{})
	require.ErrorContains(t, err, "no such volume")
	require.NoError(t, i.err(), "it was asked to stop")
	require.NoError(t, i.stop(within(t)), "it has gone already")
	require.NoError(t, test.close(within(t)))
	assert.Empty(t, test.left(t))
}

func TestContainerWithoutPassword(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	s.password = ""
	dial(t, up(t, test.containers, s)[0], s)
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
