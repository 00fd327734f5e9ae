package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// client is the connection to Redis and the one way commands take to it.
type client struct {
	redis  redis.UniversalClient
	dialer *dialer

	maxRetries         int
	minPause, maxPause time.Duration // between retries
	unbounded          bool          // a call may last for ever if its context lets it

	// cluster is redis when that is a cluster client, else nil.
	cluster *redis.ClusterClient
	// sentinels find the server of a failover client; else nil.
	sentinels *sentinels
	// tokens are what connections authenticate with; nil without Entra ID.
	tokens *tokens

	calls      inflight       // calls that end by themselves, which Close waits for
	workers    inflight       // what goes on behind calls that their context has ended
	background sync.WaitGroup // closing idle connections, following the primary, renewing the token
}

// newClient returns a client of the kind the metadata describes. The kind
// follows from redisType and failover, never from the number of addresses.
// Without tokens it authenticates with the password in the metadata, if any.
func newClient(m *Metadata, tokens *tokens) *client {
	opts := m.UniversalOptions()
	// Retries are made by send, and nowhere below it, where they would multiply.
	opts.MaxRetries = -1
	reap := m.IdleTimeout > 0 && m.IdleCheckFrequency > 0
	if reap && poolLooks {
		// Connections are refused for being idle by connSet, which spares those
		// that minIdleConns keeps.
		opts.ConnMaxIdleTime = -1
	}
	c := &client{
		dialer:     newDialer(m.DialTimeout, opts.TLSConfig, &connSet{timeout: m.IdleTimeout, keep: m.MinIdleConns}),
		maxRetries: m.RedisMaxRetries,
		minPause:   m.RedisMinRetryInterval,
		maxPause:   m.RedisMaxRetryInterval,
		unbounded:  m.ReadTimeout == 0 || m.WriteTimeout == 0,
		tokens:     tokens,
	}
	c.calls.init()
	c.workers.init()
	opts.Dialer = c.dialer.dial
	if tokens != nil {
		opts.StreamingCredentialsProvider = tokens
		// A connection that is to authenticate again goes to the end of the queue,
		// and is not come across again at once.
		opts.PoolFIFO = true
		c.dialer.ready = tokens.ready
		if poolLooks { // or it would use them
			tokens.retire = c.dialer.conns.closeUnused
		}
		c.background.Go(func() { tokens.run(c.dialer.ctx) })
	}

	switch {
	case m.Failover:
		// For redisType cluster too: there is one primary either way.
		c.sentinels = newSentinels(opts, newDialer(m.DialTimeout, opts.TLSConfig, &connSet{}), c.dialer.conns.closeOthers)
		opts.Dialer = c.dialer.dialTo(c.sentinels.primary)
		c.redis = redis.NewClient(opts.Simple())
		c.background.Go(c.sentinels.follow)
	case m.RedisType == TypeCluster:
		nodes := opts.Cluster()
		// The routing policies need COMMAND, which a plain user may not run. The
		// operations have one key each and need no policy.
		nodes.DisableRoutingPolicies = true
		c.cluster = redis.NewClusterClient(nodes)
		c.redis = c.cluster
	default:
		c.redis = redis.NewClient(opts.Simple())
	}
	if reap {
		c.background.Go(func() { c.dialer.conns.run(c.dialer.ctx, m.IdleCheckFrequency) })
	}
	return c
}

// close waits for the calls under way and ends everything. Call it once.
func (c *client) close() error {
	c.calls.close()
	c.dialer.close()
	if c.sentinels != nil {
		c.sentinels.dialer.close()
	}
	err := c.redis.Close()
	c.workers.close()
	c.background.Wait()
	return err
}

// command is one Redis command, its reply kept as a string.
type command struct {
	*redis.StringCmd
	// repeatable says that carrying the command out twice does what once does.
	repeatable bool
}

func newCommand(ctx context.Context, repeatable bool, args ...any) *command {
	return &command{redis.NewStringCmd(ctx, args...), repeatable}
}

// NoRetry is true for go-redis, at every level of every kind of client: it
// would send again what it does not know to have been carried out, and on a
// cluster three times even with redisMaxRetries 0. Retries are made by send.
func (*command) NoRetry() bool { return true }

// keep returns data as the call path may have it: it reads it even after a call
// that its context has ended, when the caller may be overwriting it.
func keep(ctx context.Context, data []byte) []byte {
	if ctx.Done() == nil {
		return data
	}
	return append([]byte(nil), data...)
}

