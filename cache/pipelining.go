package cache

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

const (
	// mostAlone is how many calls may each have a round trip and a connection of their own
	// at the same time. With few callers that is fastest, with many it is not.
	mostAlone = 5
	// pipelinedLargest is the longest value that shares a pipeline, in bytes: a longer one
	// would hold up the others.
	pipelinedLargest = 64 << 10
)

// pipelining lets calls that are made at the same time share round trips.
type pipelining struct {
	off      bool
	underWay atomic.Int64

	once      sync.Once
	pipeliner *redis.AutoPipeliner // once it was asked for; nil: there is none

	// abandoned counts the writes whose callers have left before they were sent. What is
	// written after them must not overtake them, and goes the same way.
	abandoned atomic.Int64
	sending   sync.WaitGroup
}

// pipelinerOf returns what shares round trips: the client's own, which ends with the
// client. A Ring has none.
func (p *pipelining) pipelinerOf(client redis.UniversalClient) *redis.AutoPipeliner {
	p.once.Do(func() { p.pipeliner, _ = client.AsyncAutoPipeline() })
	return p.pipeliner
}

// send sends commands and waits for their replies.
func (p *pipelining) send(ctx context.Context, client redis.UniversalClient, commands []*command) {
	others := p.underWay.Add(1) - 1
	defer p.underWay.Add(-1)
	behind := commands[0].writes() && p.abandoned.Load() > 0
	share := len(commands) == 1 && others >= mostAlone && commands[0].size() <= pipelinedLargest
	if !p.off && (behind || share) {
		if pipeliner := p.pipelinerOf(client); pipeliner != nil {
			p.sendShared(ctx, pipeliner, commands)
			return
		}
	}
	if len(commands) == 1 {
		_ = client.Process(ctx, commands[0].cmd)
		return
	}
	pipeline := client.Pipeline()
	for _, cmd := range commands {
		_ = pipeline.Process(ctx, cmd.cmd)
	}
	if _, err := pipeline.Exec(ctx); err != nil {
		failAll(commands, err)
	}
}

// failAll is for an error of a pipeline that none of its commands has got, as one of a hook.
func failAll(commands []*command, err error) {
	for _, cmd := range commands {
		if cmd.cmd.Err() != nil {
			return
		}
	}
	for _, cmd := range commands {
		cmd.cmd.SetErr(err)
	}
}

// sendShared sends commands together with those of others.
func (p *pipelining) sendShared(ctx context.Context, pipeliner *redis.AutoPipeliner, commands []*command) {
	futures := make([]redis.AutoFuture, len(commands))
	for i, cmd := range commands {
		cmd.copyValue()
		futures[i] = pipeliner.Submit(ctx, cmd.cmd)
	}
	for i, cmd := range commands {
		err := futures[i].WaitContext(ctx)
		if ctx.Err() == nil || err == nil {
			continue
		}
		if cmd.writes() {
			p.abandoned.Add(1)
			p.sending.Go(func() {
				defer p.abandoned.Add(-1)
				_ = futures[i].Wait()
			})
		}
		// The command may still have its reply written into it.
		cmd.cmd = redis.NewCmd(ctx)
		cmd.cmd.SetErr(err)
	}
}

// size is that of the value that the command has, if it has one.
func (c *command) size() int {
	for _, arg := range c.args {
		if value, ok := arg.([]byte); ok {
			return len(value)
		}
	}
	return 0
}

// copyValue copies the value that the command has: the caller may change it once the
// context has ended, and the command is still to be sent.
func (c *command) copyValue() {
	args := c.cmd.Args()
	for i, arg := range args {
		if value, ok := arg.([]byte); ok {
			args[i] = bytes.Clone(value)
		}
	}
}
