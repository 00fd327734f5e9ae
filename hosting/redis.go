package hosting

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"
)

const (
	// DefaultImage is the image of a Redis, where that is a container.
	DefaultImage = redisImage + ":" + redisTag
	// DefaultPersistenceInterval is how often a Redis with persistence saves.
	DefaultPersistenceInterval = time.Minute
	// DefaultPersistenceKeys is how many keys must have changed for that.
	DefaultPersistenceKeys = 1
)

// Lifetime says when a Redis ends. See [Redis.WithLifetime].
type Lifetime int

const (
	// SessionLifetime ends a Redis with the app. It is the default.
	SessionLifetime Lifetime = iota
	// PersistentLifetime leaves a Redis running when the app ends, and the next run of
	// the app finds it again.
	PersistentLifetime
)

// Redis is one Redis server of an app. Its connection is there once the app has started.
//
// It is RedisResource of Aspire.
type Redis struct {
	named
	Connection
	secured
	builder  *Builder
	image    image
	port     int
	mount    *mount
	save     *persistence
	lifetime Lifetime
	badMount error
}

func newRedis(b *Builder, name string) *Redis {
	return &Redis{named: named{name}, builder: b, image: defaultImage}
}

// WithPassword sets the password, overriding the default, one that is generated and kept
// for the user (see the package documentation). "" is no password at all. It cannot hold a comma, since
// a connection string cannot, nor a control character, nor begin or end with white space, and has at most
// 512 bytes. One of fewer than 6 characters is not looked for in the output of commands.
func (r *Redis) WithPassword(password string) *Redis { r.password = &password; return r }

// WithHostPort sets the port on 127.0.0.1, overriding the default 0: any that is free.
func (r *Redis) WithHostPort(port int) *Redis { r.port = port; return r }

// WithImage sets the image of the container, overriding the default
// docker.io/library/redis. It may end in a tag or a digest; without one its tag is latest,
// or the one of [Redis.WithTag]. The other runtimes have no image, and say so in the log.
func (r *Redis) WithImage(name string) *Redis { r.image.setName(name); return r }

// WithTag sets the tag of the image, overriding the default 8.6.
func (r *Redis) WithTag(tag string) *Redis { r.image.setTag(tag); return r }

// WithTLS makes the server speak TLS, and nothing else, with a certificate for 127.0.0.1,
// localhost and its name. The CA that has signed it is made for it alone, kept for the user, and handed
// out with the connection: it is in the options and the metadata of this Connection, and what commands
// are given with [Project.WithReference].
func (r *Redis) WithTLS() *Redis { r.tls = true; return r }

// WithLifetime sets when it ends, overriding the default [SessionLifetime]. The
// [EmbeddedRuntime] has no other. One that persists is replaced, keeping data that
// is in a volume or a bind mount, when the app asks for another configuration, and
// is ended when the app is started in a declaration that has none of the name. One that was left by
// the container runtime is ended so only by the container runtime.
func (r *Redis) WithLifetime(l Lifetime) *Redis { r.lifetime = l; return r }

// MountOption changes a data volume or a bind mount.
type MountOption func(*mount)

// ReadOnly keeps Redis from writing its data. There is no persistence then.
func ReadOnly() MountOption { return func(m *mount) { m.readOnly = true } }

// Optional starts Redis without the volume or bind mount, and says so in the log, where the runtime has
// none, overriding the default: an error. Its data goes with it then.
func Optional() MountOption { return func(m *mount) { m.optional = true } }

// VolumeName sets the name of the volume, overriding the default, which is made of the
// app's name, a hash of its folder and the resource's name. A name that is given is
// shared by all apps that give it.
func VolumeName(name string) MountOption { return func(m *mount) { m.volume = name } }

// WithDataVolume keeps the data in a volume, which outlives Redis: one of the container
// engine's, or a folder in the user's configuration folder (see [WithHome]). It turns
// persistence on, unless it is [ReadOnly]. It replaces an earlier volume or bind mount.
func (r *Redis) WithDataVolume(opts ...MountOption) *Redis {
	r.mount, r.badMount = &mount{}, nil
	for _, opt := range opts {
		opt(r.mount)
	}
	return r
}

// WithDataBindMount keeps the data in a folder. A relative one is relative to the
// app's, and one that is not there is made. It turns persistence on, unless it is
// [ReadOnly]. It replaces an earlier volume or bind mount.
func (r *Redis) WithDataBindMount(folder string, opts ...MountOption) *Redis {
	r.WithDataVolume(opts...)
	switch {
	case folder == "":
		r.badMount = errors.New("WithDataBindMount takes a folder, got none")
	case r.mount.volume != "":
		r.badMount = errors.New("WithDataBindMount takes no VolumeName")
	}
	r.mount.volume, r.mount.folder = "", folder
	return r
}

