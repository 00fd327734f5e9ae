package hosting

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// prepared is what an app would start for a resource, with the engine of containers, which is
// not there.
func prepared(t *testing.T, b *Builder, r resource) *server {
	t.Helper()
	require.NoError(t, b.check())
	home, err := openHome(t.TempDir(), b.name, "/src/shop")
	require.NoError(t, err)
	run, err := home.startRun()
	require.NoError(t, err)
	t.Cleanup(run.end)
	a := &App{builder: b, log: b.options.logger, path: "/src/shop", run: run, engine: noContainers{}, members: map[resource]*member{}}
	m := newMember(a, r)
	require.NoError(t, r.prepare(t.Context(), a, m))
	return m.servers[0]
}

// noContainers is an engine that is only asked for its kind.
type noContainers struct{ engine }

func (noContainers) kind() RuntimeKind { return ContainerRuntime }

// at is the place of a server in a container.
var at = place{bind: "0.0.0.0", port: redisPort, folder: "/data", ca: "/ca.pem", cert: "/cert.pem", key: "/key.pem"}

func TestRedisModel(t *testing.T) {
	t.Parallel()
	const base = "bind \"0.0.0.0\"\nprotected-mode \"no\"\ndaemonize \"no\"\ndir \"/data\"\nport \"6379\"\n"
	tests := map[string]struct {
		declare func(r *Redis)
		image   string
		port    int
		config  string // behind base
		mount   *mount
		lasts   bool
	}{
		"defaults but for the password": {
			declare: func(r *Redis) { r.WithPassword("secret") },
			config:  "requirepass \"secret\"\nsave \"\"\nmasterauth \"secret\"\n",
		},
		"no password": {
			declare: func(r *Redis) { r.WithPassword("secret").WithPassword("") },
			config:  "save \"\"\n",
		},
		"a password that has to be quoted": {
			declare: func(r *Redis) { r.WithPassword(`a"b\c dé`) },
			config:  "requirepass \"a\\\"b\\\\c d\\xc3\\xa9\"\nsave \"\"\nmasterauth \"a\\\"b\\\\c d\\xc3\\xa9\"\n",
		},
		"host port": {
			declare: func(r *Redis) { r.WithPassword("").WithHostPort(7405) },
			port:    7405,
			config:  "save \"\"\n",
		},
		"random host port": {
			declare: func(r *Redis) { r.WithPassword("").WithHostPort(7405).WithHostPort(0) },
			config:  "save \"\"\n",
		},
		"tag": {
			declare: func(r *Redis) { r.WithPassword("").WithTag("7.2-alpine") },
			image:   "docker.io/library/redis:7.2-alpine",
			config:  "save \"\"\n",
		},
		"image": {
			declare: func(r *Redis) { r.WithPassword("").WithImage("docker.io/valkey/valkey") },
			image:   "docker.io/valkey/valkey:latest",
			config:  "save \"\"\n",
		},
		"image with its tag": {
			declare: func(r *Redis) { r.WithPassword("").WithImage("localhost:5000/valkey:9") },
			image:   "localhost:5000/valkey:9",
			config:  "save \"\"\n",
		},
		"image with its digest": {
			declare: func(r *Redis) {
				r.WithPassword("").WithImage("redis@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
			},
			image:  "redis@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			config: "save \"\"\n",
		},
		"image and tag": {
			declare: func(r *Redis) { r.WithPassword("").WithImage("valkey:9").WithTag("8") },
			image:   "valkey:8",
			config:  "save \"\"\n",
		},
		"volume": {
			declare: func(r *Redis) { r.WithPassword("").WithDataVolume() },
			config:  "save \"60\" \"1\"\n",
			mount:   &mount{volume: "shop-3cb8c763ca-cache-data"},
		},
		"named volume": {
			declare: func(r *Redis) { r.WithPassword("").WithDataVolume(VolumeName("mine")) },
			config:  "save \"60\" \"1\"\n",
			mount:   &mount{volume: "mine"},
		},
		"read-only volume": {
			declare: func(r *Redis) { r.WithPassword("").WithDataVolume(ReadOnly()) },
			config:  "save \"\"\n",
			mount:   &mount{volume: "shop-3cb8c763ca-cache-data", readOnly: true},
		},
		"bind mount": {
			declare: func(r *Redis) { r.WithPassword("").WithDataBindMount("/var/data") },
			config:  "save \"60\" \"1\"\n",
			mount:   &mount{folder: "/var/data"},
		},
		"relative bind mount": {
			declare: func(r *Redis) { r.WithPassword("").WithDataBindMount("./data/redis") },
			config:  "save \"60\" \"1\"\n",
			mount:   &mount{folder: "/src/shop/data/redis"},
		},
		"read-only bind mount": {
			declare: func(r *Redis) { r.WithPassword("").WithDataBindMount("/var/data", ReadOnly()) },
			config:  "save \"\"\n",
			mount:   &mount{folder: "/var/data", readOnly: true},
		},
		"the last mount counts": {
			declare: func(r *Redis) { r.WithPassword("").WithDataBindMount("/var/data", ReadOnly()).WithDataVolume() },
			config:  "save \"60\" \"1\"\n",
			mount:   &mount{volume: "shop-3cb8c763ca-cache-data"},
		},
		"persistence": {
			declare: func(r *Redis) { r.WithPassword("").WithPersistence(5*time.Minute, 100) },
			config:  "save \"300\" \"100\"\n",
		},
		"persistence by default": {
			declare: func(r *Redis) { r.WithPassword("").WithPersistence(0, 0) },
			config:  "save \"60\" \"1\"\n",
		},
		"persistence is replaced": {
			declare: func(r *Redis) {
				r.WithPassword("").WithPersistence(time.Hour, 5).WithPersistence(5*time.Minute, 100).WithDataVolume()
			},
			config: "save \"300\" \"100\"\n",
			mount:  &mount{volume: "shop-3cb8c763ca-cache-data"},
		},
		"lifetime": {
			declare: func(r *Redis) { r.WithPassword("").WithLifetime(PersistentLifetime) },
			config:  "save \"\"\n",
			lasts:   true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := NewBuilder("shop")
			r := b.AddRedis("cache")
			test.declare(r)
			s := prepared(t, b, r)

			if test.image == "" {
				test.image = "docker.io/library/redis:8.6"
			}
			assert.Equal(t, "cache", s.name)
			assert.Equal(t, test.image, s.image)
			assert.Equal(t, test.port, s.port)
			assert.Equal(t, base+test.config, s.config(at))
			assert.Equal(t, test.mount, s.mount)
			assert.Equal(t, test.lasts, s.persistent)
		})
	}
}

