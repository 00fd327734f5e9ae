package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redisbinding/redisbinding/internal/telemetry"
)

// OperationKind names what a request asks a binding to do.
type OperationKind string

// The operations of the Redis binding.
const (
	// CreateOperation stores Data at the key, replacing what is there.
	CreateOperation OperationKind = "create"
	// GetOperation answers what is stored at the key.
	GetOperation OperationKind = "get"
	// DeleteOperation removes the key. It succeeds whether the key exists or not.
	DeleteOperation OperationKind = "delete"
	// IncrementOperation adds one to the number at the key and answers the new number.
	IncrementOperation OperationKind = "increment"
)

// Names of the request metadata fields. They are matched exactly, and, when
// the exact name is absent, without regard to case.
const (
	// KeyField names the key. Every operation needs it, and it must not be empty.
	KeyField = "key"
	// DeleteField, on a get, removes the key together with reading it. It takes
	// the boolean forms of the metadata; default false.
	DeleteField = "delete"
	// TTLField, on a create or an increment, is how long the key is to live: a
	// whole number of seconds from 1, or a Go duration of at least 1ms ("90s",
	// "1.5s"; what is below a millisecond is cut off).
	TTLField = "ttlInSeconds"
)

// InvokeRequest asks a binding for one operation.
type InvokeRequest struct {
	// Data is the value of a create: any bytes, none at all included. The other
	// operations ignore it. It may be reused as soon as Invoke has returned.
	Data []byte
	// Metadata holds "key" and, where the operation knows them, "delete" and
	// "ttlInSeconds". Other entries are ignored.
	Metadata map[string]string
	// Operation is what to do with the key.
	Operation OperationKind
}

// InvokeResponse is what an operation answers.
type InvokeResponse struct {
	// Data is the value of a get, the new number of an increment in decimal
	// digits, and nil after a create or a delete. A get of a missing key
	// answers nil; of an empty value, a slice of length 0 that is not nil. The
	// slice is the caller's to keep and to change.
	Data []byte
	// Metadata is nil: Redis has nothing to say beside the value.
	Metadata map[string]string
	// ContentType is nil: Redis keeps bytes and no type with them.
	ContentType *string
}

// OutputBinding is the output-binding contract: what a binding runtime, an
// HTTP handler or an adapter asks of a binding. [RedisBinding] is one. Its
// methods may be called from any number of goroutines.
type OutputBinding interface {
	// Invoke carries out one operation. The response is not nil when the error is.
	Invoke(ctx context.Context, req *InvokeRequest) (*InvokeResponse, error)
	// Operations lists what Invoke can do.
	Operations() []OperationKind
	// Ping says whether the binding can reach what it binds to.
	Ping(ctx context.Context) error
	io.Closer
}

// RedisBinding is an output binding to Redis. Make it with [NewRedisBinding]
// and end it with Close; in between, any number of goroutines may use it.
type RedisBinding struct {
	metadata *Metadata
	logger   *slog.Logger
	client   *client
	recorder *telemetry.Recorder // nil when nothing is recorded

	// hasGetDel and noGetDel are set once a server has shown that it has GETDEL, or not.
	hasGetDel, noGetDel atomic.Bool

	closeOnce sync.Once
	closeErr  error
}

var _ OutputBinding = (*RedisBinding)(nil)

// NewRedisBinding returns a binding to the Redis that the metadata describes:
// a flat table of strings, whose fields the type [Metadata] documents.
//
// It connects and pings within dialTimeout (5s unless set; with useEntraID it
// waits as long at most for the first token before), so that a server that
// cannot be reached and a refused password are errors here, which name the
// address and what to check; [WithLazyConnect] leaves that to the first Invoke.
// Bad fields are reported all at once, as *[MetadataError] joined together.
// After an error no goroutine and no connection is left behind.
//
// The binding runs a goroutine that closes idle connections (unless idleTimeout
// or idleCheckFrequency is "-1"), with failover one that listens to a sentinel,
// with useEntraID one that renews the token, and under load those that make the
// round trips that calls share; Close ends them.
func NewRedisBinding(metadata map[string]string, opts ...Option) (*RedisBinding, error) {
	o := newOptions(opts)
	m, errs := parseMetadata(metadata)
	if errs = append(errs, m.checkUnknown(o.strict, o.logger)...); o.credential != nil && !m.UseEntraID {
		errs = append(errs, &MetadataError{Field: "useEntraID", Reason: "must be true when a token credential is given"})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if o.alone {
		m.Pipelining = PipeliningOff
	}

	recorder, err := newRecorder(m, o)
	if err != nil {
		return nil, fmt.Errorf("redisbinding: metrics: %w", err)
	}
	b := &RedisBinding{metadata: m, logger: o.logger, client: newClient(m, o.tokens(m), o.integrity), recorder: recorder}
	if err := b.client.observe(recorder, m); err != nil {
		_ = b.Close()
		return nil, fmt.Errorf("redisbinding: metrics: %w", err)
	}
	if o.lazy {
		return b, nil
	}
	if err := b.client.start(m.DialTimeout); err != nil {
		_ = b.Close()
		return nil, m.explainStart(err)
	}
	return b, nil
}

// String names the servers.
func (b *RedisBinding) String() string {
	if b == nil || b.metadata == nil {
		return "Redis binding (closed)"
	}
	return "Redis binding to " + strings.Join(b.metadata.addrs, ",")
}

// Format writes what String returns, whatever the verb: of one that fits nothing, fmt
// would show all that is inside, secrets too, whose own Format it cannot call in there.
func (b *RedisBinding) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, b.String()) }

