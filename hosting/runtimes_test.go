package hosting

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	moby "github.com/moby/moby/client"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/hosting/internal/dockertest"
)

// eachRuntime runs a test on the runtimes, for which it makes what they need.
func eachRuntime(t *testing.T, test func(t *testing.T, kind RuntimeKind), kinds ...RuntimeKind) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			switch kind { //nolint:exhaustive // the others need nothing
			case ContainerRuntime:
				engine := dockertest.Start(t)
				engine.Redis(t)
				useEngine(engine.Host)
			case ProcessRuntime:
				needs(t, "redis-server")
			}
			test(t, kind)
		})
	}
}

// useEngine makes the private engine the one that apps find, for the rest of the
// run: t.Setenv would keep tests from running in parallel.
func useEngine(host string) { useEngineOnce.Do(func() { _ = os.Setenv(dockerHostVariable, host) }) }

var useEngineOnce sync.Once

// closed waits until nobody listens at the address.
func closed(t *testing.T, addrs ...string) {
	t.Helper()
	for _, addr := range addrs {
		require.Eventually(t, func() bool { return listens(addr)(context.Background()) != nil }, time.Minute, 5*time.Millisecond, addr)
	}
}

// nothingLeft checks that no run has left a file.
func nothingLeft(t *testing.T, home string) {
	t.Helper()
	runs, err := filepath.Glob(filepath.Join(home, "shop-*", "runs", "*"))
	require.NoError(t, err)
	assert.Empty(t, runs)
}

func TestEverywhere(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		home := t.TempDir()
		b := builder(t, WithRuntime(kind), WithHome(home))
		plain := b.AddRedis("plain").WithPassword("")
		guarded := b.AddRedis("guarded")
		safe := b.AddRedis("safe").WithTLS().WithPassword(`quo"ted \ \x41 ß`)
		cluster := b.AddCluster("cluster")
		b.AddRedis("cluster-1") // no node's name
		a, err := b.Start(t.Context())
		require.NoError(t, err)

		var addrs []string
		for _, c := range []*Connection{&plain.Connection, &guarded.Connection, &safe.Connection, &cluster.Connection} {
			works(t, c)
			addrs = append(addrs, c.UniversalOptions().Addrs...)
		}
		for _, addr := range addrs {
			assert.True(t, strings.HasPrefix(addr, "127.0.0.1:"), addr)
		}
		for _, r := range []*Redis{guarded, safe} {
			o := r.UniversalOptions()
			o.Password = ""
			stranger := redis.NewUniversalClient(o)
			require.ErrorContains(t, stranger.Ping(t.Context()).Err(), "NOAUTH")
			require.NoError(t, stranger.Close())
		}
		for name, check := range a.HealthChecks() {
			assert.NoError(t, check(t.Context()), name)
		}

		require.NoError(t, a.Stop(t.Context()))
		closed(t, addrs...)
		nothingLeft(t, home)
	}, ContainerRuntime, ProcessRuntime, EmbeddedRuntime)
}

func TestClusterWithReplicas(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		b := builder(t, WithRuntime(kind))
		cluster := b.AddCluster("cluster").WithReplicas(1).WithTLS()
		runningApp(t, b)
		works(t, &cluster.Connection)
		c := connect(t, &cluster.Connection)
		nodes := c.ClusterNodes(t.Context()).Val()
		assert.Equal(t, 3, strings.Count(nodes, "slave "), nodes)
		assert.Equal(t, 3, strings.Count(nodes, "master "), nodes)
	}, ContainerRuntime, ProcessRuntime)
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		b := builder(t, WithRuntime(kind))
		safe := kind == ProcessRuntime // the configuration is the same everywhere
		sentinel := b.AddSentinel("sentinel")
		if safe {
			sentinel.WithTLS()
		}
		runningApp(t, b)
		works(t, &sentinel.Connection)

		// The primary goes, and the replica takes its place.
		c := connect(t, &sentinel.Connection)
		require.NoError(t, c.Set(t.Context(), "before", "x", 0).Err())
		require.EqualValues(t, 1, c.(*redis.Client).Wait(t.Context(), 1, time.Minute).Val())
		_ = c.ShutdownNoSave(t.Context())
		require.Eventually(t, func() bool { return c.Set(t.Context(), "after", "x", 0).Err() == nil }, time.Minute, 50*time.Millisecond)
		assert.Equal(t, "x", c.Get(t.Context(), "before").Val())
	}, ContainerRuntime, ProcessRuntime)
}

