package bindingtest

import (
	"testing"
	"time"

	"github.com/redisbinding/redisbinding"
)

// Conformance checks that a binding keeps the contract of
// [redisbinding.OutputBinding]: Dapr's conformance checks, and what a user of the
// binding may rely on beyond them. Each rule is a subtest, whose failures say
// which rule is broken; -run picks one.
//
// The suite looks at nothing but what the interface shows, so it holds for a
// binding that is reached through HTTP, gRPC or anything else as well. The factory
// is called for each subtest, on its goroutine, and returns a binding that is
// ready to use; the suite closes it. Bindings may share a Redis and find keys
// there: the suite's keys begin with a prefix that is new for each subtest, and
// those that it did not delete stay.
//
// When the binding has a method Advance(time.Duration) the suite calls it where
// time is to pass, as it must be on a Redis whose clock stands still: [Binding] is
// one that has it. Otherwise it waits, three seconds in all, and gives up on a key that
// has outlived its TTL after a minute. No other bound on time is asserted: a
// binding may be slow, but one that hangs is reported by the test's time-out, or
// in Close after a minute.
//
// That a call under way ends when its context does cannot be told from outside: it
// may have ended just before. The suite checks that such calls harm no others.
//
// Increment is optional: where Operations does not list it, its subtests are
// skipped. The binding must have no default TTL, as its keys would not stay.
func Conformance(t *testing.T, factory func(t *testing.T) redisbinding.OutputBinding) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			binding := factory(t)
			if binding == nil {
				t.Fatal("the factory returns a binding, got nil")
			}
			r.check(t, binding, time.Minute)
		})
	}
}

// rule is a part of the contract.
type rule struct {
	name  string
	needs redisbinding.OperationKind // skipped for a binding that does not list it
	holds func(c *check)
}

var rules = []rule{
	{name: "ping", holds: pings},
	{name: "operations", holds: listsOperations},
	{name: "create, get, delete", holds: createsGetsDeletes},
	{name: "create replaces the value", holds: createReplaces},
	{name: "missing is not empty", holds: missingIsNotEmpty},
	{name: "get with delete", holds: getDeletes},
	{name: "one value goes to one caller", holds: getDeletesOnce},
	{name: "metadata in any case", holds: readsFields},
	{name: "metadata of other operations", holds: ignoresFields},

	{name: "values of all kinds", holds: keepsValues},
	{name: "large values", holds: keepsLargeValues},
	{name: "keys of all kinds", holds: tellsKeysApart},
	{name: "the request is the caller's", holds: leavesRequest},
	{name: "the response is the caller's", holds: leavesResponse},

	{name: "TTL", holds: endsKeys},
	{name: "TTL in all its forms", holds: takesTTLs},
	{name: "create replaces the TTL", holds: createReplacesTTL},
	{name: "bad TTL", holds: refusesTTLs},
	{name: "increment with TTL", needs: redisbinding.IncrementOperation, holds: incrementEndsKeys},
	{name: "increment with a bad TTL", needs: redisbinding.IncrementOperation, holds: incrementRefusesTTLs},

	{name: "increment", needs: redisbinding.IncrementOperation, holds: increments},
	{name: "increment of what is no number", needs: redisbinding.IncrementOperation, holds: incrementRefuses},
	{name: "increment by many callers", needs: redisbinding.IncrementOperation, holds: incrementsExactly},

	{name: "missing key", holds: refusesMissingKey},
	{name: "unknown operation", holds: refusesUnknownOperation},
	{name: "bad delete flag", holds: refusesDeleteFlag},
	{name: "nil request", holds: refusesNil},

	{name: "many callers", holds: servesManyCallers},
	{name: "canceled context", holds: mindsCanceled},
	{name: "expired deadline", holds: mindsDeadline},
	{name: "contexts that end on the way", holds: survivesEndingContexts},

	{name: "close", holds: closes},
	{name: "close with calls under way", holds: closesUnderWay},
}

// check checks that the rule holds for the binding, and closes it.
func (r rule) check(t reporter, binding redisbinding.OutputBinding, patience time.Duration) {
	t.Helper()
	c := newCheck(t, binding, patience)
	defer func() {
		if c.hangs {
			return
		}
		if err := binding.Close(); err != nil {
			t.Errorf("Close succeeds: %v", err)
		}
	}()
	if r.needs != "" && !c.lists(r.needs) {
		t.Skipf("Operations does not list %s", r.needs)
	}
	r.holds(c)
}
