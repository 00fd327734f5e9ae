package hosting

import (
	"context"
	"net"
	"strconv"
)

// UI is a web application that shows the Redis of an app: Redis Commander
// ([Redis.WithRedisCommander]) or Redis Insight ([Redis.WithRedisInsight]). It shows those of
// [Builder.AddRedis], connected. Whoever reaches it on 127.0.0.1 can use them.
//
// They are RedisCommanderResource and RedisInsightResource of Aspire.
type UI struct {
	named
	builder  *Builder
	ui       uiKind
	image    image
	port     int
	optional bool
	address  published[string]
}

func newUI(b *Builder, kind uiKind) *UI {
	if kind == insight {
		return &UI{named: named{insightName}, builder: b, ui: kind, image: image{name: insightImage, tag: insightTag}}
	}
	return &UI{named: named{commanderName}, builder: b, ui: kind, image: image{name: commanderImage, tag: commanderTag}}
}

// WithHostPort sets the port on 127.0.0.1, overriding the default 0: any that is free.
func (u *UI) WithHostPort(port int) *UI { u.port = port; return u }

// WithImage sets the image, overriding the default docker.io/rediscommander/redis-commander
// or docker.io/redis/redisinsight. It may end in a tag or a digest. It is not used where Commander comes
// from npm, which it does without a container engine.
func (u *UI) WithImage(name string) *UI { u.image.setName(name); return u }

// WithTag sets the tag of the image, overriding the default 0.9.0 of Redis Commander, or 3.2
// of Redis Insight. From npm it is always 0.9.0.
func (u *UI) WithTag(tag string) *UI { u.image.setTag(tag); return u }

// WithOptional starts the app without it, and says so in the table and the log, where the runtime cannot
// have it, or it cannot be started: no image, no npm registry. It overrides the default: an error.
func (u *UI) WithOptional() *UI { u.optional = true; return u }

// URL returns where it is, such as http://127.0.0.1:8081/, once the app has started; ""
// before, and when it was omitted. Any number of goroutines may call it.
func (u *UI) URL() string { return urlOf(&u.address) }

func (u *UI) resource() resource { return u }

func (u *UI) kind() string {
	if u.ui == insight {
		return "redis insight"
	}
	return "redis commander"
}

func (u *UI) dependencies() (addressed, healthy []Resource) {
	for _, r := range u.builder.redises() {
		addressed = append(addressed, r)
	}
	return addressed, nil
}

func (u *UI) check() []error {
	errs := u.image.check()
	if err := checkPortNumber("WithHostPort", u.port); err != nil {
		errs = append(errs, err)
	}
	return errs
}

func (u *UI) server() *uiServer {
	return &uiServer{kind: u.ui, name: u.name, image: u.image.String(), port: u.port}
}

func (u *UI) support(e engine) error { return e.supportsUI(u.server()) }

func (u *UI) prepare(_ context.Context, a *App, _ *member) error {
	u.image.warn(a, u.name)
	return nil
}

func (u *UI) start(ctx context.Context, a *App, m *member) error {
	s := u.server()
	for _, r := range u.builder.redises() {
		target, err := r.target(a.members[r].servers[0])
		if err != nil {
			return err
		}
		s.targets = append(s.targets, target)
	}
	i, err := a.engine.startUI(ctx, s, m.progress)
	if err != nil {
		return err
	}
	m.instances = []instance{i}
	m.serves(&u.address, i.address())
	m.health = answersHTTP(u.URL())
	return nil
}

// target is a Redis as a user interface outside of any container reaches it.
func (r *Redis) target(s *server) (uiTarget, error) {
	host, port, err := net.SplitHostPort(r.spec.get().addrs[0])
	if err != nil {
		return uiTarget{}, err
	}
	n, err := strconv.Atoi(port)
	return uiTarget{name: r.name, server: s, host: host, port: n, password: s.password, tls: s.tls}, err
}