func TestData(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	tests := map[string]struct {
		declare func(r *Redis)
		stays   bool
	}{
		"nowhere":                   {func(*Redis) {}, false},
		"saved, but nowhere":        {func(r *Redis) { r.WithPersistence(time.Hour, 1) }, false},
		"volume":                    {func(r *Redis) { r.WithDataVolume() }, true},
		"bind mount":                {func(r *Redis) { r.WithDataBindMount(filepath.Join(folder, "new", "data")) }, true},
		"named, and saved at times": {func(r *Redis) { r.WithDataVolume(VolumeName("mine")).WithPersistence(time.Hour, 1000) }, true},
	}
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				b := builder(t, WithRuntime(kind))
				r := b.AddRedis("cache")
				test.declare(r)
				a, err := b.Start(t.Context())
				require.NoError(t, err)
				require.NoError(t, connect(t, &r.Connection).Set(t.Context(), "key", "unsaved", 0).Err())
				require.NoError(t, a.Stop(t.Context()))

				a, err = b.Start(t.Context())
				require.NoError(t, err)
				value, err := connect(t, &r.Connection).Get(t.Context(), "key").Result()
				if test.stays {
					assert.NoError(t, err)
					assert.Equal(t, "unsaved", value)
				} else {
					assert.ErrorIs(t, err, redis.Nil)
				}
				require.NoError(t, a.Stop(t.Context()))
			})
		}
		require.NoError(t, os.RemoveAll(filepath.Join(folder, "new")))
	}, ContainerRuntime, ProcessRuntime)
}

// Two servers that write the same file would lose each other's data.
func TestDataHasOneWriter(t *testing.T) {
	t.Parallel()
	needs(t, "redis-server")
	home, path, folder := t.TempDir(), t.TempDir(), t.TempDir()
	declare := func() *Builder {
		b := builder(t, WithRuntime(ProcessRuntime), WithHome(home), WithPath(path))
		b.AddRedis("cache").WithDataBindMount(folder)
		return b
	}
	runningApp(t, declare())
	_, err := declare().Start(t.Context())
	require.EqualError(t, err, "hosting: cache: the folder for data, "+folder+": it is in use by another server; stop that first, or take other data")

	// Whatever it is called, and however long each of them is to live.
	other := builder(t, WithRuntime(ProcessRuntime))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(folder, link))
	other.AddRedis("other").WithDataBindMount(link + "/.").WithLifetime(PersistentLifetime)
	_, err = other.Start(t.Context())
	require.ErrorIs(t, err, errInUse)
}

func TestRedisThatDiesIsReported(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		log, out := &events{}, &output{}
		b := builder(t, WithRuntime(kind), WithLogger(log.logger()), WithOutput(out))
		r := b.AddRedis("cache")
		program(t, b, "api", "environment").WaitFor(r)
		a := runningApp(t, b)
		_ = connect(t, &r.Connection).ShutdownNoSave(t.Context())

		require.Eventually(t, func() bool { return slices.Contains(log.list(), "cache: ended") }, time.Minute, 5*time.Millisecond)
		assert.Contains(t, log.list(), "cache: a resource has ended")
		assert.Contains(t, out.String(), "ended")
		assert.Error(t, a.HealthChecks()["cache_check"](t.Context()))
		assert.NotContains(t, log.list(), "api: ended", "the others go on")
	}, ContainerRuntime, ProcessRuntime)
}

