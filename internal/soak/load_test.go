package soak

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/history"
)

const callers = 64

// load is callers at work: of each group one calls in batches, and one without
// pipelining.
type load struct {
	t       testing.TB
	binding *redisbinding.RedisBinding
	plain   *redisbinding.RedisBinding // without pipelining
	groups  []*group

	timeout  time.Duration // of each call
	hurry    time.Duration // up to which a third of the calls has less time; 0: none has
	pause    time.Duration // of each caller between calls
	ttl      string        // of what is written; empty: none
	size     int           // of most values, in bytes
	bigSize  int           // of those of the first group
	sawWrong func(kind string, err error)

	created atomic.Int64 // names of values
}

// tally is what callers have seen.
type tally struct {
	mu       sync.Mutex
	calls    int
	outcomes map[history.Outcome]int
	kinds    map[string]int // of errors
}

func newTally() *tally { return &tally{outcomes: map[history.Outcome]int{}, kinds: map[string]int{}} }

func (t *tally) add(outcome history.Outcome, kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	t.outcomes[outcome]++
	if kind != "" {
		t.kinds[kind]++
	}
}

// list lists what went wrong, the most frequent first.
func (t *tally) list() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	kinds := slices.SortedFunc(maps.Keys(t.kinds), func(a, b string) int { return t.kinds[b] - t.kinds[a] })
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%s: %d", kind, t.kinds[kind])
	}
	if len(kinds) == 0 {
		return "no errors"
	}
	return strings.Join(kinds, ", ")
}

// run has all callers call until ctx ends, and returns when their last calls have.
func (l *load) run(ctx context.Context, seen *tally) {
	var all sync.WaitGroup
	for client := range callers {
		all.Go(func() {
			c := l.caller(client)
			for ctx.Err() == nil {
				c.call(seen)
				select {
				case <-ctx.Done():
				case <-time.After(l.pause/2 + rand.N(l.pause)):
				}
			}
		})
	}
	all.Wait()
}

// caller makes one call at a time.
type caller struct {
	*load
	client  int
	group   *group
	binding *redisbinding.RedisBinding
	batch   int // how many requests to send at a time; 0: not in a batch
	bufs    [][]byte
}

const batchOf = 3

func (l *load) caller(client int) *caller {
	c := &caller{load: l, client: client, group: l.groups[client*groups/callers], binding: l.binding, bufs: make([][]byte, batchOf)}
	switch client % 4 {
	case 0:
		c.batch = batchOf
	case 1:
		c.binding = l.plain
	}
	return c
}

// request is a call on its way.
type request struct {
	*redisbinding.InvokeRequest
	key  *key
	call *history.Call
}

// context is that of a call.
func (l *load) context() (context.Context, context.CancelFunc) {
	timeout := l.timeout
	if l.hurry > 0 && rand.IntN(3) == 0 {
		timeout = rand.N(l.hurry)
	}
	return context.WithTimeout(context.Background(), timeout)
}

// call makes a call of any kind, or a batch of them, and records what has come of it.
func (c *caller) call(seen *tally) {
	ctx, cancel := c.context()
	defer cancel()
	if c.batch == 0 {
		r := c.begin(0)
		resp, err := c.binding.Invoke(ctx, r.InvokeRequest)
		c.end(r, resp, err, seen)
		return
	}
	var requests []request
	var sent []*redisbinding.InvokeRequest
	for i := range c.batch {
		r := c.begin(i)
		requests, sent = append(requests, r), append(sent, r.InvokeRequest)
	}
	responses, err := c.binding.InvokeBatch(ctx, sent)
	errs := make([]error, len(sent))
	var failed redisbinding.BatchErrors
	if errors.As(err, &failed) {
		for _, e := range failed {
			errs[e.Index] = e.Err
		}
	}
	for i, r := range requests {
		c.end(r, responses[i], errs[i], seen)
	}
}

// anyOperation returns one, for a value or for a counter.
func anyOperation() (operation history.Operation, counter bool) {
	counter = rand.IntN(2) == 0
	switch n := rand.IntN(100); {
	case n < 40:
		return history.Get, counter
	case counter:
		return history.Increment, counter
	case n < 75:
		return history.Create, counter
	case n < 90:
		return history.Take, counter
	}
	return history.Delete, counter
}

