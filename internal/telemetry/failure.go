package telemetry

import (
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// maxFailures bounds how many kinds of failure are told apart. Each is a series
// of the metric, and a server may put what it likes before its error replies.
const maxFailures = 100

// failure is what kind of error a call has ended with; none at all when zero.
type failure struct {
	kind   string // error.type
	status string // db.response.status_code; "" when it is no error reply
}

var otherFailure = failure{kind: semconv.ErrorTypeOther.Value.AsString()}

func (f failure) attributes() []attribute.KeyValue {
	attributes := []attribute.KeyValue{semconv.ErrorTypeKey.String(f.kind)}
	if f.status != "" {
		attributes = append(attributes, semconv.DBResponseStatusCode(f.status))
	}
	return attributes
}

// failureOf tells what kind of error err is, with few kinds over all.
func (r *Recorder) failureOf(err error) failure {
	f := r.classify(err)
	if _, known := r.failures.get(f, func(failure) struct{} { return struct{}{} }); !known {
		return otherFailure
	}
	return f
}

func (r *Recorder) classify(err error) failure {
	for _, own := range r.errorTypes {
		if errors.Is(err, own.Err) {
			return failure{kind: own.Name}
		}
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		if prefix := replyPrefix(reply.Error()); prefix != "" {
			return failure{kind: prefix, status: prefix}
		}
	}
	for _, known := range knownErrors {
		if errors.Is(err, known.Err) {
			return failure{kind: known.Name}
		}
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return failure{kind: "timeout"}
	}
	if name := typeName(err); name != "" {
		return failure{kind: name}
	}
	return otherFailure
}

// knownErrors are errors whose type would not tell what they are.
var knownErrors = []ErrorType{
	{context.Canceled, "context.Canceled"},
	{context.DeadlineExceeded, "context.DeadlineExceeded"},
	{redis.ErrPoolTimeout, "redis.ErrPoolTimeout"},
	{redis.ErrPoolExhausted, "redis.ErrPoolExhausted"},
	{redis.ErrClosed, "redis.ErrClosed"},
	{redis.Nil, "redis.Nil"},
	{io.EOF, "io.EOF"},
	{io.ErrUnexpectedEOF, "io.ErrUnexpectedEOF"},
	{net.ErrClosed, "net.ErrClosed"},
	{syscall.ECONNREFUSED, "ECONNREFUSED"},
	{syscall.ECONNRESET, "ECONNRESET"},
	{syscall.EPIPE, "EPIPE"},
	{syscall.EHOSTUNREACH, "EHOSTUNREACH"},
	{syscall.ENETUNREACH, "ENETUNREACH"},
}

// replyPrefix returns what an error reply begins with, "" when that is not a
// word in capitals. go-redis has errors of its own that are a redis.Error.
func replyPrefix(text string) string {
	prefix, _, _ := strings.Cut(text, " ")
	const longest = 32 // no error of Redis comes near it
	if prefix == "" || len(prefix) > longest || strings.Trim(prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return ""
	}
	return prefix
}

// typeName returns the name of the type of the innermost error that has one to
// tell, as the conventions ask for, and "" when none has. Of several errors
// wrapped at once it looks into the first.
func typeName(err error) string {
	name := ""
	for err != nil {
		t := reflect.TypeOf(err)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.PkgPath() != "errors" && t.PkgPath() != "fmt" {
			name = t.String()
		}
		switch wrapper := err.(type) { //nolint:errorlint // the tree is taken apart here
		case interface{ Unwrap() error }:
			err = wrapper.Unwrap()
		case interface{ Unwrap() []error }:
			err = nil
			if causes := wrapper.Unwrap(); len(causes) > 0 {
				err = causes[0]
			}
		default:
			err = nil
		}
	}
	return name
}
