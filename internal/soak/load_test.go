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

// load is callers at work on a binding.
type load struct {
	t       testing.TB
	binding *redisbinding.RedisBinding
	groups  []*group

	timeout  time.Duration // of each call
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

// errors lists what went wrong, the most frequent first.
func (t *tally) errors() string {
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
			c := &caller{load: l, client: client, group: l.groups[client%groups]}
			for ctx.Err() == nil {
				outcome, err := c.call()
				kind := ""
				if err != nil {
					kind = kindOf(err)
					l.sawWrong(kind, err)
				}
				seen.add(outcome, kind)
				select {
				case <-ctx.Done():
				case <-time.After(l.pause/2 + rand.N(l.pause)): //nolint:gosec // chance, not secrecy
				}
			}
		})
	}
	all.Wait()
}

// caller makes one call at a time.
type caller struct {
	*load
	client int
	group  *group
	buf    []byte
}

// call makes a call of any kind and records it.
func (c *caller) call() (history.Outcome, error) {
	counter := rand.IntN(2) == 0 //nolint:gosec // chance, not secrecy
	k := c.group.take(counter)
	operation := history.Increment
	switch n := rand.IntN(100); { //nolint:gosec // likewise
	case n < 40:
		operation = history.Get
	case counter:
	case n < 75:
		operation = history.Create
	case n < 90:
		operation = history.Take
	default:
		operation = history.Delete
	}
	outcome, err := c.invoke(k, operation)
	c.group.done(k, outcome)
	return outcome, err
}

func (c *caller) invoke(k *key, operation history.Operation) (history.Outcome, error) {
	req := &redisbinding.InvokeRequest{Operation: redisbinding.OperationKind(operation), Metadata: map[string]string{"key": k.Key}}
	name := ""
	switch operation {
	case history.Create:
		size := c.size
		if c.bigSize > 0 && c.group == c.groups[0] {
			size = c.bigSize
		}
		name = fmt.Sprintf("c%d-%d", c.client, c.created.Add(1))
		c.buf = value(c.buf, name, size)
		req.Data = c.buf
	case history.Take:
		req.Operation = redisbinding.GetOperation
		req.Metadata["delete"] = "true"
	}
	if c.ttl != "" && (operation == history.Create || operation == history.Increment) {
		req.Metadata["ttlInSeconds"] = c.ttl
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	call := k.Begin(c.client, operation, name)
	resp, err := c.binding.Invoke(ctx, req)
	if operation == history.Create {
		clear(c.buf[:min(len(c.buf), 100)]) // it is the caller's again
	}
	outcome := outcomeOf(err)
	if err != nil {
		k.End(call, outcome, false, "")
		return outcome, err
	}
	read := ""
	if resp.Data != nil {
		read = nameOf(resp.Data)
	}
	k.End(call, outcome, resp.Data != nil, read)
	return outcome, nil
}

// outcomeOf says what a caller knows who got the error, and knows the promises of the
// library's documentation.
func outcomeOf(err error) history.Outcome {
	var reply redis.Error
	switch {
	case err == nil:
		return history.OK
	case errors.Is(err, redisbinding.ErrNotCarriedOut):
		return history.Failed
	case !errors.Is(err, redisbinding.ErrUnavailable) && errors.As(err, &reply):
		return history.Failed
	}
	return history.Unknown
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
	case strings.Contains(err.Error(), "tls: "):
		return "TLS record"
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return "dialTimeout"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "time-out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		if errors.Is(err, redisbinding.ErrNotCarriedOut) {
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
	var last time.Time
	for _, g := range l.groups {
		if g.succeeded().After(last) {
			last = g.succeeded()
		}
	}
	return time.Since(since)
}
