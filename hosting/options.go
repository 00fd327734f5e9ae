package hosting

import (
	"io"
	"log/slog"
	"time"
)

// Default time-outs of an app.
const (
	// DefaultStartTimeout is how long a resource may take to pass its health check
	// once it runs. Pulling images and building programs does not count.
	DefaultStartTimeout = time.Minute
	// DefaultStopTimeout is how long a resource may take to stop before it is killed.
	DefaultStopTimeout = 10 * time.Second
)

// Option changes what [NewBuilder] makes.
type Option func(*options)

type options struct {
	runtime      RuntimeKind
	path         string
	home         string
	output       io.Writer
	logger       *slog.Logger
	startTimeout time.Duration
	stopTimeout  time.Duration
}

// WithRuntime says where the servers run, overriding the environment variable
// [RuntimeVariable] and the default [AutomaticRuntime].
func WithRuntime(kind RuntimeKind) Option { return func(o *options) { o.runtime = kind } }

// WithPath sets the app's folder, overriding the default: the nearest folder with a
// go.mod at or above the working directory, or the working directory itself. Relative
// paths are relative to it, and commands run in it. Apps with the same name in other
// folders share neither passwords nor volumes.
func WithPath(folder string) Option { return func(o *options) { o.path = folder } }

// WithHome sets the folder that keeps passwords, certificates, and the data of the
// process runtime, overriding the environment variable [HomeVariable] and the default:
// redisbinding/hosting in [os.UserConfigDir].
func WithHome(folder string) Option { return func(o *options) { o.home = folder } }

// WithOutput sets where the table of resources and the output of commands go,
// overriding the default: standard output for [Builder.Run], nothing for
// [Builder.Start].
func WithOutput(w io.Writer) Option { return func(o *options) { o.output = w } }

// WithLogger sets where the app tells what happens to its resources, overriding the
// default, nothing: omitted resources and failing health checks at level Warn, resources
// that end by themselves at Error. No record holds a password.
func WithLogger(logger *slog.Logger) Option { return func(o *options) { o.logger = logger } }

// WithStartTimeout sets how long a server may take to answer once it was started, the servers
// of a cluster, or sentinels, to agree, and a resource to pass its health check after that. It overrides the
// default of a minute ([DefaultStartTimeout]), and must be positive.
func WithStartTimeout(d time.Duration) Option { return func(o *options) { o.startTimeout = d } }

// WithStopTimeout sets how long a resource may take to stop before it is killed,
// overriding the default of 10 seconds ([DefaultStopTimeout]). It must be positive.
// Resources stop after those that depend on them, so the whole takes at most as many times as long
// as the longest chain of dependencies has members.
func WithStopTimeout(d time.Duration) Option { return func(o *options) { o.stopTimeout = d } }