func TestPersistentLifetime(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		home, path := t.TempDir(), t.TempDir()
		run := func(configure func(*Redis), use func(r *Redis)) string {
			t.Helper()
			b := builder(t, WithRuntime(kind), WithHome(home), WithPath(path))
			r := b.AddRedis("cache").WithLifetime(PersistentLifetime)
			configure(r)
			a, err := b.Start(t.Context())
			require.NoError(t, err)
			works(t, &r.Connection)
			use(r)
			addr := r.UniversalOptions().Addrs[0]
			require.NoError(t, a.Stop(t.Context()))
			return addr
		}
		as := func(*Redis) {}
		is := func(value string) func(r *Redis) {
			return func(r *Redis) {
				t.Helper()
				assert.Equal(t, value, connect(t, &r.Connection).Get(t.Context(), "key").Val())
			}
		}
		first := run(as, func(r *Redis) {
			require.NoError(t, connect(t, &r.Connection).Set(t.Context(), "key", "unsaved", 0).Err())
		})
		assert.NoError(t, listens(first)(t.Context()), "it runs on")
		nothingLeft(t, home)

		assert.Equal(t, first, run(as, is("unsaved")), "it is found again")

		second := run(func(r *Redis) { r.WithPersistence(time.Hour, 7) }, is(""))
		if second != first {
			closed(t, first)
		}

		// A declaration without it takes it away.
		third := run(func(r *Redis) { r.WithLifetime(SessionLifetime) }, is(""))
		closed(t, first, second, third)
		nothingLeft(t, home)
	}, ContainerRuntime, ProcessRuntime)
}

// appVariable makes the test binary an app, which is killed: the runtime, the home, the path.
const appVariable = "HOSTING_TEST_APP"

func init() {
	if os.Getenv(appVariable) == "" {
		return
	}
	settings := strings.Split(os.Getenv(appVariable), "|")
	b := NewBuilder("shop", WithRuntime(RuntimeKind(settings[0])), WithHome(settings[1]), WithPath(settings[2]))
	r := b.AddRedis("cache").WithDataVolume()
	path, err := os.Executable()
	if err == nil {
		b.AddCommand("api", path).WithEnv(programVariable, "http").WithEnv("GORACE", "atexit_sleep_ms=0").
			WithHTTPEndpoint(0, "PORT").WaitFor(r)
		err = os.Unsetenv(appVariable)
	}
	if err == nil {
		err = b.Run(context.Background())
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// startKillable starts the app above as a process, and returns when all of it is healthy.
func startKillable(t *testing.T, kind RuntimeKind, home, path string) (app *exec.Cmd, redisAddr, apiAddr string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	out := &output{}
	app = exec.Command(self)
	app.Env = append(os.Environ(), appVariable+"="+strings.Join([]string{string(kind), home, path}, "|"), "GORACE=atexit_sleep_ms=0")
	app.Stdout, app.Stderr = out, out
	app.WaitDelay = time.Second
	require.NoError(t, app.Start())
	t.Cleanup(func() { _ = app.Process.Kill() })
	address := func(name string) (addr string) {
		require.Eventually(t, func() bool {
			for line := range strings.Lines(out.String()) {
				fields := strings.Fields(line)
				if len(fields) > 3 && fields[0] == name && fields[2] == string(stateHealthy) {
					addr = fields[3]
				}
			}
			return addr != ""
		}, time.Minute, 5*time.Millisecond, out)
		return addr
	}
	return app, address("cache"), address("api")
}

// killWithUnsaved sets a key in the Redis of the app above, and kills the app before that is saved.
func killWithUnsaved(t *testing.T, app *exec.Cmd, home, path, redisAddr string) {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(home, appID("shop", path), "passwords", "cache"))
	require.NoError(t, err)
	c := redis.NewClient(&redis.Options{Addr: redisAddr, Password: strings.TrimSpace(string(password))})
	defer c.Close()
	require.NoError(t, c.Set(t.Context(), "key", "unsaved", 0).Err())
	require.NoError(t, app.Process.Kill())
	_ = app.Wait()
}

func TestKilledHost(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		home, path := t.TempDir(), t.TempDir()
		app, redisAddr, apiAddr := startKillable(t, kind, home, path)

		b := builder(t, WithRuntime(kind), WithHome(home), WithPath(path))
		r := b.AddRedis("cache").WithDataVolume()
		_, err := b.Start(t.Context())
		require.ErrorContains(t, err, "in use by another server", "while it lives nobody touches what it has")
		require.NoError(t, listens(redisAddr)(t.Context()))

		killWithUnsaved(t, app, home, path, redisAddr)

		runningApp(t, b)
		closed(t, redisAddr, apiAddr)
		assert.Equal(t, "unsaved", connect(t, &r.Connection).Get(t.Context(), "key").Val())
		runs, err := filepath.Glob(filepath.Join(home, "shop-*", "runs", "*"))
		require.NoError(t, err)
		assert.Len(t, runs, 2, "the folder of the new run and its lock")
		if kind == ContainerRuntime {
			found, err := dockertest.Start(t).API.ContainerList(t.Context(), moby.ContainerListOptions{
				All: true, Filters: make(moby.Filters).Add("label", appLabel+"="+appID("shop", path)),
			})
			require.NoError(t, err)
			assert.Len(t, found.Items, 1)
		}
	}, ContainerRuntime, ProcessRuntime)
}