// begin takes a key and records that a call begins, the i-th of a batch.
func (c *caller) begin(i int) request {
	operation, counter := anyOperation()
	k := c.group.take(counter)
	if k.once {
		operation = k.onceMore()
	}
	r := request{key: k, InvokeRequest: &redisbinding.InvokeRequest{
		Operation: redisbinding.OperationKind(operation), Metadata: map[string]string{"key": k.Key},
	}}
	name := ""
	switch operation {
	case history.Create:
		size := c.size
		if c.bigSize > 0 && c.group == c.groups[0] {
			size = c.bigSize
		}
		name = fmt.Sprintf("c%d-%d", c.client, c.created.Add(1))
		c.bufs[i] = value(c.bufs[i], name, size)
		r.Data = c.bufs[i]
	case history.Take:
		r.Operation = redisbinding.GetOperation
		r.Metadata["delete"] = "true"
	case history.Get, history.Delete, history.Increment:
	}
	if c.ttl != "" && (operation == history.Create || operation == history.Increment) {
		r.Metadata["ttlInSeconds"] = c.ttl
	}
	r.call = k.Begin(c.client, operation, name)
	return r
}

// end records what has come of a call, and gives its key back.
func (c *caller) end(r request, resp *redisbinding.InvokeResponse, err error, seen *tally) {
	clear(r.Data[:min(len(r.Data), 100)]) // it is the caller's again
	outcome, kind, read, found := outcomeOf(err), "", "", false
	switch {
	case err != nil:
		kind = kindOf(err)
		c.sawWrong(kind, err)
		if errors.Is(err, redisbinding.ErrNotExecuted) && (outcome == history.Unknown || !errors.Is(err, redisbinding.ErrUnavailable)) {
			c.t.Errorf("not executed, but not safe to retry or not unavailable: %v", err)
		}
		if outcome == history.Unknown && slices.Contains(certain, kind) {
			c.t.Errorf("not said to have not been carried out: %v", err)
		}
	case resp.Data != nil:
		read, found = nameOf(resp.Data), true
	}
	r.key.End(r.call, outcome, found, read)
	if r.key.once && r.call.Operation == history.Create && err == nil {
		_ = c.read(r.key) // when that fails nobody knows
	}
	for _, k := range c.group.done(r.key, outcome) {
		_ = c.read(k) // what was acknowledged may have been lost since; when that fails nobody knows
		c.group.check(k)
	}
	seen.add(outcome, kind)
}

// read reads the key once more.
func (c *caller) read(k *key) error {
	ctx, cancel := c.context()
	defer cancel()
	call := k.Begin(c.client, history.Get, "")
	resp, err := c.binding.Invoke(ctx, &redisbinding.InvokeRequest{
		Operation: redisbinding.GetOperation, Metadata: map[string]string{"key": k.Key},
	})
	if err != nil {
		return err
	}
	name := ""
	if resp.Data != nil {
		name = nameOf(resp.Data)
	}
	k.End(call, history.OK, resp.Data != nil, name)
	return nil
}

// outcomeOf returns what the library says of the execution of a call that failed with err.
func outcomeOf(err error) history.Outcome {
	switch {
	case err == nil:
		return history.OK
	case redisbinding.SafeToRetry(err):
		return history.Failed
	}
	return history.Unknown
}

// certain are the kinds of errors that say that nothing was carried out.
var certain = []string{
	"connection refused", "hung up on", "max number of clients", "certificate", "dialTimeout", "poolTimeout",
	"LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "OOM", "WRONGPASS", "NOAUTH",
}

// kindOf names what went wrong.
func kindOf(err error) string {
	var (
		reply       redis.Error
		timeout     net.Error
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		op          *net.OpError
	)
	switch {
	case errors.As(err, &reply) && strings.Contains(reply.Error(), "max number of clients"):
		return "max number of clients"
	case errors.As(err, &reply):
		kind, _, _ := strings.Cut(reply.Error(), " ")
		return kind
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline of the call"
	case errors.Is(err, redis.ErrPoolTimeout):
		return "poolTimeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &certificate), errors.As(err, &authority):
		return "certificate"
	case strings.Contains(err.Error(), "integrity check failed"), strings.Contains(err.Error(), "broke Redis's protocol"):
		return "wrong reply"
	case strings.Contains(err.Error(), "tls: "):
		return "TLS record"
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return "dialTimeout"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "time-out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		if errors.Is(err, redisbinding.ErrNotExecuted) {
			return "hung up on"
		}
		return "connection lost"
	}
	return err.Error()
}

// within is [context.WithTimeout] for a test.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// back waits until every group has succeeded again, since then.
func (l *load) back(since time.Time) time.Duration {
	require.Eventually(l.t, func() bool {
		return !slices.ContainsFunc(l.groups, func(g *group) bool { return !g.succeeded().After(since) })
	}, 30*time.Second, time.Millisecond, "not all callers succeed again")
	return time.Since(since)
}
