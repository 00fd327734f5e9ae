package redisbinding

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// dialer opens the connections of one client: TCP, and TLS over it.
//
// It never returns an error. After as many failed dials as the pool has places,
// go-redis refuses to dial at all until a probe, sent once a second by a
// goroutine that outlives Close, succeeds: the first calls after the server is
// back would fail. So a failure travels inside a [failedConn], which gives it
// back at the first write of the handshake.
type dialer struct {
	tcp     net.Dialer
	tls     *tls.Config
	timeout time.Duration
	conns   *connSet
	// ready says whether there is something to authenticate with; nil: always.
	ready func(context.Context) error

	// ctx ends with the client, and with it every dial under way.
	ctx    context.Context
	cancel context.CancelFunc

	mu   sync.Mutex
	down map[string]*outage // by address
}

func newDialer(timeout time.Duration, config *tls.Config, conns *connSet) *dialer {
	d := &dialer{
		tcp: net.Dialer{
			// Notices a peer that vanished without a word within 45 s.
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3},
		},
		tls:     config,
		timeout: timeout,
		conns:   conns,
		down:    map[string]*outage{},
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// dial is the Dialer of the go-redis options.
func (d *dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.ready != nil {
		if err := d.ready(context.WithoutCancel(ctx)); err != nil { // which has a time-out of its own
			return failLater(nil, err)
		}
	}
	c, err := d.connectInTurn(ctx, network, addr)
	return failLater(c, err)
}

// connect opens one connection within the dial timeout. It does not end with a
// caller's context: who asked first must not decide for those who share it.
func (d *dialer) connect(network, addr string, turn *outage) (net.Conn, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	over, raw, err := d.handshake(ctx, network, addr)
	if err != nil {
		d.settle(addr, turn, began, err, false)
		return nil, err
	}
	return d.conns.track(addr, over, raw, func(err error, answered bool) { d.settle(addr, turn, began, err, answered) }), nil
}

// handshake connects by TCP, and TLS over it where that is wanted.
func (d *dialer) handshake(ctx context.Context, network, addr string) (over, raw net.Conn, err error) {
	raw, err = d.tcp.DialContext(ctx, network, addr)
	if err != nil {
		return nil, nil, d.orTimeout(err, "dial "+addr)
	}
	if d.tls == nil {
		return raw, raw, nil
	}
	config := d.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(addr)
	}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		doing := "TLS handshake with " + addr
		return nil, nil, d.orTimeout(fmt.Errorf("%s: %w", doing, err), doing)
	}
	return secure, raw, nil
}

// dialTo is dial to an address that has to be found first.
func (d *dialer) dialTo(find func(context.Context) (string, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		addr, err := find(ctx)
		if err != nil {
			return failLater(nil, d.orTimeout(err, "ask the sentinels"))
		}
		return d.dial(ctx, network, addr)
	}
}

// close ends all dials and closes all connections.
func (d *dialer) close() {
	d.cancel()
	d.conns.closeAll()
}

// orTimeout returns err, or a dialTimeoutError when that is what it means.
func (d *dialer) orTimeout(err error, doing string) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return &dialTimeoutError{doing, d.timeout}
	}
	return err
}

// dialTimeoutError says that dialTimeout has passed. It is a net.Error, and not
// a context.DeadlineExceeded as the errors of net and tls are: no context of
// the caller's has ended.
type dialTimeoutError struct {
	doing string
	after time.Duration
}

func (e *dialTimeoutError) Error() string {
	return fmt.Sprintf("%s: no answer within dialTimeout (%s)", e.doing, e.after)
}

func (*dialTimeoutError) Timeout() bool   { return true }
func (*dialTimeoutError) Temporary() bool { return true }
func (*dialTimeoutError) Unwrap() error   { return os.ErrDeadlineExceeded }

// failLater turns a failed dial into a connection that fails.
func failLater(c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return failedConn{&dialError{err}}, nil //nolint:nilerr // the connection carries it
	}
	return c, nil
}

// dialError is why a connection could not be opened: no command was sent. It
// does not unwrap, because go-redis takes a handshake that fails with a server's
// reply (a sentinel's, say) for a server without HELLO, and goes on; [reveal]
// makes the cause visible again.
type dialError struct{ cause error }

func (e *dialError) Error() string { return e.cause.Error() }

// reveal makes what a dialError in err hides visible to errors.Is and errors.As.
func reveal(err error) error {
	var hidden *dialError
	if !errors.As(err, &hidden) {
		return err
	}
	return revealed{err, reveal(hidden.cause)}
}

// revealed reads as err and unwraps to cause as well.
type revealed struct{ err, cause error }

func (r revealed) Error() string { return r.err.Error() }

func (r revealed) Unwrap() []error { return []error{r.err, r.cause} }

// failedConn is what a failed dial leaves: everything asked of it fails.
type failedConn struct{ err *dialError }

func (c failedConn) Read([]byte) (int, error)         { return 0, c.err }
func (c failedConn) Write([]byte) (int, error)        { return 0, c.err }
func (c failedConn) Close() error                     { return nil }
func (c failedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c failedConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c failedConn) SetDeadline(time.Time) error      { return nil }
func (c failedConn) SetReadDeadline(time.Time) error  { return nil }
func (c failedConn) SetWriteDeadline(time.Time) error { return nil }

// SyscallConn fails, so that the pool drops the connection instead of handing
// out an old failure when it had been opened ahead of need.
func (c failedConn) SyscallConn() (syscall.RawConn, error) { return nil, c.err }
