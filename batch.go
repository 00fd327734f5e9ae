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

// How many commands of a batch go in one pipeline, and after how many bytes no
// more are added.
const (
	batchCommands = 512
	batchBytes    = 1 << 20
)

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
// and responses it needs memory for three pipelines only.
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
	run := &batch{binding: b, reqs: reqs, responses: make([]*InvokeResponse, len(reqs))}
	if err == nil {
		err = run.carryOut(ctx)
	}
	if err != nil {
		err = b.metadata.explain("batch", err)
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
	next      int // the first request that is in no part yet
}

// part is what of a batch goes in one pipeline.
type part struct {
	first   int // of its requests
	calls   []*call
	indices []int       // of the requests that the calls are for
	errs    BatchErrors // of the requests that have none
}

// carryOut sends the requests part by part. While one part is under way, what has
// come of the one before is noted, and the next one is made. The error is why the
// requests from next on were not sent.
func (b *batch) carryOut(ctx context.Context) error {
	var sent *part
	for current := b.part(); current != nil; {
		result := make(chan error, 1)
		send := func(p *part) { result <- b.send(ctx, p) }
		if b.next < len(b.reqs) {
			go send(current)
		} else {
			send(current) // there is nothing to make meanwhile
		}
		b.note(sent)
		next := b.part()
		if err := <-result; err != nil {
			b.note(current)
			if next != nil {
				b.next = next.first
			}
			return err
		}
		sent, current = current, next
	}
	b.note(sent)
	return nil
}

// part makes the next part, or returns nil when there are no more requests.
func (b *batch) part() *part {
	if b.next == len(b.reqs) {
		return nil
	}
	p := &part{first: b.next}
	for bytes := 0; b.next < len(b.reqs) && len(p.calls) < batchCommands && bytes < batchBytes; b.next++ {
		cmd, err := b.binding.command(b.reqs[b.next])
		if err != nil {
			p.errs = append(p.errs, &BatchError{b.next, b.binding.explain(b.reqs[b.next], err)})
			continue
		}
		bytes += cmd.size()
		p.calls, p.indices = append(p.calls, cmd), append(p.indices, b.next)
	}
	return p
}

// send sends a part. What comes of it is in its calls.
func (b *batch) send(ctx context.Context, p *part) error {
	if err := b.binding.client.doAll(ctx, p.calls); err != nil {
		return err
	}
	var again []*call // what a server without GETDEL has not carried out
	for i, cmd := range p.calls {
		if cmd.is("getdel") && b.binding.lacksGetDel(cmd.Err()) {
			cmd.free()
			p.calls[i], _ = b.binding.command(b.reqs[p.indices[i]]) // it was right before
			again = append(again, p.calls[i])
		}
	}
	return b.binding.client.doAll(ctx, again)
}

// note turns what has come of a part into responses and errors.
func (b *batch) note(p *part) {
	if p == nil {
		return
	}
	b.errs = append(b.errs, p.errs...)
	responses := make([]InvokeResponse, len(p.calls))
	for i, cmd := range p.calls {
		index, err := p.indices[i], cmd.Err()
		if err != nil && !errors.Is(err, redis.Nil) {
			b.errs = append(b.errs, &BatchError{index, b.binding.explain(b.reqs[index], err)})
		} else {
			responses[i].Data = replyData(b.reqs[index].Operation, cmd.Val(), err)
			b.responses[index] = &responses[i]
		}
		cmd.free()
	}
}

// doAll sends the commands of the calls as one pipeline, those again that may be
// and that it may help. What comes of them is in the calls. The error is that of a
// connection that has failed for good, if any.
func (c *client) doAll(ctx context.Context, cmds []*call) (broken error) {
	for attempt := 0; len(cmds) > 0; attempt++ {
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
		if len(again) > 0 {
			if err := c.pause(ctx, attempt); err != nil {
				return err
			}
		}
		for _, cmd := range again {
			cmd.prepare()
		}
		cmds = again
	}
	return broken
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
