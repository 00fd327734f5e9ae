package redisbinding

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// maxRedirects is how often a call follows its key to another node.
const maxRedirects = 3

// isElsewhere says whether a node of a cluster did not execute the command because
// another node has its key, or because the node has left the cluster. err is the error of
// the attempt.
func isElsewhere(cmd *call, err error) bool {
	if err == nil || cmd.outcome == executed || cmd.outcome == unknown {
		return false
	}
	_, moved := redis.IsMovedError(err)
	_, asks := redis.IsAskError(err)
	return moved || asks || redis.IsReadOnlyError(err) || errors.Is(err, redis.ErrClosed)
}

// redirection is the node that a reply names. Behind ASK, each command needs ASKING.
type redirection struct {
	addr string
	ask  bool
}

// redirect sends the calls again that a node did not execute because another node has
// their keys: as one pipeline to each node, in the order of the calls.
func (c *client) redirect(ctx context.Context, cmds []*call) {
	if c.cluster == nil {
		return
	}
	for range maxRedirects {
		named, unnamed := redirected(cmds)
		if len(named) == 0 && len(unnamed) == 0 {
			return
		}
		c.cluster.ReloadState(ctx)
		var nodes sync.WaitGroup
		for to, cmds := range named {
			nodes.Go(func() { c.pipelineToNamed(ctx, to, cmds) })
		}
		nodes.Wait()
		c.pipelineByNode(ctx, unnamed)
	}
}

// redirected returns the calls that are to be sent to another node, ready to be sent:
// those whose reply names the node, and the others.
func redirected(cmds []*call) (named map[redirection][]*call, unnamed []*call) {
	named = map[redirection][]*call{}
	for _, cmd := range cmds {
		if !isElsewhere(cmd, cmd.err) {
			continue
		}
		if addr, moved := redis.IsMovedError(cmd.err); moved {
			named[redirection{addr: addr}] = append(named[redirection{addr: addr}], cmd)
		} else if addr, ask := redis.IsAskError(cmd.err); ask {
			named[redirection{addr, true}] = append(named[redirection{addr, true}], cmd)
		} else {
			unnamed = append(unnamed, cmd)
		}
		cmd.prepare()
	}
	return named, unnamed
}

// pipelineToNamed sends the calls to a node that a reply names.
func (c *client) pipelineToNamed(ctx context.Context, to redirection, cmds []*call) {
	if node, known := c.nodes.Load(to.addr); known {
		c.pipelineTo(ctx, node.(*redis.Client), cmds, to.ask) //nolint:forcetypeassert // nothing else is put in
		return
	}
	c.oneByOne(ctx, cmds)
}

// oneByOne sends calls to a node that only the cluster client can find. After the first
// call that gets no reply, the others are not sent.
func (c *client) oneByOne(ctx context.Context, cmds []*call) {
	for i, cmd := range cmds {
		if err := cmd.result(c.direct(ctx, c.redis, cmd)); err != nil {
			cmd.err = err
		}
		if !cmd.answered() {
			setErr(cmds[i+1:], cmd.err)
			return
		}
	}
}
