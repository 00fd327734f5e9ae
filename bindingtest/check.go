package bindingtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/redisbinding/redisbinding"
)

// reporter is what the suite needs of a *testing.T: the tests of the suite want to
// see its failures without failing.
type reporter interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// metadata are the fields of a request.
type metadata = map[string]string

// check is one rule being checked on one binding. Methods that begin with must end
// the check when the binding fails them, so only the check's own goroutine may call
// them; the others may be called from any.
type check struct {
	reporter
	binding  redisbinding.OutputBinding
	patience time.Duration // how long a key may outlive its TTL, and Close may take
	prefix   string        // of all keys of this check
	hangs    bool          // Close does, and need not be tried again
}

func newCheck(t reporter, binding redisbinding.OutputBinding, patience time.Duration) *check {
	return &check{reporter: t, binding: binding, patience: patience, prefix: "conformance-" + rand.Text() + "-"}
}

// key returns a key that no other check has.
func (c *check) key(name string) string { return c.prefix + name }

// lists says whether the binding lists the operation.
func (c *check) lists(operation redisbinding.OperationKind) bool {
	return slices.Contains(c.binding.Operations(), operation)
}

// request is a request; more are the names and the values of further fields.
func request(operation redisbinding.OperationKind, key, data string, more ...string) *redisbinding.InvokeRequest {
	req := &redisbinding.InvokeRequest{Operation: operation, Metadata: metadata{redisbinding.KeyField: key}}
	if operation == redisbinding.CreateOperation {
		req.Data = []byte(data)
	}
	for i := 0; i < len(more); i += 2 {
		req.Metadata[more[i]] = more[i+1]
	}
	return req
}

func create(key, data string, more ...string) *redisbinding.InvokeRequest {
	return request(redisbinding.CreateOperation, key, data, more...)
}

func get(key string, more ...string) *redisbinding.InvokeRequest {
	return request(redisbinding.GetOperation, key, "", more...)
}

func remove(key string) *redisbinding.InvokeRequest {
	return request(redisbinding.DeleteOperation, key, "")
}

func increment(key string, more ...string) *redisbinding.InvokeRequest {
	return request(redisbinding.IncrementOperation, key, "", more...)
}

// describe names a request in a failure.
func describe(req *redisbinding.InvokeRequest) string {
	if req == nil {
		return "a nil request"
	}
	text := fmt.Sprintf("%q", string(req.Operation))
	if req.Operation == redisbinding.CreateOperation {
		text += " of " + show(req.Data)
	}
	return text + fmt.Sprintf(" with metadata %.200q", req.Metadata)
}

// show shows data in a failure, cut short when it is long.
func show(data []byte) string {
	const most = 60
	switch {
	case data == nil:
		return "nil"
	case len(data) > most:
		return fmt.Sprintf("%q... (%d bytes)", data[:most], len(data))
	}
	return fmt.Sprintf("%q", data)
}

// invoke is Invoke with what holds for every call: either an error or a response,
// and no panic.
func (c *check) invoke(ctx context.Context, req *redisbinding.InvokeRequest) (resp *redisbinding.InvokeResponse, err error) {
	c.Helper()
	defer func() {
		if p := recover(); p != nil {
			c.Errorf("Invoke does not panic: %s: %v\n%s", describe(req), p, debug.Stack())
			resp, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	resp, err = c.binding.Invoke(ctx, req)
	switch {
	case err == nil && resp == nil:
		c.Errorf("the response is not nil when the error is: %s", describe(req))
		resp = &redisbinding.InvokeResponse{}
	case err != nil && resp != nil:
		c.Errorf("the response is nil when there is an error: %s: answers %s and %v", describe(req), show(resp.Data), err)
		resp = nil
	}
	return resp, err
}

// must is an Invoke that must succeed, and returns the data of its response.
func (c *check) must(req *redisbinding.InvokeRequest) []byte {
	c.Helper()
	resp, err := c.invoke(c.Context(), req)
	if err != nil {
		c.Fatalf("%s is no error, got: %v", describe(req), err)
		return nil
	}
	return resp.Data
}

// refuses checks that the request is an error.
func (c *check) refuses(rule string, req *redisbinding.InvokeRequest) {
	c.Helper()
	if resp, err := c.invoke(c.Context(), req); err == nil {
		c.Errorf("%s: %s succeeds and answers %s", rule, describe(req), show(resp.Data))
	}
}

// holds checks that the key has the value.
func (c *check) holds(rule, key string, want []byte) {
	c.Helper()
	c.same(rule, c.must(get(key)), want)
}

// missing checks that the key is not there.
func (c *check) missing(rule, key string) {
	c.Helper()
	if got := c.must(get(key)); got != nil {
		c.Errorf("%s: a get answers %s, want nil data", rule, show(got))
	}
}

// same checks that the data is what is wanted, which is not nil.
func (c *check) same(rule string, got, want []byte) bool {
	c.Helper()
	switch {
	case got == nil:
		c.Errorf("%s: the data is nil, as for a missing key, want %s", rule, show(want))
	case len(got) != len(want):
		c.Errorf("%s: the data is %s, want %s: %d bytes in place of %d", rule, show(got), show(want), len(got), len(want))
	case !bytes.Equal(got, want):
		c.Errorf("%s: the data is %s, want %s: they differ from byte %d on", rule, show(got), show(want), common(got, want))
	default:
		return true
	}
	return false
}

// common returns how many bytes are the same at the beginning of both.
func common(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// many runs the function on n goroutines at once and waits for them.
func many(n int, run func(i int)) {
	start, done := make(chan struct{}), make(chan struct{}, n)
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			<-start
			run(i)
		}()
	}
	close(start)
	for range n {
		<-done
	}
}
