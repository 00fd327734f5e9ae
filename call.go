package redisbinding

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// call is one command on its way to Redis and back, its reply kept as a string.
// The caller of newCall frees it, unless it left the call to its lane.
type call struct {
	*redis.StringCmd

	// key is the key of the command: on a cluster it says which node has it.
	key string
	// args are the command's name and its arguments.
	args []any
	// repeatable says that executing the command twice has the effect of once.
	repeatable bool
	// size is the approximate size of the command in bytes.
	size int

	// The record of the last attempt, see outcomeHook.
	armed   bool // go-redis asks for the arguments in order to write them
	written bool // they were, or are being, written to a connection
	replied bool // the server's reply has come, and go-redis has read it
	outcome outcome
	err     error // redis.Nil: the reply is nil

	maybeExecuted bool // an earlier attempt may have executed it

	data  []byte        // the copy that own makes
	done  chan struct{} // receives when a lane has the reply, or an error
	state atomic.Int32

	// The rest belongs to the lane that the call waits in.
	waiting    bool
	next, prev *call
	since      int64 // when it came, by the lanes' clock
}

// States of a call, for a caller that may leave it to its lane.
const (
	unsent    int32 = iota // not written to a connection yet
	sent                   // written, or being written
	abandoned              // the caller left: the lane frees it
	completed              // the lane has finished
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
		c.SetFirstKeyPos(1) // go-redis does not know of a key in PING
	}
	c.maybeExecuted = c.maybeExecuted || c.outcome == unknown
	c.armed, c.written, c.replied, c.outcome, c.err = false, false, false, notSent, nil
	c.state.Store(unsent)
}

// free gives the call back, which must not be used any more.
func (c *call) free() {
	clear(c.args)
	c.StringCmd, c.key, c.args, c.err, c.outcome, c.maybeExecuted = nil, "", c.args[:0], nil, notSent, false
	callPool.Put(c)
}

// arm says that a connection is about to be found for the call, and that go-redis
// asks for its arguments next when it writes them.
func (c *call) arm() {
	if c.outcome == unknown {
		c.maybeExecuted = true
	}
	c.armed, c.written, c.replied = true, false, false
}

// abandonedArgs replace the command of a call whose caller left before the call was
// written. Such a command must not be executed any more.
var abandonedArgs = []any{"ping"}

// Args returns the command for go-redis to write. An armed call counts as sent then.
func (c *call) Args() []any {
	if !c.armed {
		return c.args
	}
	if !c.state.CompareAndSwap(unsent, sent) && c.state.Load() != sent {
		return abandonedArgs
	}
	c.written = true
	return c.args
}

// record notes how an attempt has ended.
func (c *call) record(err error) {
	c.armed = false
	if c.written && (err == nil || err == redis.Nil) { //nolint:errorlint // as go-redis returns the reply itself
		c.outcome, c.err = executed, err
		return
	}
	c.err = unwrapScriptError(reveal(err))
	var reply redis.Error
	switch {
	case !c.written:
		c.outcome = notSent
	case errors.As(err, &reply) && !fromProxy(err):
		c.outcome = refused
	default:
		c.outcome = unknown
	}
}

// recordInPipeline notes how an attempt has ended in a pipeline that ended with err.
func (c *call) recordInPipeline(err error) {
	if c.replied || err == nil {
		err = c.Err()
	}
	if err == nil && !c.replied {
		err = errNoReply
	}
	c.record(err)
}

var errNoReply = errors.New("no reply came")

// result returns the error of the last attempt, and nil when the server answered.
// err is the error that go-redis returned: it may come from elsewhere, such as the
// topology of a cluster.
func (c *call) result(err error) error {
	switch {
	case c.outcome == executed:
		return nil
	case err != nil:
		return unwrapScriptError(reveal(err))
	case c.err != nil:
		return c.err
	}
	return errNoReply
}

// failure returns err, the error of the last attempt, as the error of the call.
func (c *call) failure(err error) *failure {
	if c.maybeExecuted && c.outcome != unknown {
		return &failure{error: maybeExecutedError{err}, outcome: unknown}
	}
	return &failure{error: err, outcome: c.outcome}
}

// error returns why the call has failed, once its last attempt has ended, or nil.
func (c *call) error() error {
	if c.outcome == executed {
		return nil
	}
	return c.failure(c.err)
}

// answered says whether the server answered the last attempt.
func (c *call) answered() bool { return c.outcome == executed || c.outcome == refused }

// found says whether the reply is a value, and not nil.
func (c *call) found() bool { return c.outcome == executed && c.err == nil }

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

// SetErr sets the error, unless the server has replied: when a pipeline fails
// half-way, go-redis sets its error on all commands.
func (c *call) SetErr(err error) {
	if c.replied {
		return
	}
	if c.written {
		_, isReply := err.(redis.Error) //nolint:errorlint // the reply itself
		c.replied = err == nil || isReply
	}
	c.StringCmd.SetErr(err)
}

// complete tells the caller that the reply, or an error, is there.
func (c *call) complete() {
	if c.state.Swap(completed) == abandoned {
		c.free()
		return
	}
	c.done <- struct{}{}
}

// abandon leaves a call to its lane. It returns false when the lane has finished,
// and otherwise whether the call was sent.
func (c *call) abandon() (left bool, o outcome) {
	for {
		switch state := c.state.Load(); {
		case state == completed:
			return false, notSent
		case c.state.CompareAndSwap(state, abandoned):
			if state == sent {
				return true, unknown
			}
			return true, notSent
		}
	}
}
