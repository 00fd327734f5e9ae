package cache

import (
	"context"
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
	off       bool
	underWay  atomic.Int64
	pipeliner atomic.Pointer[redis.AutoPipeliner]
}

// process sends one command and waits for its reply.
func (p *pipelining) process(ctx context.Context, client redis.UniversalClient, cmd *command) {
	others := p.underWay.Add(1) - 1
	defer p.underWay.Add(-1)
	if pipeliner := p.pipelinerOf(client); others < mostAlone || pipeliner == nil || !cmd.mayShare() {
		_ = client.Process(ctx, cmd.cmd)
		return
	} else if err := pipeliner.Submit(ctx, cmd.cmd).WaitContext(ctx); ctx.Err() != nil && err != nil {
		// It is still under way, and has its reply written into it.
		cmd.cmd = redis.NewCmd(ctx)
		cmd.cmd.SetErr(err)
	}
}

// pipelinerOf returns what shares round trips: the client's own, which ends with the
// client. Nil when there is none.
func (p *pipelining) pipelinerOf(client redis.UniversalClient) *redis.AutoPipeliner {
	if p.off {
		return nil
	}
	if pipeliner := p.pipeliner.Load(); pipeliner != nil {
		return pipeliner
	}
	pipeliner, err := client.AsyncAutoPipeline()
	if err != nil { // a Ring has none
		return nil
	}
	p.pipeliner.Store(pipeliner)
	return pipeliner
}

// mayShare says whether the command may share a pipeline, for which a value is copied, as
// the caller may change it once its context has ended and the command is still to be sent.
func (c *command) mayShare() bool {
	args := c.cmd.Args()
	for i, arg := range args {
		if value, ok := arg.([]byte); ok {
			if len(value) > pipelinedLargest {
				return false
			}
			args[i] = append([]byte(nil), value...)
		}
	}
	return true
}
