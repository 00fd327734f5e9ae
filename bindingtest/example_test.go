package bindingtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/bindingtest"
)

// ErrNoSession says that a session was never started or has expired.
var ErrNoSession = errors.New("no such session")

// Sessions remembers who is logged in: code to be tested.
type Sessions struct{ Binding redisbinding.OutputBinding }

// Start remembers the user of a session for an hour.
func (s *Sessions) Start(ctx context.Context, id, user string) error {
	_, err := s.Binding.Invoke(ctx, &redisbinding.InvokeRequest{
		Operation: redisbinding.CreateOperation,
		Metadata:  map[string]string{"key": "session:" + id, "ttlInSeconds": "3600"},
		Data:      []byte(user),
	})
	return err
}

// User returns the user of a session, or ErrNoSession.
func (s *Sessions) User(ctx context.Context, id string) (string, error) {
	resp, err := s.Binding.Invoke(ctx, &redisbinding.InvokeRequest{
		Operation: redisbinding.GetOperation,
		Metadata:  map[string]string{"key": "session:" + id},
	})
	switch {
	case err != nil:
		return "", err
	case resp.Data == nil:
		return "", ErrNoSession
	}
	return string(resp.Data), nil
}

// A session is there for an hour, and a Redis that is away is no user who is
// logged out.
func ExampleNew() {
	t := &exampleT{} // in a test its *testing.T
	defer t.end()

	binding := bindingtest.New(t)
	sessions := &Sessions{Binding: binding}
	_ = sessions.Start(t.Context(), "1", "ada")
	fmt.Println(binding.Keys(), binding.TTL("session:1"))

	binding.Stop()
	_, err := sessions.User(t.Context(), "1")
	fmt.Println("without Redis:", errors.Is(err, redisbinding.ErrUnavailable), errors.Is(err, ErrNoSession))
	binding.Start()

	binding.Advance(time.Hour - time.Second)
	fmt.Println(sessions.User(t.Context(), "1"))
	binding.Advance(time.Second)
	_, err = sessions.User(t.Context(), "1")
	fmt.Println("after an hour:", err)
	// Output:
	// [session:1] 1h0m0s
	// without Redis: true false
	// ada <nil>
	// after an hour: no such session
}

// What a service does when Redis refuses.
func ExampleBinding_Fail() {
	t := &exampleT{} // in a test its *testing.T
	defer t.end()

	binding := bindingtest.New(t)
	sessions := &Sessions{Binding: binding}
	binding.Fail("READONLY You can't write against a read only replica.")
	fmt.Println(sessions.Start(t.Context(), "1", "ada"))
	binding.Fail("")
	fmt.Println(sessions.Start(t.Context(), "1", "ada"))
	// Output:
	// redisbinding: create: READONLY You can't write against a read only replica.
	// <nil>
}

// counting counts the calls: a binding of one's own, around another.
type counting struct {
	*bindingtest.Binding // with Advance, which lets the suite move the clock
	calls                atomic.Int64
}

func (c *counting) Invoke(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
	c.calls.Add(1)
	return c.Binding.Invoke(ctx, req)
}

// A binding of one's own keeps the contract when Conformance finds nothing.
func ExampleConformance() {
	// In the tests of the binding: func TestConformance(t *testing.T).
	_ = func(t *testing.T) {
		bindingtest.Conformance(t, func(t *testing.T) redisbinding.OutputBinding {
			return &counting{Binding: bindingtest.New(t)}
		})
	}
}

func TestCounting(t *testing.T) {
	t.Parallel()
	bindingtest.Conformance(t, func(t *testing.T) redisbinding.OutputBinding {
		return &counting{Binding: bindingtest.New(t)}
	})
}

// exampleT stands in for the *testing.T that an example does not have.
type exampleT struct {
	testing.TB
	cleanups []func()
}

func (*exampleT) Helper()                           {}
func (*exampleT) Context() context.Context          { return context.Background() }
func (*exampleT) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (*exampleT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t *exampleT) Cleanup(f func())                { t.cleanups = append(t.cleanups, f) }

// end does what is to be done at the end of a test.
func (t *exampleT) end() {
	for _, cleanup := range slices.Backward(t.cleanups) {
		cleanup()
	}
}
