package redisbinding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

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
// The requests are sent in pipelines of 512, one after the other; those about the
// same key are carried out in their order, unless one has to be sent again. A request that is wrong in
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
		run.giveUp(b.metadata.explain("batch", err))
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
				for _, cmd := range next.calls {
					cmd.free()
				}
			}
			return err
		}
		sent, current = current, next
	}
	b.note(sent)
	return nil
}

// part makes the next part, or returns nil when there are no more requests. As long
// as it is not known whether the server has GETDEL, a part ends with the first, so
// that it can be repeated as a script before what comes after it is sent.
func (b *batch) part() *part {
	if b.next == len(b.reqs) {
		return nil
	}
	p := &part{first: b.next}
	unsure := false
	for bytes := 0; b.next < len(b.reqs) && len(p.calls) < batchCommands && bytes < batchBytes && !unsure; b.next++ {
		cmd, err := b.binding.command(b.reqs[b.next])
		if err != nil {
			p.errs = append(p.errs, &BatchError{b.next, b.binding.explain(b.reqs[b.next], err)})
			continue
		}
		bytes += cmd.size
		unsure = cmd.is("getdel") && !b.binding.hasGetDel.Load()
		p.calls, p.indices = append(p.calls, cmd), append(p.indices, b.next)
	}
	return p
}

// send sends a part. What comes of it is in its calls.
func (b *batch) send(ctx context.Context, p *part) error {
	if err := b.binding.client.doAll(ctx, p.calls); err != nil {
		return err
	}
	last := len(p.calls) - 1
	if last < 0 || !p.calls[last].is("getdel") || !b.binding.lacksGetDel(p.calls[last].Err()) {
		return nil
	}
	p.calls[last].free()
	p.calls[last], _ = b.binding.command(b.reqs[p.indices[last]]) // it was right before
	return b.binding.client.doAll(ctx, p.calls[last:])
}

// note turns what has come of a part into responses and errors.
func (b *batch) note(p *part) {
	if p == nil {
		return
	}
	b.errs = append(b.errs, p.errs...)
	for i, cmd := range p.calls {
		index, err := p.indices[i], cmd.Err()
		if err != nil && !errors.Is(err, redis.Nil) {
			b.errs = append(b.errs, &BatchError{index, b.binding.explain(b.reqs[index], err)})
		} else {
			b.responses[index] = &InvokeResponse{Data: replyData(b.reqs[index].Operation, cmd.Val(), err)}
		}
		cmd.free()
	}
}

// giveUp notes why the requests that are left are not sent: because of err, unless
// there is something wrong with them.
func (b *batch) giveUp(err error) {
	for ; b.next < len(b.reqs); b.next++ {
		why := err
		if cmd, wrong := b.binding.command(b.reqs[b.next]); wrong != nil {
			why = b.binding.explain(b.reqs[b.next], wrong)
		} else {
			cmd.free()
		}
		b.errs = append(b.errs, &BatchError{b.next, why})
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
			cmd.unsure = cmd.unsure || isUnknown(err)
			var reply redis.Error
			if attempt < c.maxRetries && mayRetry(cmd, err) {
				again = append(again, cmd)
			} else if err = cmd.outcome(err); !errors.As(err, &reply) {
				broken = err
			}
			cmd.SetErr(err)
		}
		if len(again) > 0 {
			if err := c.pause(ctx, attempt); err != nil {
				setErr(again, err)
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

// pipeline sends the commands of the calls once, on a cluster as one pipeline to
// each node: go-redis's own for clusters repeats what could not be sent, whatever
// redisMaxRetries says.
func (c *client) pipeline(ctx context.Context, cmds []*call) {
	c.lanes.pipelined.Add(uint64(len(cmds)))
	if c.cluster == nil {
		c.pipelineTo(ctx, c.redis, cmds)
		return
	}
	if !c.mapped.Load() { // the first one finds out which node has which slots
		var reply redis.Error
		if err := c.direct(ctx, c.redis, cmds[0]); err != nil && !errors.As(err, &reply) {
			setErr(cmds[1:], err)
			return
		}
		cmds = cmds[1:]
	}
	byNode := map[*redis.Client][]*call{}
	for _, cmd := range cmds {
		node, err := c.cluster.MasterForKey(ctx, cmd.key)
		if err != nil {
			cmd.SetErr(err)
			continue
		}
		byNode[node] = append(byNode[node], cmd)
	}
	var nodes sync.WaitGroup
	for node, cmds := range byNode {
		nodes.Go(func() { c.pipelineTo(ctx, node, cmds) })
	}
	nodes.Wait()
}

func setErr(cmds []*call, err error) {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
}

func (c *client) pipelineTo(ctx context.Context, server redis.UniversalClient, cmds []*call) {
	pipe := server.Pipeline()
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd) // puts it in
	}
	c.dialer.conns.direct.do(ctx, func(ctx context.Context) { _, _ = pipe.Exec(ctx) })
}
