package dapr

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/redisbinding/redisbinding"
)

// initStatus is the status of an Init that made no binding. What is neither a bad
// field nor an outage is something to set right before another attempt, such as a
// password that the server refuses.
func initStatus(err error) error {
	var field *redisbinding.MetadataError
	switch {
	case errors.As(err, &field):
		return withCode(codes.InvalidArgument, err)
	case errors.Is(err, redisbinding.ErrUnavailable):
		return withCode(codes.Unavailable, err)
	}
	return withCode(codes.FailedPrecondition, err)
}

// pingStatus is the status of a failed Ping, which may always be repeated.
func pingStatus(err error) error { return callStatus(err, true) }

// invokeStatus is the status of a failed Invoke.
func invokeStatus(req *redisbinding.InvokeRequest, err error) error {
	return callStatus(err, repeatable(req))
}

// callStatus is the status of a failed call.
//
// An operation that the binding does not know is the caller's mistake:
// Unimplemented would say that the server does not know the method Invoke.
func callStatus(err error, repeatable bool) error {
	var request *redisbinding.RequestError
	switch {
	case errors.As(err, &request), errors.Is(err, redisbinding.ErrMissingKey),
		errors.Is(err, redisbinding.ErrUnsupportedOperation):
		return withCode(codes.InvalidArgument, err)
	case errors.Is(err, redisbinding.ErrClosed) && redisbinding.SafeToRetry(err):
		return withCode(codes.FailedPrecondition, err)
	case errors.Is(err, redisbinding.ErrClosed), errors.Is(err, redisbinding.ErrUnavailable):
		return withCode(unavailableCode(err, repeatable), err)
	case errors.Is(err, context.DeadlineExceeded):
		return withCode(codes.DeadlineExceeded, err)
	case errors.Is(err, context.Canceled):
		return withCode(codes.Canceled, err)
	}
	return withCode(codes.Unknown, err)
}

// unavailableCode returns the code for a call that could not reach Redis, or got no reply.
// Clients and retry policies repeat a call that is Unavailable. So Unavailable is not for
// a call that Redis may have executed and must not execute twice. Nor is it for a call
// whose reply did not come in time: Redis may still be busy with its command.
func unavailableCode(err error, repeatable bool) codes.Code {
	var timeout net.Error
	switch {
	case errors.Is(err, redisbinding.ErrNotExecuted):
		return codes.Unavailable
	case errors.As(err, &timeout) && timeout.Timeout():
		return codes.DeadlineExceeded
	case repeatable:
		return codes.Unavailable
	}
	return codes.Unknown
}

// maxText is how many bytes of an error's text go on the wire or into the log. A status
// travels in a header, and one that is too long ends the connection for all its calls.
const maxText = 4 << 10

// textOf is the text of an error, cut short when it is very long.
func textOf(err error) string {
	text := err.Error()
	if len(text) > maxText {
		text = text[:maxText] + "..."
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func withCode(code codes.Code, err error) error { return status.Error(code, textOf(err)) }

// repeatable says whether a request may be carried out twice when it is sent once. An
// increment would count twice, and the value that a get with delete has taken away
// would be lost. Any delete field at all is taken for true: the binding knows better,
// but this is about being careful.
func repeatable(req *redisbinding.InvokeRequest) bool {
	switch req.Operation {
	case redisbinding.CreateOperation, redisbinding.DeleteOperation:
		return true
	case redisbinding.GetOperation:
		return !hasField(req.Metadata, redisbinding.DeleteField)
	default:
		return false
	}
}

func hasField(metadata map[string]string, name string) bool {
	for field := range metadata {
		if strings.EqualFold(field, name) {
			return true
		}
	}
	return false
}

// quoted returns the text in quotes, cut short when it is long.
func quoted(text string) string {
	const most = 100
	if len(text) > most {
		return strconv.Quote(text[:most]) + "..."
	}
	return strconv.Quote(text)
}
