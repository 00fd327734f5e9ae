package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reply is an error reply of a server.
type reply string

func (r reply) Error() string { return string(r) }

func (reply) RedisError() {}

// errOwn is an error of the caller's.
var errOwn = errors.New("text that may differ each time")

func TestErrorType(t *testing.T) {
	t.Parallel()
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	status := func(prefix string) failure { return failure{kind: prefix, status: prefix} }
	kind := func(name string) failure { return failure{kind: name} }
	r, err := New(Config{MeterProvider: discardingMeters{}, ErrorTypes: []ErrorType{{errOwn, "ErrOwn"}}})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		err  error
		want failure
	}{
		"reply":                    {reply("WRONGTYPE Operation against a key"), status("WRONGTYPE")},
		"reply, wrapped":           {fmt.Errorf("get: %w", reply("OOM command not allowed")), status("OOM")},
		"reply, general":           {reply("ERR unknown command"), status("ERR")},
		"reply of a cluster":       {reply("MOVED 3999 127.0.0.1:6381"), status("MOVED")},
		"reply of one word":        {reply("NOSCRIPT"), status("NOSCRIPT")},
		"reply without a prefix":   {reply("invalid password"), kind("telemetry.reply")},
		"reply with a long prefix": {reply(strings.Repeat("A", 33)), kind("telemetry.reply")},
		"nothing, wrapped":         {fmt.Errorf("no such master: %w", redis.Nil), kind("redis.Nil")},
		"own":                      {fmt.Errorf("%w: for a reason", errOwn), kind("ErrOwn")},
		"own before the cause":     {fmt.Errorf("%w: %w", errOwn, context.DeadlineExceeded), kind("ErrOwn")},
		"cancelled":                {fmt.Errorf("get: %w", context.Canceled), kind("context.Canceled")},
		"deadline":                 {context.DeadlineExceeded, kind("context.DeadlineExceeded")},
		"pool":                     {redis.ErrPoolTimeout, kind("redis.ErrPoolTimeout")},
		"closed":                   {redis.ErrClosed, kind("redis.ErrClosed")},
		"connection lost":          {fmt.Errorf("get: %w", io.EOF), kind("io.EOF")},
		"refused":                  {dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), kind("ECONNREFUSED")},
		"time-out":                 {dial(os.ErrDeadlineExceeded), kind("timeout")},
		"no such host":             {dial(&net.DNSError{IsNotFound: true}), kind("net.DNSError")},
		"certificate": {
			&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, kind("x509.UnknownAuthorityError"),
		},
		"several":       {errors.Join(fmt.Errorf("a: %w", &net.AddrError{}), io.ErrNoProgress), kind("net.AddrError")},
		"text alone":    {errors.New("user 42 has no access"), kind("_OTHER")},
		"text, wrapped": {fmt.Errorf("a: %w", errors.New("b")), kind("_OTHER")},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, r.failureOf(test.err)) })
	}
}

func TestErrorTypesAreBounded(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	r := s.recorder(s.config())
	for i := range 3 * maxFailures {
		_, op := r.Start(t.Context(), Call{Command: "GET"})
		op.End(reply(fmt.Sprintf("E%d no", i)))
	}
	assert.Len(t, s.durations(), maxFailures+1)
	spans := s.spans.Ended()
	assert.Equal(t, "E0", table(spans[0].Attributes())["error.type"])
	last := table(spans[len(spans)-1].Attributes()) // the same as on the metric
	assert.Equal(t, "_OTHER", last["error.type"])
	assert.NotContains(t, last, "db.response.status_code")
}