// WithPersistence saves the data every interval in which at least keys keys have
// changed, and when Redis stops. interval is in whole seconds; 0 is a minute
// ([DefaultPersistenceInterval]). For keys, 0 is 1 ([DefaultPersistenceKeys]). It replaces what
// was set before. Data outlives Redis in a volume or bind mount only.
//
// It is WithPersistence of Aspire, and save in redis.conf.
func (r *Redis) WithPersistence(interval time.Duration, keys int) *Redis {
	r.save = &persistence{cmp.Or(interval, DefaultPersistenceInterval), cmp.Or(keys, DefaultPersistenceKeys)}
	return r
}

// WithRedisCommander adds Redis Commander, a web application that shows all Redis of the
// app, of which there is one in an app: another call, on any Redis of it, changes the same.
// configure is called with it. Its name is rediscommander.
func (r *Redis) WithRedisCommander(configure ...func(*UI)) *Redis {
	return r.withUI(commander, configure)
}

// WithRedisInsight adds Redis Insight, likewise. Its name is redisinsight. It needs the
// [ContainerRuntime].
func (r *Redis) WithRedisInsight(configure ...func(*UI)) *Redis { return r.withUI(insight, configure) }

func (r *Redis) withUI(kind uiKind, configure []func(*UI)) *Redis {
	u := r.builder.ui(kind)
	for _, f := range configure {
		f(u)
	}
	return r
}

func (r *Redis) resource() resource { return r }
func (r *Redis) kind() string       { return "redis" }

var validVolume = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func (r *Redis) dependencies() (addressed, healthy []Resource) { return nil, nil }

func (r *Redis) check() []error {
	errs := append(r.checkPassword(), r.image.check()...)
	if err := checkPortNumber("WithHostPort", r.port); err != nil {
		errs = append(errs, err)
	}
	if r.badMount != nil {
		errs = append(errs, r.badMount)
	}
	if r.mount != nil && r.mount.volume != "" && !validVolume.MatchString(r.mount.volume) {
		errs = append(errs, fmt.Errorf("VolumeName takes letters, digits, '_', '.' and '-', first a letter or digit, got %q", r.mount.volume))
	}
	if r.lifetime != SessionLifetime && r.lifetime != PersistentLifetime {
		errs = append(errs, fmt.Errorf("WithLifetime takes SessionLifetime or PersistentLifetime, got %d", r.lifetime))
	}
	if r.save == nil {
		return errs
	}
	if r.save.interval < time.Second || r.save.interval%time.Second != 0 {
		errs = append(errs, fmt.Errorf("WithPersistence takes an interval of whole seconds, got %v", r.save.interval))
	}
	if r.save.keys < 1 {
		errs = append(errs, fmt.Errorf("WithPersistence takes 1 or more keys, got %d", r.save.keys))
	}
	if r.mount != nil && r.mount.readOnly {
		errs = append(errs, errors.New("WithPersistence needs data that can be written, and they are ReadOnly"))
	}
	return errs
}

// server is what to start, but for what the app has to find out first.
func (r *Redis) server(kind RuntimeKind) *server {
	s := &server{
		name:       r.name,
		image:      r.image.String(),
		port:       r.port,
		save:       r.save,
		persistent: r.lifetime == PersistentLifetime,
	}
	if r.omitsMount(kind) {
		s.save = nil
	} else if r.mount != nil {
		m := *r.mount
		s.mount = &m
		if s.save == nil && !m.readOnly {
			s.save = &persistence{DefaultPersistenceInterval, DefaultPersistenceKeys}
		}
	}
	return s
}

// omitsMount tells whether it goes without its volume, and so without persistence.
func (r *Redis) omitsMount(kind RuntimeKind) bool {
	return r.mount != nil && r.mount.optional && kind == EmbeddedRuntime
}

func (r *Redis) support(e engine) error { return e.supports(r.server(e.kind())) }

func (r *Redis) prepare(_ context.Context, a *App, m *member) error {
	s := r.server(a.engine.kind())
	if r.omitsMount(a.engine.kind()) {
		a.log.Warn("hosting: omitted: data goes with the server", "resource", r.name, "runtime", string(a.engine.kind()))
	}
	if err := a.secure(&r.secured, r.name, s); err != nil {
		return err
	}
	r.image.warn(a, r.name)
	r.place(a, s.mount)
	m.servers = []*server{s}
	return nil
}

// place says where the data is.
func (r *Redis) place(a *App, m *mount) {
	switch {
	case m == nil:
	case m.folder == "":
		m.volume = cmp.Or(m.volume, a.run.volumeName(r.name))
	default:
		m.folder = a.resolve(m.folder)
	}
}

func (r *Redis) start(ctx context.Context, a *App, m *member) error {
	instances, err := a.engine.start(ctx, m.servers, m.progress)
	if err != nil {
		return err
	}
	m.instances = instances
	s := m.servers[0]
	m.lasts = s.persistent
	m.connected(&r.Connection, connectionSpec{
		name:     r.name,
		addrs:    []string{instances[0].address()},
		password: s.password,
		tls:      s.tls,
	})
	return nil
}
