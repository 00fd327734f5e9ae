package redisbinding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/telemetry"
)

// batchCommands is how many commands of a batch go in one round trip.
const batchCommands = 1024

// batchBytes is about how many bytes of a batch go in one round trip.
const batchBytes = 1 << 20

// BatchError is why one request of a batch has failed.
type BatchError struct {
	// Index is the request's place in the batch, from 0.
	Index int
	// Err is what Invoke would have returned for it.
	Err error
}

// Error names the request and says what is wrong.
func (e *BatchError) Error() string {
	return fmt.Sprintf("request %d: %s", e.Index, strings.TrimPrefix(e.Err.Error(), "redisbinding: "))
}

// Unwrap returns Err.
func (e *BatchError) Unwrap() error { return e.Err }

// BatchErrors are the errors of a batch, in the order of its requests. errors.Is
// and errors.As look into all of them.
type BatchErrors []*BatchError

// Error says how many requests have failed, and shows the first few errors.
func (e BatchErrors) Error() string {
	const shown = 3
	var b strings.Builder
	fmt.Fprintf(&b, "redisbinding: %d failed", len(e))
	for i, err := range e[:min(len(e), shown)] {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		b.WriteString(separator + err.Error())
	}
	if len(e) > shown {
		b.WriteString("; and others")
	}
	return b.String()
}

// Unwrap returns the errors.
func (e BatchErrors) Unwrap() []error {
	all := make([]error, len(e))
	for i, err := range e {
		all[i] = err
	}
	return all
}

// InvokeBatch carries out many requests, of any operations, in few round trips:
// the way to load and to drain. It returns the responses in the order of the
// requests; where one has failed, its response is nil and the error, then
// [BatchErrors], has a [*BatchError] with its index. Each request is carried out
// or not by itself: a batch is no transaction.
//
// The requests are sent in pipelines of some hundred, one after the other; those
// about the same key are carried out in their order. A request that is wrong in
// itself, or that the server refuses, does not concern the others. But when a
// connection fails, those that follow are not sent any more, and have that error.
//
// Contexts, time-outs, retries and what is never sent twice are as with
// [RedisBinding.Invoke]; the time-outs hold for each pipeline, ctx for the whole.
// The requests must not be changed before InvokeBatch has returned. Beside requests
// and responses it needs memory for one pipeline only.
func (b *RedisBinding) InvokeBatch(ctx context.Context, reqs []*InvokeRequest) ([]*InvokeResponse, error) {
	if b == nil || b.client == nil {
		return nil, ErrClosed
	}
	var recorded telemetry.Operation
	if b.recorder != nil {
		ctx, recorded = b.recorder.StartBatch(ctx, b.describe(reqs))
	}
	responses, err := b.invokeBatch(ctx, reqs)
	recorded.End(err)
	return responses, err
}

func (b *RedisBinding) invokeBatch(ctx context.Context, reqs []*InvokeRequest) ([]*InvokeResponse, error) {
	counts, err := b.client.enter(ctx)
	if counts {
		defer b.client.calls.leave()
	}
	run := &batch{binding: b, reqs: reqs, responses: make([]*InvokeResponse, len(reqs)), stopped: err}
	for run.stopped == nil && run.next < len(reqs) {
		run.roundTrip(ctx)
	}
	if run.stopped != nil {
		err := b.metadata.explain("batch", run.stopped)
		for ; run.next < len(reqs); run.next++ {
			run.errs = append(run.errs, &BatchError{run.next, err})
		}
	}
	if len(run.errs) > 0 {
		slices.SortFunc(run.errs, func(a, b *BatchError) int { return cmp.Compare(a.Index, b.Index) })
		return run.responses, run.errs
	}
	return run.responses, nil
}

// batch is a batch that is being carried out.
type batch struct {
	binding   *RedisBinding
	reqs      []*InvokeRequest
	responses []*InvokeResponse
	errs      BatchErrors

	next    int   // the first request that is not sent yet
	stopped error // why no more are

	calls   []*call // of this round trip
	indices []int   // which requests they are for
}

// roundTrip carries out as many of the requests as go in one pipeline.
func (b *batch) roundTrip(ctx context.Context) {
	b.calls, b.indices = b.calls[:0], b.indices[:0]
	for bytes := 0; b.next < len(b.reqs) && len(b.calls) < batchCommands && bytes < batchBytes; b.next++ {
		cmd, err := b.binding.command(b.reqs[b.next])
		if err != nil {
			b.fail(b.next, err)
			continue
		}
		bytes += cmd.size()
		b.calls, b.indices = append(b.calls, cmd), append(b.indices, b.next)
	}
	b.stopped = b.binding.client.doAll(ctx, b.calls)
	b.repeatGetDel(ctx)
	responses := make([]InvokeResponse, len(b.calls))
	for i, cmd := range b.calls {
		index, err := b.indices[i], cmd.Err()
		if err != nil && !errors.Is(err, redis.Nil) {
			b.fail(index, err)
		} else {
			responses[i].Data = replyData(b.reqs[index].Operation, cmd.Val(), err)
			b.responses[index] = &responses[i]
		}
		cmd.free()
	}
}

// repeatGetDel repeats what a server without GETDEL has not carried out.
func (b *batch) repeatGetDel(ctx context.Context) {
	var again []*call
	for i, cmd := range b.calls {
		if cmd.is("getdel") && b.binding.lacksGetDel(cmd.Err()) {
			cmd.free()
			b.calls[i], _ = b.binding.command(b.reqs[b.indices[i]])
			again = append(again, b.calls[i])
		}
	}
	if len(again) > 0 && b.stopped == nil {
		b.stopped = b.binding.client.doAll(ctx, again)
	}
}

func (b *batch) fail(index int, err error) {
	b.errs = append(b.errs, &BatchError{index, b.binding.explain(b.reqs[index], err)})
}

// doAll sends the commands of the calls as one pipeline, those again that may be
// and that it may help. What comes of them is in the calls. The error is that of a
// connection that has failed for good, if any.
func (c *client) doAll(ctx context.Context, cmds []*call) (broken error) {
	for attempt := 0; ; attempt++ {
		c.pipeline(ctx, cmds)
		var again []*call
		for _, cmd := range cmds {
			err := cmd.Err()
			if c.cluster != nil && isElsewhere(err) {
				cmd.prepare()
				err = c.direct(ctx, c.redis, cmd)
			}
			if err = c.blame(err); err == nil || errors.Is(err, redis.Nil) {
				continue
			}
			cmd.SetErr(err)
			var reply redis.Error
			if attempt < c.maxRetries && mayRetry(cmd, err) {
				again = append(again, cmd)
			} else if !errors.As(err, &reply) {
				broken = err
			}
		}
		if len(again) == 0 {
			return broken
		}
		if err := c.pause(ctx, attempt); err != nil {
			return err
		}
		for _, cmd := range again {
			cmd.prepare()
		}
		cmds = again
	}
}

// pipeline sends the commands of the calls, once.
func (c *client) pipeline(ctx context.Context, cmds []*call) {
	c.lanes.pipelined.Add(uint64(len(cmds)))
	pipe := c.redis.Pipeline()
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd) // puts it in
	}
	c.dialer.conns.direct.do(ctx, func(ctx context.Context) { _, _ = pipe.Exec(ctx) })
}
