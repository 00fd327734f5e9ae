package hosting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Builder is an app that is being declared: the Redis it needs, and the commands that
// use it. Make it with [NewBuilder], add resources, then [Builder.Run] or [Builder.Start].
// Its methods, and those of its resources that begin with With or Wait, are not for several
// goroutines at a time. What is declared wrongly is reported by Run and Start, all at once.
//
// It is the counterpart of IDistributedApplicationBuilder in .NET Aspire.
type Builder struct {
	name      string
	options   options
	resources []resource
	started   atomic.Bool
}

// Format writes the name, whatever the verb: fmt would show the passwords of the declaration.
func (b *Builder) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, b.name) }

// NewBuilder returns an app without resources. The name and those of the resources consist
// of letters, digits and hyphens, begin with a letter, and have at most 64 characters.
func NewBuilder(name string, opts ...Option) *Builder {
	b := &Builder{name: name, options: options{
		startTimeout: DefaultStartTimeout,
		stopTimeout:  DefaultStopTimeout,
	}}
	for _, opt := range opts {
		opt(&b.options)
	}
	if b.options.logger == nil {
		b.options.logger = slog.New(slog.DiscardHandler)
	}
	return b
}

// Resource is something that an app is made of: a *[Redis], *[Cluster], *[Sentinel],
// *[ExistingRedis], *[Project] or *[UI].
type Resource interface {
	// Name is the one it was added with.
	Name() string
	// resource keeps others from implementing it.
	resource() resource
}

// resource is what the app needs of a Resource.
type resource interface {
	Resource
	kind() string
	// check returns what is wrong in the declaration.
	check() []error
	// dependencies are the resources that have to be there first: to have an address,
	// or to be healthy.
	dependencies() (addressed, healthy []Resource)
	// support returns what the engine cannot do. It is asked before anything starts.
	support(e engine) error
	// prepare does what needs no other resource.
	prepare(ctx context.Context, a *App, m *member) error
	// start starts it, and returns when it has its address: m.instances, m.view and, where
	// there is one, m.health are set.
	start(ctx context.Context, a *App, m *member) error
}

// ResourceError is an error of one resource of an app.
type ResourceError struct {
	Resource string // its name
	Err      error
}

func (e *ResourceError) Error() string { return "hosting: " + e.Resource + ": " + e.Err.Error() }

func (e *ResourceError) Unwrap() error { return e.Err }

// named is the part of a resource that all have.
type named struct{ name string }

// Name returns the name of the resource.
func (n named) Name() string { return n.name }

// Format writes the name, whatever the verb: fmt would show the passwords of the declaration.
func (n named) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, n.name) }

func add[T resource](b *Builder, r T) T {
	b.resources = append(b.resources, r)
	return r
}

// AddRedis adds a Redis of one server. Without further calls it is a Redis
// [DefaultImage] with a generated password on a random port, which keeps nothing.
//
// It is AddRedis of Aspire; the port is set by [Redis.WithHostPort], the password by
// [Redis.WithPassword].
func (b *Builder) AddRedis(name string) *Redis {
	return add(b, newRedis(b, name))
}

// AddCluster adds a Redis Cluster of three primaries, each on a random port.
func (b *Builder) AddCluster(name string) *Cluster {
	return add(b, newCluster(name))
}

// AddSentinel adds a primary with a replica and three sentinels, each on a random port.
func (b *Builder) AddSentinel(name string) *Sentinel {
	return add(b, newSentinel(name))
}

// AddConnectionString adds a Redis that exists already. How to reach it is in the
// environment variable ConnectionStrings__{name}, as for cache.Open: a connection string
// of StackExchange.Redis such as "localhost:6379,password=...". It is neither started nor
// stopped. Names are compared without regard to case.
//
// It is AddConnectionString of Aspire.
func (b *Builder) AddConnectionString(name string) *ExistingRedis {
	return add(b, &ExistingRedis{named: named{name}})
}

// AddProject adds a Go program: folder has its main package. It is built, with the go
// command, and started in the app's folder. A relative folder is relative to that.
//
// It is AddProject of Aspire.
func (b *Builder) AddProject(name, folder string) *Project {
	return add(b, &Project{named: named{name}, folder: folder})
}

// AddCommand adds any program: a path, or a name to look for on PATH, and its arguments.
// Other users of the machine can read these. It is started in the app's folder.
//
// It is AddExecutable of Aspire.
func (b *Builder) AddCommand(name, program string, args ...string) *Project {
	return add(b, &Project{named: named{name}, program: program, args: args})
}

// ui returns the user interface of that kind, of which an app has one.
func (b *Builder) ui(kind uiKind) *UI {
	for _, r := range b.resources {
		if u, ok := r.(*UI); ok && u.ui == kind {
			return u
		}
	}
	return add(b, newUI(b, kind))
}

// redises are the resources that user interfaces show.
func (b *Builder) redises() []*Redis {
	var all []*Redis
	for _, r := range b.resources {
		if redis, ok := r.(*Redis); ok {
			all = append(all, redis)
		}
	}
	return all
}

