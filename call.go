package redisbinding

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// call is one command on its way to Redis and back, its reply kept as a string.
// Whoever made it with newCall frees it, unless it was abandoned to a lane.
type call struct {
	*redis.StringCmd

	// key is what the command is about: on a cluster it says which node has it.
	key string
	// args are the command's name and its arguments.
	args []any
	// repeatable says that carrying the command out twice does what once does.
	repeatable bool
	// size is about how many bytes the command has.
	size int

	answered bool // the reply has come, and is no error
	unsure   bool // an attempt to carry it out has failed, and may have done so

	data  []byte        // the copy that own makes
	done  chan struct{} // receives when a lane has the reply, or an error
	state atomic.Int32

	// What follows is the lane's that the call waits in.
	waiting    bool
	next, prev *call
	since      int64 // when it came, by the lanes' clock
}

// States of a call that a lane has.
const (
	awaited   int32 = iota // somebody waits for it
	abandoned              // nobody does: the lane frees it
	completed              // the lane is through with it
)

var callPool = sync.Pool{New: func() any {
	return &call{args: make([]any, 0, 8), done: make(chan struct{}, 1)}
}}

// newCall returns a call for the command, which is about the key. The data among
// the arguments, []byte, must not change until the call has ended.
func newCall(repeatable bool, key string, args ...any) *call {
	c := callPool.Get().(*call) //nolint:forcetypeassert // nothing else is put in
	c.repeatable, c.key = repeatable, key
	c.args = append(c.args, args...)
	c.size = 0
	for _, arg := range args {
		switch arg := arg.(type) {
		case string:
			c.size += len(arg)
		case []byte:
			c.size += len(arg)
		}
	}
	c.prepare()
	return c
}

// prepare makes the call ready to be sent, or to be sent again.
func (c *call) prepare() {
	c.StringCmd = redis.NewStringCmd(context.Background(), c.args...)
	if c.is("ping") {
		c.SetFirstKeyPos(1) // go-redis knows of no key that would say to which node
	}
	c.answered = false
	c.state.Store(awaited)
}

// outcome returns the error of the last attempt as that of the call.
func (c *call) outcome(err error) error {
	if c.unsure && isNotCarriedOut(err) {
		return unsureError{err}
	}
	return err
}

// free gives the call back, which must not be used any more.
func (c *call) free() {
	clear(c.args)
	c.StringCmd, c.key, c.args, c.unsure = nil, "", c.args[:0], false
	callPool.Put(c)
}

// is says whether it is the command of that name, in lower case.
func (c *call) is(name string) bool { return c.args[0] == name }

// own copies the data among the arguments, which the caller may overwrite when
// the context has ended while a lane still reads it.
func (c *call) own() {
	for i, arg := range c.args {
		if data, ok := arg.([]byte); ok {
			c.data = append(c.data[:0], data...)
			c.args[i] = c.data
		}
	}
}

// NoRetry is true for go-redis, at every level of every kind of client: it
// would send again what it does not know to have been carried out, and on a
// cluster three times even with redisMaxRetries 0. Retries are made by the client.
func (*call) NoRetry() bool { return true }

// SetErr sets the error, unless the command has been answered: when a pipeline
// fails half-way, go-redis sets its error on all commands, the answered too.
func (c *call) SetErr(err error) {
	if c.answered {
		return
	}
	c.answered = err == nil
	c.StringCmd.SetErr(err)
}

// complete tells who waits that the reply, or an error, is there.
func (c *call) complete() {
	if c.state.CompareAndSwap(awaited, completed) {
		c.done <- struct{}{}
	} else {
		c.free()
	}
}

// abandon leaves a call that was sent to its lane, or answers false when the
// lane is through with it.
func (c *call) abandon() bool { return c.state.CompareAndSwap(awaited, abandoned) }