// call sends a command and waits for its reply, at most until ctx ends. A nil
// reply is redis.Nil. After any other error the command may be in use still
// and must not be looked at.
func (c *client) call(ctx context.Context, cmd *command) error {
	if !c.calls.enter() {
		return ErrClosed
	}
	if _, bounded := ctx.Deadline(); !bounded && c.unbounded {
		c.calls.leave() // Close need not wait: nothing says for how long
	} else {
		defer c.calls.leave()
	}
	if c.tokens != nil && c.tokens.current.Load() == nil {
		// Waiting for the first one takes no place in the pool.
		if err := c.tokens.ready(ctx); err != nil {
			return err
		}
	}
	if ctx.Done() == nil {
		return c.send(ctx, cmd)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// go-redis obeys a deadline but not a cancellation once it has sent.
	if !c.workers.enter() {
		return ErrClosed
	}
	sent := make(chan error, 1)
	go func() {
		defer c.workers.leave()
		sent <- c.send(ctx, cmd)
	}()
	select {
	case err := <-sent:
		return orContextError(ctx, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// orContextError returns the context's error in place of the time-out that its
// deadline caused on the connection, which may show a moment earlier.
func orContextError(ctx context.Context, err error) error {
	if err == nil || !isTimeout(err) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return err
}

// send sends a command, again where that is allowed and may help.
func (c *client) send(ctx context.Context, cmd *command) error {
	for attempt := 0; ; attempt++ {
		err := c.blameToken(c.redis.Process(ctx, cmd))
		switch {
		case err == nil || errors.Is(err, redis.Nil):
			return err
		case c.calls.closed() && (errors.Is(err, redis.ErrClosed) || errors.Is(err, net.ErrClosed) || notSent(err)):
			return ErrClosed
		}
		if c.cluster != nil && topologyMayHaveChanged(err) {
			c.cluster.ReloadState(ctx)
		}
		if attempt >= c.maxRetries || !mayRetry(cmd, err) {
			return err
		}
		select {
		case <-time.After(c.pause(attempt)):
		case <-ctx.Done():
			return ctx.Err()
		case <-c.dialer.ctx.Done():
			return ErrClosed
		}
	}
}

// blameToken adds to an error of a connection that its token may be the cause.
func (c *client) blameToken(err error) error {
	if err == nil || c.tokens == nil || notSent(err) {
		return err
	}
	refused := redis.HasErrorPrefix(err, "WRONGPASS") || redis.HasErrorPrefix(err, "NOAUTH")
	if !refused && !isTransport(err) {
		return err
	}
	if expired := c.tokens.expired(); expired != nil {
		return fmt.Errorf("%w: %w", err, expired)
	}
	if refused {
		user, _ := c.tokens.current.Load().BasicAuth()
		return fmt.Errorf("%w: user %s", err, user)
	}
	return err
}

// mayRetry says whether the command may be sent again after err, and whether
// that may help.
func mayRetry(cmd *command, err error) bool {
	var reply redis.Error
	switch {
	case notSent(err):
		return true
	case errors.As(err, &reply):
		return refusedForNow(err)
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	}
	return cmd.repeatable
}

// notSent says whether err is from opening a connection: no command was sent.
func notSent(err error) bool {
	var dial *dialError
	return errors.As(err, &dial)
}

// refusedForNow says whether err is a server's reply that it has not carried
// the command out but may do so soon.
func refusedForNow(err error) bool {
	return redis.IsLoadingError(err) || redis.IsReadOnlyError(err) || redis.IsClusterDownError(err) ||
		redis.IsTryAgainError(err) || redis.IsMasterDownError(err) || redis.IsMaxClientsError(err) ||
		redis.HasErrorPrefix(err, "NOREPLICAS")
}

// topologyMayHaveChanged says whether err is one that a cluster gives whose
// primary has moved. go-redis looks for the new one only when told MOVED.
func topologyMayHaveChanged(err error) bool {
	return redis.IsClusterDownError(err) || isTransport(err)
}

// pause returns how long to wait before the attempt after the given one, from
// 0: minPause doubled with each, by chance up to half longer, at most maxPause.
func (c *client) pause(attempt int) time.Duration {
	d := c.minPause << min(attempt, 30)
	if d <= 0 || d > c.maxPause {
		d = c.maxPause
	}
	return min(d+rand.N(d/2+1), c.maxPause) //nolint:gosec // chance, not secrecy
}

// start makes the first connection within the time-out, and waits before that
// for as long at most until there is something to authenticate with.
func (c *client) start(timeout time.Duration) error {
	if c.tokens != nil {
		if err := c.tokens.ready(context.Background()); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return c.ping(ctx)
}

// ping asks a server for a sign of life. A server may not mind yet that the
// token has expired: who pings wants to know.
func (c *client) ping(ctx context.Context) error {
	if c.tokens != nil {
		if err := c.tokens.ready(ctx); err != nil {
			return err
		}
	}
	cmd, want := newCommand(ctx, true, "ping"), "PONG"
	if c.cluster != nil {
		// To a primary, any of them: a command without a key would go to any
		// address, the dead ones in redisHost too. A server answers PING with
		// what comes with it, which here is a key to go-redis.
		want = strconv.Itoa(rand.Int()) //nolint:gosec // chance, not secrecy
		cmd = newCommand(ctx, true, "ping", want)
		cmd.SetFirstKeyPos(1)
	}
	if err := c.call(ctx, cmd); err != nil {
		return err
	}
	if pong := cmd.Val(); pong != want {
		return fmt.Errorf("answered PING with %s: is this Redis?", quoted(pong))
	}
	return nil
}