// Run starts all resources, each after those it needs, shows them on standard output
// ([WithOutput]), and blocks until ctx ends, or until SIGINT (Ctrl-C), SIGTERM or SIGHUP (the terminal is
// closed), which it handles as long as it runs. Then it stops them in
// reverse order and gracefully, so that data is saved, and returns nil. A resource that
// ends by itself meanwhile is reported, and the others go on. When one cannot be started,
// all are stopped, and the error is returned. A second Ctrl-C ends the program at once; what it
// leaves behind, the next run clears away.
func (b *Builder) Run(ctx context.Context) error {
	// SIGHUP is the end of the terminal. SIGPIPE would end the program when nobody reads its
	// output any more, before it has stopped anything.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer release()
	output := b.options.output
	if output == nil {
		output = os.Stdout
	}
	// From a moment after the first signal on, another one ends the program. Not at once: some
	// send the first one twice.
	defer context.AfterFunc(ctx, func() { time.AfterFunc(secondSignal, release) })()

	a, err := b.start(ctx, output)
	if err != nil {
		if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
			return nil // somebody has thought better of it
		}
		return err
	}
	<-ctx.Done()
	a.say("stopping; Ctrl-C again ends at once, and the next run clears away what is left")
	return a.Stop(context.Background())
}

const secondSignal = 500 * time.Millisecond

// Start starts all resources as [Builder.Run] does, and returns once each is healthy, or
// runs where it has no health check; an [ExistingRedis] may fail its check unless a resource
// waits for it. The caller must call [App.Stop]. When a resource cannot be started, those that
// were are stopped again. Errors are *[ResourceError] where they are about one, of a declaration
// several, joined; they wrap [ErrNoRuntime], [ErrUnsupported], [ErrPortTaken], or ctx's error. Only one
// App of a Builder may be there at a time.
func (b *Builder) Start(ctx context.Context) (*App, error) {
	return b.start(ctx, b.options.output)
}

func (b *Builder) start(ctx context.Context, output io.Writer) (*App, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	if !b.started.CompareAndSwap(false, true) {
		return nil, errors.New("hosting: the app has been started already; stop it first")
	}
	return startApp(ctx, b, output)
}

var validName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// check returns all that is wrong in what was declared.
func (b *Builder) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("hosting: "+format, args...)) }

	if !validName.MatchString(b.name) {
		fail("the name of the app takes letters, digits and hyphens, first a letter, at most 64, got %q", b.name)
	}
	if b.options.startTimeout <= 0 {
		fail("WithStartTimeout takes a positive duration, got %v", b.options.startTimeout)
	}
	if b.options.stopTimeout <= 0 {
		fail("WithStopTimeout takes a positive duration, got %v", b.options.stopTimeout)
	}
	if len(b.resources) == 0 {
		fail("the app has no resources: add one, for instance with AddRedis")
	}
	seen, uis, ports := map[string]bool{}, map[string]bool{}, map[int]string{}
	for _, r := range b.resources {
		name := strings.ToLower(r.Name())
		switch {
		case !validName.MatchString(r.Name()):
			fail("the name of a %s takes letters, digits and hyphens, first a letter, at most 64, got %q", r.kind(), r.Name())
		case isUI(r) && seen[name], uis[name]:
			fail("the name %q is that of a user interface: give another to the other resource", r.Name())
		case seen[name]:
			fail("the name %q is given twice; case does not make a difference", r.Name())
		}
		seen[name] = true
		uis[name] = uis[name] || isUI(r)
		if port := hostPort(r); port != 0 {
			if other := ports[port]; other != "" {
				fail("%s and %s both ask for host port %d", other, r.Name(), port)
			}
			ports[port] = r.Name()
		}
		for _, err := range r.check() {
			errs = append(errs, &ResourceError{r.Name(), err})
		}
		addressed, healthy := r.dependencies()
		for _, other := range slices.Concat(addressed, healthy) {
			if !slices.Contains(b.resources, other.resource()) {
				errs = append(errs, &ResourceError{r.Name(), fmt.Errorf("it needs %q, which is not of this app", other.Name())})
			}
		}
	}
	if circle := b.circle(); circle != nil {
		fail("these wait for each other: %s", strings.Join(circle, " -> "))
	}
	return errors.Join(errs...)
}

func isUI(r resource) bool {
	_, ok := r.(*UI)
	return ok
}

// isNil tells whether there is no resource in an interface.
func isNil(r Resource) bool { return r == nil || reflect.ValueOf(r).IsNil() }

// hostPort is the port that a resource asks for, or 0.
func hostPort(r resource) int {
	switch r := r.(type) {
	case *Redis:
		return r.port
	case *UI:
		return r.port
	case *Project:
		if r.endpoint != nil {
			return r.endpoint.port
		}
	}
	return 0
}

// circle returns the names of resources that need each other, if there are any.
func (b *Builder) circle() []string {
	const busy, done = 1, 2
	marks := map[resource]int{}
	var visit func(r resource) []string
	visit = func(r resource) []string {
		switch marks[r] {
		case busy:
			return []string{r.Name()}
		case done:
			return nil
		}
		marks[r] = busy
		addressed, healthy := r.dependencies()
		for _, other := range slices.Concat(addressed, healthy) {
			if names := visit(other.resource()); names != nil {
				if len(names) == 1 || names[0] != names[len(names)-1] {
					names = append([]string{r.Name()}, names...)
				}
				return names
			}
		}
		marks[r] = done
		return nil
	}
	for _, r := range b.resources {
		if names := visit(r); names != nil {
			return names
		}
	}
	return nil
}

// path is the app's folder.
func (b *Builder) path() (string, error) {
	if b.options.path != "" {
		return filepath.Abs(b.options.path)
	}
	working, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for folder := working; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return working, nil
		}
	}
}
