package hosting

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// Project is a program that runs as long as the app does, with the connections that it
// references in its environment, and its output in the app's, each line with its name in
// front. Passwords of its references are replaced by *** there, if they have 6 characters or more. It is
// a process group of its own: what it starts ends with it, but for what leaves the group.
//
// It is ProjectResource and ExecutableResource of Aspire.
type Project struct {
	named
	folder  string // of a main package; "" for a command
	program string
	args    []string

	dir        string
	env        []string
	references []Reference
	waits      []Resource
	endpoint   *endpoint
	errs       []error
	address    published[string]
}

// endpoint is the port of a program that serves HTTP.
type endpoint struct {
	port     int
	variable string
	health   string // the path to ask; "": it listens
}

// Reference is what has a connection that a command can be given: a *[Redis], *[Cluster],
// *[Sentinel] or *[ExistingRedis].
type Reference interface {
	Resource
	reference() *Connection
}

// WithReference starts the program with the connection in its environment. For a resource
// of the name cache:
//
//	ConnectionStrings__cache   connection string, as cache.Open and .NET read it
//	CACHE_HOST, CACHE_PORT     of the first server
//	CACHE_PASSWORD             when there is one
//	CACHE_URI                  redis:// or rediss://, as go-redis and others read it; that of
//	                           a cluster (addr=) or of sentinels (master_name=) is go-redis's
//	CACHE_CA_FILE              with WithTLS: the CA to trust, as PEM
//	SSL_CERT_DIR               with WithTLS: where Go looks for CAs on Linux, with this one
//	                           beside the system's
//	NODE_EXTRA_CA_CERTS        with WithTLS: the same for Node
//
// A hyphen in the name is an underscore in the names with capitals. Variables of these names that
// the app itself was started with are not passed on. The program starts
// when the connection is known, which is before the Redis is healthy: see [Project.WaitFor].
func (p *Project) WithReference(r Reference) *Project {
	if isNil(r) {
		p.errs = append(p.errs, errors.New("WithReference takes a resource of the app, got nil"))
		return p
	}
	p.references = append(p.references, r)
	return p
}

// WaitFor starts the program after the resource is healthy: after a Redis answers its
// health check "{name}_check", after a command listens on its [Project.WithHTTPEndpoint], or passes its
// [Project.WithHTTPHealthCheck]. One that has none of these is healthy as soon as it was started,
// whatever becomes of it.
func (p *Project) WaitFor(r Resource) *Project {
	if isNil(r) {
		p.errs = append(p.errs, errors.New("WaitFor takes a resource of the app, got nil"))
		return p
	}
	p.waits = append(p.waits, r)
	return p
}

// WithEnv sets an environment variable, overriding the app's own and those of references.
func (p *Project) WithEnv(name, value string) *Project {
	switch {
	case name == "" || strings.ContainsAny(name, "=\x00"):
		p.errs = append(p.errs, fmt.Errorf("WithEnv takes the name of an environment variable, got %q", name))
	case strings.Contains(value, "\x00"):
		p.errs = append(p.errs, fmt.Errorf("WithEnv takes a value without NUL for %s", name))
	}
	p.env = append(p.env, name+"="+value)
	return p
}

// WithDir sets the working directory, overriding the default, the app's folder, to which
// a relative one is relative.
func (p *Project) WithDir(dir string) *Project { p.dir = dir; return p }

// WithHTTPEndpoint says that the program serves HTTP on 127.0.0.1, on the port that it
// finds in the environment variable, which wins over [Project.WithEnv]: 1 to 65535, or 0 for any that is
// free. The table of resources links to it, and the program is healthy when it listens there: see
// [Project.WithHTTPHealthCheck].
//
// It is WithHttpEndpoint of Aspire.
func (p *Project) WithHTTPEndpoint(port int, variable string) *Project {
	if p.endpoint == nil {
		p.endpoint = &endpoint{}
	}
	p.endpoint.port, p.endpoint.variable = port, variable
	return p
}

// WithHTTPHealthCheck says that the program is healthy when it answers a GET of the path, which begins
// with a slash, with a status below 400. It comes after WithHTTPEndpoint.
//
// It is WithHttpHealthCheck of Aspire.
func (p *Project) WithHTTPHealthCheck(path string) *Project {
	switch {
	case p.endpoint == nil:
		p.errs = append(p.errs, errors.New("WithHTTPHealthCheck comes after WithHTTPEndpoint"))
	case !strings.HasPrefix(path, "/"):
		p.errs = append(p.errs, fmt.Errorf("WithHTTPHealthCheck takes a path such as /health, got %q", path))
	default:
		p.endpoint.health = path
	}
	return p
}

// URL returns where the program serves HTTP, such as http://127.0.0.1:8080/, once it has
// started; "" before, and without WithHTTPEndpoint. Any number of goroutines may call it.
func (p *Project) URL() string { return urlOf(&p.address) }

func (p *Project) resource() resource { return p }

func (p *Project) kind() string {
	if p.folder != "" {
		return "project"
	}
	return "command"
}

func (p *Project) dependencies() (addressed, healthy []Resource) {
	for _, r := range p.references {
		addressed = append(addressed, r)
	}
	return addressed, p.waits
}

