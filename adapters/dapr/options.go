package dapr

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"time"

	"github.com/redisbinding/redisbinding"
)

// What [Listen] does without options.
const (
	// DefaultSocketMode lets nobody but the user of this process, and root, connect.
	DefaultSocketMode fs.FileMode = 0o600
	// DefaultMaxMessageSize, in bytes, is as much as daprd itself takes in a body.
	DefaultMaxMessageSize = 4 << 20
	// DefaultStopTimeout leaves time to spare in the 30s that Kubernetes gives a pod.
	DefaultStopTimeout = 10 * time.Second
)

// messageSlack is what a request may have beside its value: metadata, the
// operation, and the framing.
const messageSlack = 64 << 10

// Constructor makes a binding of the metadata of a component. It may be called
// from several goroutines at once. It is not told when the caller gives up, and a
// stop waits for it: so it must bound by itself how long it takes.
type Constructor func(metadata map[string]string) (redisbinding.OutputBinding, error)

// Option changes how [Listen] makes a server.
type Option func(*options)

type options struct {
	logger         *slog.Logger
	socketMode     fs.FileMode
	maxMessageSize int
	stopTimeout    time.Duration
	bindingOptions []redisbinding.Option
	construct      Constructor
}

func newOptions(opts []Option) (*options, error) {
	o := &options{
		logger:         slog.New(slog.DiscardHandler),
		socketMode:     DefaultSocketMode,
		maxMessageSize: DefaultMaxMessageSize,
		stopTimeout:    DefaultStopTimeout,
	}
	for _, opt := range opts {
		opt(o)
	}
	if o.construct == nil {
		o.construct = o.newRedisBinding
	}

	var errs []error
	if o.socketMode&^0o777 != 0 || o.socketMode&0o600 != 0o600 {
		errs = append(errs, fmt.Errorf("redisbinding: socket mode: must be permissions that include 0600, got %#o", uint32(o.socketMode)))
	}
	if o.maxMessageSize < 1 || o.maxMessageSize > math.MaxInt32-messageSlack {
		errs = append(errs, fmt.Errorf("redisbinding: max message size: must be between 1 and %d bytes, got %d",
			math.MaxInt32-messageSlack, o.maxMessageSize))
	}
	if o.stopTimeout < 0 {
		errs = append(errs, fmt.Errorf("redisbinding: stop timeout: must not be negative, got %s", o.stopTimeout))
	}
	return o, errors.Join(errs...)
}

// newRedisBinding is the constructor that the server has unless it is given one.
func (o *options) newRedisBinding(metadata map[string]string) (redisbinding.OutputBinding, error) {
	// The caller's options come last, to win.
	opts := append([]redisbinding.Option{redisbinding.WithLogger(o.logger)}, o.bindingOptions...)
	binding, err := redisbinding.NewRedisBinding(metadata, opts...)
	if err != nil {
		return nil, err // and not a binding that is not nil but holds a nil
	}
	return binding, nil
}

// WithLogger sets where the server and its bindings log, overriding the default:
// nowhere. The server logs where it listens, instances made and replaced (info),
// what kept one from being made and what goes wrong in closing (warnings), panics
// (errors), and calls that fail (debug); never a secret, a key or a value. A nil
// logger is the default.
func WithLogger(logger *slog.Logger) Option {
	return func(o *options) {
		if logger != nil {
			o.logger = logger
		}
	}
}

// WithSocketMode sets the permissions of the socket, overriding the default 0600:
// who may write to it may connect. They must include 0600. A daprd that runs as
// another user of the same group needs 0660, one of any user 0666, and then anybody
// on the machine has what the bindings have. Windows has no such permissions.
func WithSocketMode(mode fs.FileMode) Option {
	return func(o *options) { o.socketMode = mode }
}

// WithMaxMessageSize sets how large a value a request may bring, in bytes,
// overriding the default 4 MiB; 64 KiB on top are for its metadata. A larger request
// is answered with the code ResourceExhausted. It must be at least 1. Values on
// their way out are not bounded here but by the client: by daprd to 4 MiB less the
// few bytes around the value.
func WithMaxMessageSize(bytes int) Option {
	return func(o *options) { o.maxMessageSize = bytes }
}

// WithStopTimeout sets how long calls under way are waited for when the context of
// [Server.Serve] ends, overriding the default 10s; those that are left are then
// cut off. 0 cuts them off at once; less than 0 is an error of [Listen]. A client that
// has connected and said nothing is waited for like a call.
func WithStopTimeout(timeout time.Duration) Option {
	return func(o *options) { o.stopTimeout = timeout }
}

// WithBindingOptions sets options for every binding the server makes, such as
// [redisbinding.WithTracerProvider] and [redisbinding.WithTokenCredential].
// They are of no use together with [WithConstructor]. Given twice, they add up.
func WithBindingOptions(opts ...redisbinding.Option) Option {
	return func(o *options) { o.bindingOptions = append(o.bindingOptions, opts...) }
}

// WithConstructor sets what makes the bindings, in place of
// [redisbinding.NewRedisBinding]: to put something in front of it, or to serve
// another binding. What it logs and what its errors say is its own business: errors
// are sent to the client and logged, as text: a gRPC status that it returns is not
// heeded. A nil constructor is the default.
func WithConstructor(construct Constructor) Option {
	return func(o *options) { o.construct = construct }
}