// Operations lists the operations Invoke can do: create, get, delete and
// increment. The slice is the caller's own.
func (b *RedisBinding) Operations() []OperationKind {
	return []OperationKind{CreateOperation, GetOperation, DeleteOperation, IncrementOperation}
}

// Invoke carries out one operation, as one command: nothing is left half done.
//
// A request that cannot be carried out is refused before anything is sent:
// [ErrMissingKey], [ErrUnsupportedOperation], [*RequestError]. A key that holds
// something else than a string or a number is a redis.Error (WRONGTYPE and its
// like). A Redis that cannot be reached is an error that wraps the net error
// and names the address: at once when it refuses connections, within
// dialTimeout, writeTimeout, readTimeout and poolTimeout when it is silent. The
// next Invoke after the server is back works again.
//
// Invoke returns as soon as ctx ends, with an error for which errors.Is finds
// context.Canceled or context.DeadlineExceeded. A call that was not sent by then
// never is; [SafeToRetry] tells. After Close it answers [ErrClosed].
//
// Failed commands are sent again up to redisMaxRetries times (default 0), but
// never a get with delete=true or an increment that may have reached the
// server: a lost reply must not lose the value or count twice.
func (b *RedisBinding) Invoke(ctx context.Context, req *InvokeRequest) (*InvokeResponse, error) {
	if b == nil || b.client == nil {
		return nil, ErrClosed
	}
	cmd, err := b.command(req)
	if err != nil {
		return nil, b.explain(req, err)
	}
	var recorded telemetry.Operation
	if b.recorder != nil {
		ctx, recorded = b.recorder.Start(ctx, cmd.describe())
	}
	resp, err := b.operate(ctx, req, cmd)
	if err != nil {
		err = b.explain(req, err)
	}
	recorded.End(err)
	return resp, err
}

// explain completes the error of a request for the caller.
func (b *RedisBinding) explain(req *InvokeRequest, err error) error {
	if req == nil {
		return err
	}
	return b.metadata.explain(string(req.Operation), err)
}

// Ping asks the server (of a cluster, one of its masters) for a sign of life.
// It returns nil, or an error as Invoke does. With useEntraID it is an error as
// well, which names the expiry, that the token has expired and not been renewed.
func (b *RedisBinding) Ping(ctx context.Context) error {
	if b == nil || b.client == nil {
		return ErrClosed
	}
	ctx, recorded := b.recorder.Start(ctx, telemetry.Call{Command: "PING"})
	err := b.client.ping(ctx)
	if err != nil {
		err = b.metadata.explain("ping", err)
	}
	recorded.End(err)
	return err
}

// Close ends the binding: later calls answer [ErrClosed], calls under way are
// waited for, connections are closed and goroutines ended. A call is waited for
// up to its context's deadline or its time-outs; one that has neither
// (readTimeout or writeTimeout "-1" and no deadline) is cut off. Close may be
// called more than once and from several goroutines; each call returns when
// all is ended, with the same result.
func (b *RedisBinding) Close() error {
	if b == nil || b.client == nil {
		return nil
	}
	b.closeOnce.Do(func() {
		if err := errors.Join(b.client.close(), b.recorder.Close()); err != nil {
			b.closeErr = fmt.Errorf("redisbinding: close: %w", err)
		}
	})
	return b.closeErr
}