var validVariable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (p *Project) check() []error {
	errs := p.errs
	switch {
	case p.folder == "" && p.program == "":
		errs = append(errs, errors.New("AddProject takes the folder of a Go program, AddCommand a program, got neither"))
	case p.folder != "" && strings.HasSuffix(p.folder, "..."):
		errs = append(errs, fmt.Errorf("AddProject takes one folder, got the pattern %q", p.folder))
	}
	if p.endpoint != nil {
		if err := checkPortNumber("WithHTTPEndpoint", p.endpoint.port); err != nil {
			errs = append(errs, err)
		}
		if !validVariable.MatchString(p.endpoint.variable) {
			errs = append(errs, fmt.Errorf("WithHTTPEndpoint takes the name of an environment variable such as PORT, got %q", p.endpoint.variable))
		}
	}
	return errs
}

func (p *Project) support(engine) error { return nil }

// prepare finds or builds the program, which needs no other resource and fails most.
func (p *Project) prepare(ctx context.Context, a *App, m *member) (err error) {
	if p.folder == "" {
		program := p.program
		if strings.ContainsRune(program, filepath.Separator) || strings.ContainsRune(program, '/') {
			program = a.resolve(program)
		}
		if m.program, err = exec.LookPath(program); err != nil {
			return fmt.Errorf("AddCommand takes a path or a program on PATH: %w", err)
		}
		return nil
	}
	folder := a.resolve(p.folder)
	if info, err := os.Stat(folder); err != nil {
		return fmt.Errorf("the folder of the program: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("the folder of the program: %s is no folder", folder)
	}
	m.progress("building")
	if m.program, err = p.build(ctx, a.run, folder); err != nil {
		return err
	}
	// A package that is no program is built, too, but not written as one.
	if info, err := os.Stat(m.program); err != nil || !executable(info) {
		return fmt.Errorf("%s has no main package", folder)
	}
	return nil
}

// build builds the program into the folder of the run, with all that is temporary.
func (p *Project) build(ctx context.Context, r *run, folder string) (program string, err error) {
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("building %s needs the go command: %w", folder, err)
	}
	scratch := filepath.Join(r.dir, p.name+".build")
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return "", err
	}
	program = filepath.Join(r.dir, p.name)
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	err = runToEnd(ctx, r, command{
		name:    p.name + ".build",
		path:    goCommand,
		args:    []string{"build", "-o", program, "."},
		dir:     folder,
		env:     append(environment(), "GOTMPDIR="+scratch, "TMPDIR="+scratch),
		scratch: scratch,
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("building %s: %w", folder, err)
	}
	return program, err
}

func executable(info os.FileInfo) bool {
	return runtime.GOOS == "windows" || info.Mode()&0o111 != 0
}

func (p *Project) start(_ context.Context, a *App, m *member) error {
	env, secrets, err := p.environment(a)
	if err != nil {
		return err
	}
	c := command{name: p.name, path: m.program, args: p.args, dir: a.path, env: env}
	if p.dir != "" {
		c.dir = a.resolve(p.dir)
	}
	if p.endpoint != nil {
		port, err := pickPort(p.endpoint.port)
		if err != nil {
			return err
		}
		c.addr = localAddress(port)
		c.env = append(c.env, p.endpoint.variable+"="+strconv.Itoa(port))
	}
	c.output = newLineWriter(newRedactor(secrets...), func(line string) { a.line(p.name, line) })
	started, err := startProcess(a.run.dir, c)
	if err != nil {
		return err
	}
	m.instances = []instance{started}
	if c.addr != "" {
		m.serves(&p.address, c.addr)
		m.health = listens(c.addr)
		if p.endpoint.health != "" {
			m.health = answersHTTP("http://" + c.addr + p.endpoint.health)
		}
	}
	return nil
}

// environment is the app's own, then the references', then what was set: of two with one
// name, the last one counts.
func (p *Project) environment(a *App) (env, secrets []string, err error) {
	var authorities []byte
	foreign := map[string]bool{} // what others may have set for a resource of the same name
	for _, r := range p.references {
		for _, name := range variablesOf(r.Name()) {
			foreign[name] = true
		}
	}
	for _, r := range a.builder.resources {
		for _, name := range passwordVariables(r.Name()) {
			foreign[strings.ToUpper(name)] = true
		}
	}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); !foreign[strings.ToUpper(name)] {
			env = append(env, variable)
		}
	}
	for _, r := range p.references {
		spec := r.reference().spec.get()
		variables, err := spec.env()
		if err != nil {
			return nil, nil, err
		}
		env = append(env, variables...)
		secrets = append(secrets, spec.secrets()...)
		if spec.tls != nil {
			authorities = append(authorities, spec.tls.ca...)
		}
	}
	if len(authorities) > 0 {
		if former := os.Getenv(nodeAuthorities); former != "" {
			text, err := os.ReadFile(former)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", nodeAuthorities, err)
			}
			authorities = append(authorities, text...)
		}
		folder := filepath.Join(a.run.dir, p.name+".ca")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, nil, err
		}
		file := filepath.Join(folder, "ca.pem")
		if err := writeFile(file, authorities); err != nil {
			return nil, nil, err
		}
		env = append(env, "SSL_CERT_DIR="+folder+string(os.PathListSeparator)+certificateFolders(), nodeAuthorities+"="+file)
	}
	return append(env, p.env...), secrets, nil
}

// nodeAuthorities is the variable of Node with CAs beside the system's.
const nodeAuthorities = "NODE_EXTRA_CA_CERTS"

// certificateFolders are those of the system's CAs, as crypto/x509 has them on Linux.
func certificateFolders() string {
	if folders := os.Getenv("SSL_CERT_DIR"); folders != "" {
		return folders
	}
	return strings.Join([]string{"/etc/ssl/certs", "/etc/pki/tls/certs"}, string(os.PathListSeparator))
}