func TestTLSModel(t *testing.T) {
	t.Parallel()
	b := NewBuilder("shop")
	r := b.AddRedis("cache").WithPassword("").WithTLS()
	s := prepared(t, b, r)

	require.NotNil(t, s.tls)
	assert.Contains(t, s.config(at), "port \"0\"\ntls-port \"6379\"\ntls-ca-cert-file \"/ca.pem\"\ntls-cert-file \"/cert.pem\"\n"+
		"tls-key-file \"/key.pem\"\ntls-auth-clients \"no\"\n")
	info, err := os.Stat(s.tls.keyFile())
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	again, err := keptCertificates(filepath.Dir(s.tls.keyFile()), "cache")
	require.NoError(t, err)
	assert.Equal(t, s.tls, again, "certificates are kept")

	require.NoError(t, os.WriteFile(s.tls.keyFile(), []byte("torn"), 0o600))
	again, err = keptCertificates(filepath.Dir(s.tls.keyFile()), "cache")
	require.NoError(t, err)
	assert.NotEqual(t, s.tls.ca, again.ca, "and made anew when they are no good")
	assert.True(t, again.good())
}

func TestUIModel(t *testing.T) {
	t.Parallel()
	tls := &certificates{ca: []byte("PEM")}
	targets := []uiTarget{
		{name: "cache", host: "cache", port: 6379, password: "secret"},
		{name: "store", host: "store", port: 6379},
	}
	tests := map[string]struct {
		kind    uiKind
		targets []uiTarget
		image   string
		port    int
		env     []string
	}{
		"commander": {
			kind: commander, targets: targets,
			image: "docker.io/rediscommander/redis-commander:0.9.0", port: 8081,
			env: []string{"REDIS_HOSTS=cache:cache:6379:0:secret,store:store:6379:0"},
		},
		"commander with TLS": {
			kind: commander, targets: []uiTarget{{name: "cache", host: "cache", port: 6379, password: "secret", tls: tls}},
			image: "docker.io/rediscommander/redis-commander:0.9.0", port: 8081,
			env: []string{`NODE_CONFIG={"connections":[{"label":"cache","host":"cache","port":6379,"dbIndex":0,"password":"secret",` +
				`"tls":{"ca":"PEM","servername":"cache"}}]}`},
		},
		"insight": {
			kind: insight, targets: append(targets, uiTarget{name: "safe", host: "safe", port: 6379, password: "secret", tls: tls}),
			image: "docker.io/redis/redisinsight:3.2", port: 5540,
			env: []string{
				"RI_REDIS_HOST1=cache", "RI_REDIS_PORT1=6379", "RI_REDIS_ALIAS1=cache", "RI_REDIS_PASSWORD1=secret",
				"RI_REDIS_HOST2=store", "RI_REDIS_PORT2=6379", "RI_REDIS_ALIAS2=store",
				"RI_REDIS_HOST3=safe", "RI_REDIS_PORT3=6379", "RI_REDIS_ALIAS3=safe", "RI_REDIS_PASSWORD3=secret",
				"RI_REDIS_TLS3=true", "RI_REDIS_TLS_CA_BASE643=UEVN",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := newUI(NewBuilder("shop"), test.kind).server()
			u.targets = test.targets
			assert.Equal(t, test.image, u.image)
			assert.Equal(t, test.port, u.innerPort())
			assert.Equal(t, test.env, u.containerEnv())
		})
	}
}

