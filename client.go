package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/redact"
	"github.com/redisbinding/redisbinding/internal/resp"
	"github.com/redisbinding/redisbinding/internal/wording"
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
	nodes   sync.Map // of the cluster: address -> *redis.Client
	// sentinels find the server of a failover client; else nil.
	sentinels *sentinels
	// tokens are what connections authenticate with; nil without Entra ID.
	tokens *tokens

	lanes      lanes
	pipelining bool
	// mapped is set once the slots of the cluster are known.
	mapped atomic.Bool

	calls      inflight       // calls that end by themselves, which Close waits for
	background sync.WaitGroup // closing idle connections, following the primary, renewing the token
}

// newClient returns a client of the kind the metadata describes. The kind
// follows from redisType and failover, never from the number of addresses.
// Without tokens it authenticates with the password in the metadata, if any.
func newClient(m *Metadata, tokens *tokens, integrity bool) *client {
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
		dialer: newDialer(m.DialTimeout, opts.TLSConfig, &connSet{
			timeout:      m.IdleTimeout,
			keep:         m.MinIdleConns,
			readTimeout:  m.ReadTimeout,
			writeTimeout: m.WriteTimeout,
		}),
		maxRetries: m.RedisMaxRetries,
		minPause:   m.RedisMinRetryInterval,
		maxPause:   m.RedisMaxRetryInterval,
		unbounded:  m.ReadTimeout == 0 || m.WriteTimeout == 0,
		tokens:     tokens,
	}
	c.calls.init()
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

	if m.Failover {
		// For redisType cluster too: there is one primary either way.
		c.sentinels = newSentinels(opts, newDialer(m.DialTimeout, opts.TLSConfig, &connSet{}), c.dialer.conns.closeOthers)
		opts.Dialer = c.dialer.dialTo(c.sentinels.primary)
		c.background.Go(c.sentinels.follow)
	}
	// The connections have the time-outs, and leave go-redis's place to the marks
	// of direct calls.
	opts.ReadTimeout, opts.WriteTimeout = -1, -1
	switch {
	case m.Failover:
		c.redis = newNode(opts)
	case m.RedisType == TypeCluster:
		nodes := opts.Cluster()
		// The routing policies need COMMAND, which a plain user may not run. The
		// operations have one key each and need no policy.
		nodes.DisableRoutingPolicies = true
		c.cluster = redis.NewClusterClient(nodes)
		resp.LimitNodes(c.cluster)
		c.cluster.OnNewNode(func(node *redis.Client) {
			node.AddHook(outcomeHook{})
			c.nodes.Store(node.Options().Addr, node)
		})
		c.redis = c.cluster
	default:
		c.redis = newNode(opts)
	}
	// Without a time-out nothing would end a round trip that all its callers have left.
	c.pipelining = m.Pipelining == PipeliningAuto && !c.unbounded
	c.lanes.limits, c.lanes.integrity = newLaneLimits(m), integrity
	if reap {
		c.background.Go(func() { c.dialer.conns.run(c.dialer.ctx, m.IdleCheckFrequency) })
	}
	return c
}

// newNode returns a client of one server.
func newNode(opts *redis.UniversalOptions) *redis.Client {
	node := redis.NewClient(opts.Simple())
	node.AddHook(outcomeHook{})
	return node
}

// close waits for the calls under way and ends everything. Call it once.
func (c *client) close() error {
	c.calls.close()
	c.dialer.close()
	if c.sentinels != nil {
		c.sentinels.dialer.close()
	}
	c.lanes.close()
	err := c.redis.Close()
	c.lanes.running.Wait()
	c.background.Wait()
	return err
}

// enter begins a call, or says why not. What counts is ended with calls.leave.
func (c *client) enter(ctx context.Context) (counts bool, err error) {
	if !c.calls.enter() {
		return false, ErrClosed
	}
	counts = true
	if _, bounded := ctx.Deadline(); !bounded && c.unbounded {
		c.calls.leave() // Close need not wait: nothing says for how long
		counts = false
	}
	if c.tokens != nil && c.tokens.current.Load() == nil {
		// Waiting for the first one takes no place in the pool.
		if err := c.tokens.ready(ctx); err != nil {
			return counts, err
		}
	}
	return counts, ctx.Err()
}

// do sends the command of the call, again where that is allowed and may help, and
// returns its reply, within ctx; found is false when the reply is nil. The error is a
// [*failure]. It frees the call.
func (c *client) do(ctx context.Context, cmd *call) (reply string, found bool, err error) {
	counts, err := c.enter(ctx)
	if counts {
		defer c.calls.leave()
	}
	for attempt := 0; err == nil; attempt++ {
		var left *failure
		if left, err = c.roundTrip(ctx, cmd); left != nil {
			return "", false, left
		}
		if err = c.finish(ctx, cmd, err); err == nil {
			reply, found = cmd.Val(), cmd.found()
			cmd.free()
			return reply, found, nil
		}
		if attempt < c.maxRetries && mayRetry(cmd, err) {
			cmd.prepare()
			err = c.pause(ctx, attempt)
		}
	}
	failed := cmd.failure(err)
	cmd.free()
	return "", false, failed
}