// A terminal sends these to the program; everything ends in order, and the program well.
func TestInterruptedHost(t *testing.T) {
	t.Parallel()
	needs(t, "redis-server")
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			home := t.TempDir()
			app, redisAddr, apiAddr := startKillable(t, ProcessRuntime, home, t.TempDir())
			require.NoError(t, app.Process.Signal(signal))
			require.NoError(t, app.Wait())
			closed(t, redisAddr, apiAddr)
			nothingLeft(t, home)
		})
	}
}

// The server of an app that was killed still has its data, until the app is started again.
func TestDataOfAKilledHost(t *testing.T) {
	t.Parallel()
	needs(t, "redis-server")
	home, path := t.TempDir(), t.TempDir()
	app, redisAddr, _ := startKillable(t, ProcessRuntime, home, path)
	killWithUnsaved(t, app, home, path, redisAddr)

	// Another app does not write over it.
	other := builder(t, WithRuntime(ProcessRuntime), WithHome(home))
	volume := VolumeName(appID("shop", path) + "-cache-data")
	other.AddRedis("other").WithDataVolume(volume)
	_, err := other.Start(t.Context())
	require.ErrorIs(t, err, errInUse)

	// Nor does a start that is cancelled keep it from saving, before or while it is asked to end.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := builder(t, WithRuntime(ProcessRuntime), WithHome(home), WithPath(path), WithOutput(listener(func(text string) {
		if strings.Contains(text, "clearing away") {
			cancel()
		}
	})))
	r := b.AddRedis("cache").WithDataVolume()
	for _, ctx := range []context.Context{ended(), ctx} {
		_, err = b.Start(ctx)
		require.ErrorIs(t, err, context.Canceled)
	}
	runningApp(t, b)
	assert.Equal(t, "unsaved", connect(t, &r.Connection).Get(t.Context(), "key").Val())
}

// listener is a writer that hears what is written.
type listener func(text string)

func (l listener) Write(p []byte) (int, error) {
	l(string(p))
	return len(p), nil
}

// Whoever stops because a context has ended has only that at hand.
func TestStopWithAContextThatHasEnded(t *testing.T) {
	t.Parallel()
	needs(t, "redis-server")
	b := builder(t, WithRuntime(ProcessRuntime))
	r := b.AddRedis("cache").WithDataVolume()
	a, err := b.Start(t.Context())
	require.NoError(t, err)
	require.NoError(t, connect(t, &r.Connection).Set(t.Context(), "key", "unsaved", 0).Err())
	require.NoError(t, a.Stop(ended()))
	runningApp(t, b)
	assert.Equal(t, "unsaved", connect(t, &r.Connection).Get(t.Context(), "key").Val())
}

// redis-server would find no configuration there, and start without any.
func TestHomeThatLooksLikeAPattern(t *testing.T) {
	t.Parallel()
	needs(t, "redis-server")
	home := filepath.Join(t.TempDir(), "a[1]")
	b := builder(t, WithRuntime(ProcessRuntime), WithHome(home))
	b.AddRedis("cache")
	_, err := b.Start(t.Context())
	require.ErrorContains(t, err, "hosting: redis-server cannot run in "+home)
	require.ErrorContains(t, err, "as it has one of *, ? and [ in it; set REDISBINDING_HOSTING_HOME to another folder")
}

func TestTwoRunsShareWhatPersists(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		home, path := t.TempDir(), t.TempDir()
		apps, redises := make([]*App, 3), make([]*Redis, 3)
		var starts sync.WaitGroup
		for i := range apps {
			b := builder(t, WithRuntime(kind), WithHome(home), WithPath(path))
			redises[i] = b.AddRedis("cache").WithLifetime(PersistentLifetime).WithDataVolume()
			starts.Go(func() {
				var err error
				apps[i], err = b.Start(t.Context())
				assert.NoError(t, err)
			})
		}
		starts.Wait()
		require.False(t, t.Failed())
		shared := redises[0].ConnectionString()
		for i, a := range apps {
			assert.Equal(t, shared, redises[i].ConnectionString())
			works(t, &redises[i].Connection)
			require.NoError(t, a.Stop(t.Context()))
		}
		b := builder(t, WithRuntime(kind), WithHome(home), WithPath(path))
		b.AddRedis("other") // in a declaration without it, it ends
		runningApp(t, b)
		entries, err := filepath.Glob(filepath.Join(home, "shop-*", "persistent", "cache"))
		require.NoError(t, err)
		assert.Empty(t, entries)
	}, ContainerRuntime, ProcessRuntime)
}