func TestOneUIOfEachKindPerApp(t *testing.T) {
	t.Parallel()
	b := NewBuilder("shop")
	var commanders, insights []*UI
	for _, name := range []string{"cache", "store"} {
		b.AddRedis(name).
			WithRedisCommander(func(u *UI) { commanders = append(commanders, u) }).
			WithRedisInsight(func(u *UI) { insights = append(insights, u.WithHostPort(5540+len(insights))) })
	}
	require.NoError(t, b.check())
	assert.Same(t, commanders[0], commanders[1])
	assert.Same(t, insights[0], insights[1])
	assert.Equal(t, "rediscommander", commanders[0].Name())
	assert.Equal(t, "redisinsight", insights[0].Name())
	assert.Equal(t, 5541, insights[0].server().port, "the second call has set it again")
	assert.Zero(t, commanders[0].server().port)
	assert.Len(t, b.resources, 4)

	addressed, _ := commanders[0].dependencies()
	assert.Len(t, addressed, 2, "it shows them all")
}

func TestWrongDeclarations(t *testing.T) {
	tests := map[string]struct {
		declare func(b *Builder)
		message string
	}{
		"nothing":     {func(*Builder) {}, "hosting: the app has no resources: add one, for instance with AddRedis"},
		"name":        {func(b *Builder) { b.AddRedis("my cache") }, `hosting: the name of a redis takes letters, digits and hyphens, first a letter, at most 64, got "my cache"`},
		"no name":     {func(b *Builder) { b.AddRedis("") }, `hosting: the name of a redis takes letters, digits and hyphens, first a letter, at most 64, got ""`},
		"twice":       {func(b *Builder) { b.AddRedis("cache"); b.AddCluster("Cache") }, `hosting: the name "Cache" is given twice; case does not make a difference`},
		"a UI's name": {func(b *Builder) { b.AddRedis("rediscommander").WithRedisCommander() }, `hosting: the name "rediscommander" is that of a user interface: give another to the other resource`},
		"one host port": {
			func(b *Builder) {
				b.AddRedis("cache").WithHostPort(7405)
				b.AddCommand("api", "x").WithHTTPEndpoint(7405, "PORT")
			},
			"hosting: cache and api both ask for host port 7405",
		},
		"nil": {
			func(b *Builder) { b.AddCommand("api", "x").WaitFor(nil).WithReference((*Redis)(nil)) },
			"hosting: api: WaitFor takes a resource of the app, got nil\nhosting: api: WithReference takes a resource of the app, got nil",
		},
		"value of a variable": {
			func(b *Builder) { b.AddCommand("api", "x").WithEnv("A", "\x00") },
			"hosting: api: WithEnv takes a value without NUL for A",
		},
		"no connection string of a name with a hyphen": {
			func(b *Builder) { b.AddConnectionString("my-cache") },
			"hosting: my-cache: there is no connection string: set the environment variable ConnectionStrings__my_cache, for instance to localhost:6379",
		},
		"password": {
			func(b *Builder) { b.AddRedis("cache").WithPassword("hush,hush") },
			"hosting: cache: WithPassword takes a password without a comma, which a connection string cannot hold",
		},
		"password with a blank": {
			func(b *Builder) { b.AddSentinel("cache").WithPassword(" hush") },
			"hosting: cache: WithPassword takes a password without white space around it, which a connection string cannot hold",
		},
		"port": {
			func(b *Builder) { b.AddRedis("cache").WithHostPort(65536) },
			"hosting: cache: WithHostPort takes a port from 1 to 65535, or 0 for any that is free, got 65536",
		},
		"port of a UI": {
			func(b *Builder) { b.AddRedis("cache").WithRedisInsight(func(u *UI) { u.WithHostPort(-1) }) },
			"hosting: redisinsight: WithHostPort takes a port from 1 to 65535, or 0 for any that is free, got -1",
		},
		"image": {
			func(b *Builder) { b.AddRedis("cache").WithImage("") },
			`hosting: cache: WithImage takes the name of an image such as docker.io/library/redis, got ""`,
		},
		"tag": {
			func(b *Builder) { b.AddCluster("cache").WithTag("") },
			`hosting: cache: WithTag takes a tag such as 8.6, got ""`,
		},
		"bind mount": {func(b *Builder) { b.AddRedis("cache").WithDataBindMount("") }, "hosting: cache: WithDataBindMount takes a folder, got none"},
		"volume": {
			func(b *Builder) { b.AddRedis("cache").WithDataVolume(VolumeName("../x")) },
			`hosting: cache: VolumeName takes letters, digits, '_', '.' and '-', first a letter or digit, got "../x"`,
		},
		"bind mount with a name": {
			func(b *Builder) { b.AddRedis("cache").WithDataBindMount("/x", VolumeName("x")) },
			"hosting: cache: WithDataBindMount takes no VolumeName",
		},
		"interval": {
			func(b *Builder) { b.AddRedis("cache").WithPersistence(1500*time.Millisecond, 1) },
			"hosting: cache: WithPersistence takes an interval of whole seconds, got 1.5s",
		},
		"keys": {
			func(b *Builder) { b.AddRedis("cache").WithPersistence(time.Second, -1) },
			"hosting: cache: WithPersistence takes 1 or more keys, got -1",
		},
		"persistence of what is read only": {
			func(b *Builder) { b.AddRedis("cache").WithDataVolume(ReadOnly()).WithPersistence(0, 0) },
			"hosting: cache: WithPersistence needs data that can be written, and they are ReadOnly",
		},
		"lifetime":   {func(b *Builder) { b.AddRedis("cache").WithLifetime(7) }, "hosting: cache: WithLifetime takes SessionLifetime or PersistentLifetime, got 7"},
		"replicas":   {func(b *Builder) { b.AddCluster("cache").WithReplicas(-1) }, "hosting: cache: WithReplicas takes 0 to 5, got -1"},
		"no program": {func(b *Builder) { b.AddCommand("api", "") }, "hosting: api: AddProject takes the folder of a Go program, AddCommand a program, got neither"},
		"pattern":    {func(b *Builder) { b.AddProject("api", "./...") }, `hosting: api: AddProject takes one folder, got the pattern "./..."`},
		"variable": {
			func(b *Builder) { b.AddCommand("api", "x").WithEnv("A=B", "C") },
			`hosting: api: WithEnv takes the name of an environment variable, got "A=B"`,
		},
		"endpoint": {
			func(b *Builder) { b.AddCommand("api", "x").WithHTTPEndpoint(0, "") },
			`hosting: api: WithHTTPEndpoint takes the name of an environment variable such as PORT, got ""`,
		},
		"health check": {
			func(b *Builder) { b.AddCommand("api", "x").WithHTTPEndpoint(0, "PORT").WithHTTPHealthCheck("health") },
			`hosting: api: WithHTTPHealthCheck takes a path such as /health, got "health"`,
		},
		"health check of what has no endpoint": {
			func(b *Builder) { b.AddCommand("api", "x").WithHTTPHealthCheck("/health") },
			"hosting: api: WithHTTPHealthCheck comes after WithHTTPEndpoint",
		},
		"another app's": {
			func(b *Builder) { b.AddCommand("api", "x").WaitFor(NewBuilder("other").AddRedis("cache")) },
			`hosting: api: it needs "cache", which is not of this app`,
		},
		"no connection string": {
			func(b *Builder) { b.AddConnectionString("absent") },
			"hosting: absent: there is no connection string: set the environment variable ConnectionStrings__absent, for instance to localhost:6379",
		},
		"circle": {
			func(b *Builder) {
				first, second := b.AddCommand("first", "x"), b.AddCommand("second", "x")
				third := b.AddCommand("third", "x").WaitFor(first)
				first.WaitFor(second.WaitFor(third))
			},
			"hosting: these wait for each other: first -> second -> third -> first",
		},
		"all at once": {
			func(b *Builder) { b.AddRedis("cache").WithHostPort(-1).WithTag(""); b.AddCommand("api", "") },
			"hosting: cache: WithTag takes a tag such as 8.6, got \"\"\n" +
				"hosting: cache: WithHostPort takes a port from 1 to 65535, or 0 for any that is free, got -1\n" +
				"hosting: api: AddProject takes the folder of a Go program, AddCommand a program, got neither",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := builder(t)
			test.declare(b)
			_, err := b.Start(t.Context())
			require.EqualError(t, err, test.message)
		})
	}
	t.Run("options", func(t *testing.T) {
		b := NewBuilder("my shop", WithStartTimeout(0), WithStopTimeout(-1))
		b.AddRedis("cache")
		_, err := b.Start(t.Context())
		require.EqualError(t, err, `hosting: the name of the app takes letters, digits and hyphens, first a letter, at most 64, got "my shop"`+
			"\nhosting: WithStartTimeout takes a positive duration, got 0s\nhosting: WithStopTimeout takes a positive duration, got -1ns")
	})
	t.Run("runtime", func(t *testing.T) {
		b := builder(t, WithRuntime("docker"))
		b.AddRedis("cache")
		_, err := b.Start(t.Context())
		require.EqualError(t, err, `hosting: WithRuntime takes "automatic", "container", "process" or "embedded", got "docker"`)
	})
	t.Run("runtime of the environment", func(t *testing.T) {
		t.Setenv(RuntimeVariable, "docker")
		b := builder(t, WithRuntime(""))
		b.AddRedis("cache")
		_, err := b.Start(t.Context())
		require.EqualError(t, err, `hosting: the environment variable REDISBINDING_HOSTING_RUNTIME takes "automatic", "container", "process" or "embedded", got "docker"`)
	})
}

// A declaration may be corrected, and started again.
func TestStartAgain(t *testing.T) {
	t.Parallel()
	b := builder(t)
	r := b.AddRedis("cache").WithHostPort(-1)
	_, err := b.Start(t.Context())
	require.Error(t, err)

	r.WithHostPort(0)
	for range 2 {
		a, err := b.Start(t.Context())
		require.NoError(t, err)
		_, err = b.Start(t.Context())
		require.EqualError(t, err, "hosting: the app has been started already; stop it first")
		require.NoError(t, a.Stop(t.Context()))
		assert.Empty(t, r.ConnectionString())
		assert.Nil(t, r.UniversalOptions())
		assert.Nil(t, r.Metadata())
	}
}