// roundTrip sends the command of the call once and waits for its reply. left is not nil
// when ctx has ended and the call was left to its lane.
func (c *client) roundTrip(ctx context.Context, cmd *call) (left *failure, err error) {
	l := c.laneTo(cmd.key)
	if l == nil || cmd.size > laneLargest {
		return nil, c.direct(ctx, c.redis, cmd)
	}
	if began, ok := l.enter(); ok {
		err = c.direct(ctx, l.redis, cmd)
		l.leave(began, err)
	} else if left, err = l.carryFor(ctx, cmd); left != nil {
		return left, nil
	}
	if c.cluster != nil && isElsewhere(cmd, cmd.result(err)) {
		if errors.Is(err, redis.ErrClosed) {
			c.lanes.drop(l)
		}
		cmd.prepare()
		err = c.direct(ctx, c.redis, cmd)
	}
	return nil, err
}

// direct sends a command on the goroutine of the caller.
func (c *client) direct(ctx context.Context, server redis.UniversalClient, cmd *call) (err error) {
	if c.lanes.integrity {
		err = c.checked(ctx, server, cmd)
	} else {
		c.dialer.conns.direct.do(ctx, func(ctx context.Context) { err = server.Process(ctx, cmd) })
	}
	c.lanes.direct.Add(1)
	if c.cluster != nil && cmd.outcome == executed {
		c.mapped.Store(true)
	}
	return err
}

// checked is direct with the integrity check, for which the server has to be known.
func (c *client) checked(ctx context.Context, server redis.UniversalClient, cmd *call) (err error) {
	if server == c.redis && c.cluster != nil {
		if server, err = c.cluster.MasterForKey(ctx, cmd.key); err != nil {
			return err
		}
	}
	c.pipelineTo(ctx, server, []*call{cmd}, false)
	return cmd.err
}

// laneTo returns the lane to the server that has the key. Without one, a call
// goes directly, and the client finds the server.
func (c *client) laneTo(key string) *lane {
	if !c.pipelining {
		return nil
	}
	if c.cluster == nil {
		return c.lanes.to(c.redis.(*redis.Client)) //nolint:forcetypeassert // the other kind
	}
	if !c.mapped.Load() {
		return nil // MasterForKey would ask the cluster, and not mind the context
	}
	node, err := c.cluster.MasterForKey(context.Background(), key)
	if err != nil {
		return nil
	}
	return c.lanes.to(node)
}

// finish completes the error of an attempt, and looks whether it says something about
// the client as a whole. It returns nil when the server has answered.
func (c *client) finish(ctx context.Context, cmd *call, err error) error {
	err = cmd.result(err)
	if errors.Is(err, context.DeadlineExceeded) && !ended(ctx) {
		// A context of go-redis's own, which has the dial timeout. Those of the library
		// are translated where they are made.
		err = &dialTimeoutError{"connect", c.dialer.timeout}
	}
	switch {
	case err == nil:
		return nil
	case !c.calls.closed():
	case cmd.outcome == notSent:
		return ErrClosed
	case cmd.outcome == unknown:
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	if c.cluster != nil && topologyMayHaveChanged(err) {
		c.cluster.ReloadState(context.Background())
	}
	return c.blameToken(cmd.outcome, err)
}

// ended says whether ctx has ended, or is about to because its deadline has passed.
func ended(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && !time.Now().Before(deadline)
}

// blameToken adds to an error of a connection that its token may be the cause.
func (c *client) blameToken(o outcome, err error) error {
	if err == nil || c.tokens == nil {
		return err
	}
	if token := c.tokens.current.Load(); token != nil {
		_, secret := token.BasicAuth()
		err = redact.Hide(err, secret)
	}
	rejected := redis.HasErrorPrefix(err, "WRONGPASS") || redis.HasErrorPrefix(err, "NOAUTH")
	if !rejected && (o != unknown || !isTransport(err)) {
		return err
	}
	if expired := c.tokens.expired(); expired != nil {
		return tokenExpiredError{err, expired}
	}
	if rejected {
		user, _ := c.tokens.current.Load().BasicAuth()
		return fmt.Errorf("%w: user %s", err, user)
	}
	return err
}

// mayRetry says whether the command may be sent again after err, and whether
// that may help.
func mayRetry(cmd *call, err error) bool {
	var reply redis.Error
	switch {
	case errors.Is(err, ErrClosed), errors.Is(err, redis.ErrPoolTimeout),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &reply):
		return cmd.outcome != unknown && refusedForNow(err)
	}
	return cmd.outcome == notSent || cmd.repeatable
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

// pause waits before the attempt after the given one, from 0. It returns why
// there is to be none.
func (c *client) pause(ctx context.Context, attempt int) error {
	select {
	case <-time.After(c.backoff(attempt)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.dialer.ctx.Done():
		return ErrClosed
	}
}

// backoff returns how long to wait: minPause, doubled with each attempt, by
// chance up to half longer, at most maxPause.
func (c *client) backoff(attempt int) time.Duration {
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
	cmd, want := newCall(true, "", "ping"), "PONG"
	if c.cluster != nil {
		// To a primary, any of them: a command without a key would go to any
		// address, the dead ones in redisHost too. A server answers PING with
		// what comes with it, which here is a key to go-redis.
		want = strconv.Itoa(rand.Int()) //nolint:gosec // chance, not secrecy
		cmd = newCall(true, want, "ping", want)
	}
	pong, _, err := c.do(ctx, cmd)
	if err != nil {
		return err
	}
	if pong != want {
		return redact.FromServerError("answered PING with " + wording.Quoted(pong) + ": is this Redis?")
	}
	return nil
}
