package redisbinding

import (
	"cmp"
	"context"
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

// InvokeBatch executes many requests, of any operations, in few round trips. Use it to
// load or to drain keys. It returns the responses in the order of the requests. When
// requests fail, their responses are nil, and the error is a [BatchErrors] with a
// [*BatchError] for each of them. A batch is not a transaction: each request succeeds or
// fails by itself.
//
// The requests go in pipelines of 512, one after the other. Requests with the same key are
// executed in their order, unless one has to be sent again. A wrong or refused request
// does not affect the others. When a connection fails or ctx ends, the requests that were
// not sent yet are not sent. Their errors give that reason, and [SafeToRetry] is true for them.
//
// Contexts, timeouts and retries are as with [RedisBinding.Invoke]: the timeouts apply to
// each pipeline, and ctx to the whole batch. Do not change the requests before InvokeBatch
// returns. Besides the requests and responses, it uses memory for three pipelines.
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
		run.giveUp(b.metadata.explain("batch", &failure{error: err, outcome: notSent}))
	}
	if len(run.errs) > 0 {
		slices.SortFunc(run.errs, func(a, b *BatchError) int { return cmp.Compare(a.Index, b.Index) })
		return run.responses, run.errs
	}
	return run.responses, nil
}

// batch is the state of one InvokeBatch.
type batch struct {
	binding   *RedisBinding
	reqs      []*InvokeRequest
	responses []*InvokeResponse
	errs      BatchErrors
	next      int // index of the first request that is not in a part yet
}

// part is the part of a batch that goes in one pipeline.
type part struct {
	first   int // index of its first request
	calls   []*call
	indices []int       // the requests' indices, by call
	errs    BatchErrors // of requests that have no call because they are wrong
}

// carryOut sends the requests part by part. While one part is in flight, it notes the
// results of the part before and makes the next one. The error says why the requests from
// next on were not sent.
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

// part makes the next part, or returns nil when there are no more requests. Until it is
// known that the server has GETDEL, a part ends with its first GETDEL. So the batch can
// repeat that request as a script before it sends the requests behind it.
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

// send sends a part. Its calls have the outcome. The error is why the requests after
// it are not sent.
func (b *batch) send(ctx context.Context, p *part) error {
	if err := b.binding.client.doAll(ctx, p.calls); err != nil {
		return err
	}
	return b.binding.client.doAll(ctx, b.withoutGetDel(p))
}

// withoutGetDel returns the calls of a part that are to be sent again as a script,
// because the server has no GETDEL. A request is not sent again when a later one is
// about the same key: that one was executed already.
func (b *batch) withoutGetDel(p *part) (again []*call) {
	later := map[string]bool{}
	for i, cmd := range slices.Backward(p.calls) {
		if cmd.is("getdel") && b.binding.lacksGetDel(cmd.error()) && !later[cmd.key] {
			script, _ := b.binding.command(b.reqs[p.indices[i]]) // the request was right before
			later[cmd.key] = true
			cmd.free()
			p.calls[i] = script
			again = append(again, script)
			continue
		}
		later[cmd.key] = true
	}
	slices.Reverse(again)
	return again
}

// note turns the outcome of a part into responses and errors.
func (b *batch) note(p *part) {
	if p == nil {
		return
	}
	b.errs = append(b.errs, p.errs...)
	for i, cmd := range p.calls {
		index := p.indices[i]
		if err := cmd.error(); err != nil {
			b.errs = append(b.errs, &BatchError{index, b.binding.explain(b.reqs[index], err)})
		} else {
			b.responses[index] = &InvokeResponse{Data: replyData(b.reqs[index].Operation, cmd.Val(), cmd.found())}
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

// doAll sends the commands of the calls as one pipeline, and those again for which that
// is allowed and may help. The calls have the outcome. The error is that of a
// connection that has failed for good, if any.
func (c *client) doAll(ctx context.Context, cmds []*call) (broken error) {
	for attempt := 0; len(cmds) > 0; attempt++ {
		c.pipeline(ctx, cmds)
		c.redirect(ctx, cmds)
		var again []*call
		for _, cmd := range cmds {
			err := c.finish(ctx, cmd, cmd.err)
			if err == nil {
				continue
			}
			switch cmd.err = err; {
			case attempt < c.maxRetries && mayRetry(cmd, err):
				again = append(again, cmd)
			case !cmd.answered():
				broken = err
			}
		}
		if len(again) > 0 {
			if err := c.pause(ctx, attempt); err != nil {
				for _, cmd := range again {
					cmd.prepare()
					cmd.err = err
				}
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
		c.pipelineTo(ctx, c.redis, cmds, false)
		return
	}
	if !c.mapped.Load() { // the first one finds out which node has which slots
		c.oneByOne(ctx, cmds[:1])
		if first := cmds[0]; !first.answered() {
			setErr(cmds[1:], first.err)
			return
		}
		cmds = cmds[1:]
	}
	c.pipelineByNode(ctx, cmds)
}

// pipelineByNode sends the calls to the nodes of their keys.
func (c *client) pipelineByNode(ctx context.Context, cmds []*call) {
	byNode := map[*redis.Client][]*call{}
	for _, cmd := range cmds {
		node, err := c.cluster.MasterForKey(ctx, cmd.key)
		if err != nil {
			cmd.err = err
			continue
		}
		byNode[node] = append(byNode[node], cmd)
	}
	var nodes sync.WaitGroup
	for node, cmds := range byNode {
		nodes.Go(func() { c.pipelineTo(ctx, node, cmds, false) })
	}
	nodes.Wait()
}

func setErr(cmds []*call, err error) {
	for _, cmd := range cmds {
		cmd.err = err
	}
}

// pipelineTo sends the calls to a server as one pipeline. Behind ASK, each has ASKING in
// front of it.
func (c *client) pipelineTo(ctx context.Context, server redis.UniversalClient, cmds []*call, ask bool) {
	pipe := server.Pipeline()
	calls := make([]redis.Cmder, len(cmds))
	for i, cmd := range cmds {
		if ask {
			_ = pipe.Process(ctx, redis.NewStatusCmd(ctx, "asking"))
		}
		calls[i] = cmd
		_ = pipe.Process(ctx, cmd) // puts it in
	}
	var err error
	c.dialer.conns.direct.do(ctx, func(ctx context.Context) { err = execPipeline(ctx, pipe, calls, c.lanes.integrity) })
	for _, cmd := range cmds {
		if cmd.outcome != executed && cmd.err == nil {
			cmd.err = cmd.result(err)
		}
	}
}
