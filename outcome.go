package redisbinding

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/redact"
)

// outcome says what is known about the execution of a command. It is recorded where
// it becomes known, in the hook on the client of each server, and never inferred
// from an error later.
type outcome uint8

const (
	// notSent: the command was not written to a connection.
	notSent outcome = iota
	// executed: the server replied, with no error.
	executed
	// refused: the server replied with an error. A command, or a script, that fails
	// changes nothing.
	refused
	// unknown: the command was written, at least in part, and no reply came.
	unknown
)

// failure is the error of an operation, with its outcome.
type failure struct {
	error
	outcome     outcome
	unavailable bool // the error is one that ErrUnavailable stands for
}

func (f *failure) Unwrap() error { return f.error }

func (f *failure) Is(target error) bool {
	return f.unavailable && (target == ErrUnavailable || target == ErrNotExecuted && f.outcome != unknown)
}

// SafeToRetry says whether the operation that failed with err was certainly not
// executed, so that sending it again cannot execute it twice: it was not sent, the
// server refused it (WRONGTYPE, NOPERM, OOM and the like), or the request was wrong.
// It says nothing about whether a retry helps; [ErrUnavailable] does. For the error
// of a batch, all failed requests must be safe to send again.
//
// It is false for nil and for unknown errors. Other implementations of [OutputBinding]
// make an error safe by wrapping [ErrNotExecuted], [ErrClosed], [ErrMissingKey],
// [ErrUnsupportedOperation] or a [*RequestError].
func SafeToRetry(err error) bool {
	var (
		batch   BatchErrors
		failed  *failure
		request *RequestError
	)
	switch {
	case errors.As(err, &batch):
		for _, e := range batch {
			if !SafeToRetry(e.Err) {
				return false
			}
		}
		return len(batch) > 0
	case errors.As(err, &failed):
		return failed.outcome != unknown
	case errors.As(err, &request):
		return true
	}
	for _, notExecuted := range []error{ErrNotExecuted, ErrClosed, ErrMissingKey, ErrUnsupportedOperation, ErrNoToken, redis.ErrPoolTimeout} {
		if errors.Is(err, notExecuted) {
			return true
		}
	}
	return false
}

// outcomeHook records what becomes of the calls on one server. It belongs on the client
// of that server: a cluster client asks for a command's arguments to find its node.
type outcomeHook struct{}

func (outcomeHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (outcomeHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c, ok := cmd.(*call)
		if !ok {
			return next(ctx, cmd)
		}
		c.arm()
		err := next(ctx, cmd)
		c.record(err)
		return err
	}
}

func (outcomeHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if c, ok := cmd.(*call); ok {
				c.arm()
			}
		}
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if c, ok := cmd.(*call); ok {
				c.recordInPipeline(err)
			}
		}
		return err
	}
}

// fromProxy says whether an error reply is that of a proxy which lost its connection to
// the server: the server may have executed the command.
func fromProxy(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "upstream ") || strings.HasPrefix(text, "ERR Connection timed out") ||
		strings.HasPrefix(text, "ERR Connection reset")
}

// scriptError is an error reply to a script before Redis 7, with the error of the
// command at its end.
var scriptError = regexp.MustCompile(`^ERR Error running script .*?(?:@user_script: ?\d+: )+-?([A-Z]+ .*)$`)

// unwrapScriptError returns err, or the error of the command that a script failed with.
func unwrapScriptError(err error) error {
	if err == nil || !strings.HasPrefix(err.Error(), "ERR Error running script ") {
		return err
	}
	if parts := scriptError.FindStringSubmatch(err.Error()); parts != nil {
		return redact.ReplyError(parts[1])
	}
	return err
}