// What persists in one runtime is not left when the app is started in another.
func TestRetireOfAnotherRuntime(t *testing.T) {
	t.Parallel()
	needs(t, "redis-server")
	home, path := t.TempDir(), t.TempDir()
	b := builder(t, WithRuntime(ProcessRuntime), WithHome(home), WithPath(path))
	r := b.AddRedis("cache").WithLifetime(PersistentLifetime)
	a, err := b.Start(t.Context())
	require.NoError(t, err)
	addr := r.UniversalOptions().Addrs[0]
	require.NoError(t, a.Stop(t.Context()))
	require.NoError(t, listens(addr)(t.Context()))

	other := builder(t, WithHome(home), WithPath(path))
	other.AddRedis("cache")
	runningApp(t, other)
	closed(t, addr)
}

func TestOptionalUIThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		log := &events{}
		b := builder(t, WithRuntime(kind), WithLogger(log.logger()))
		var ui *UI
		r := b.AddRedis("cache").WithRedisCommander(func(u *UI) { ui = u.WithImage("localhost:1/nothing").WithOptional() })
		program(t, b, "api", "http").WaitFor(ui)
		runningApp(t, b)
		works(t, &r.Connection)
		assert.Contains(t, log.list(), "rediscommander: omitted")
		assert.Contains(t, log.list(), "api: running", "nobody waits for it")
		assert.Empty(t, ui.URL())
	}, ContainerRuntime)
}

func TestPortTakenEverywhere(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		home := t.TempDir()
		b := builder(t, WithRuntime(kind), WithHome(home))
		other := b.AddRedis("other")
		b.AddRedis("cache").WithHostPort(listener.Addr().(*net.TCPAddr).Port)
		_, err = b.Start(t.Context())
		require.ErrorIs(t, err, ErrPortTaken)
		require.ErrorContains(t, err, "hosting: cache: ")
		assert.Empty(t, other.ConnectionString())
		nothingLeft(t, home)
	}, ContainerRuntime, ProcessRuntime, EmbeddedRuntime)
}

func TestAbsentRuntimes(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "absent.sock"))
	for _, kind := range []RuntimeKind{ContainerRuntime, ProcessRuntime} {
		b := builder(t, WithRuntime(kind))
		b.AddRedis("cache")
		_, err := b.Start(t.Context())
		require.ErrorIs(t, err, ErrNoRuntime)
		assert.ErrorContains(t, err, RuntimeVariable)
	}
	b := builder(t, WithRuntime(AutomaticRuntime))
	r := b.AddRedis("cache").WithRedisInsight(func(ui *UI) { ui.WithOptional() }).WithRedisCommander(func(ui *UI) { ui.WithOptional() })
	out := &output{}
	b.options.output = out
	runningApp(t, b)
	works(t, &r.Connection)
	assert.Contains(t, out.String(), "omitted")

	b = builder(t, WithRuntime(AutomaticRuntime))
	b.AddRedis("cache").WithRedisInsight().WithRedisCommander()
	_, err := b.Start(t.Context())
	require.ErrorIs(t, err, ErrUnsupported)
	assert.ErrorContains(t, err, "hosting: redisinsight: ")
	assert.ErrorContains(t, err, "hosting: rediscommander: ")
}

func TestBindMountThatCannotBeMade(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, kind RuntimeKind) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		home := t.TempDir()
		b := builder(t, WithRuntime(kind), WithHome(home))
		b.AddRedis("cache").WithDataBindMount(filepath.Join(file, "data"))
		_, err := b.Start(t.Context())
		require.ErrorContains(t, err, filepath.Join(file, "data"))
		var path *fs.PathError
		assert.True(t, errors.As(err, &path), "%v", err)
		nothingLeft(t, home)
	}, ContainerRuntime, ProcessRuntime)
}
