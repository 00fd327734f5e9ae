package bindingtest

import (
	"slices"
	"strconv"
	"sync"

	"github.com/redisbinding/redisbinding"
)

func pings(c *check) {
	if err := c.binding.Ping(c.Context()); err != nil {
		c.Errorf("Ping of a ready binding succeeds: %v", err)
	}
}

func listsOperations(c *check) {
	operations := c.binding.Operations()
	for _, want := range []redisbinding.OperationKind{redisbinding.CreateOperation, redisbinding.GetOperation, redisbinding.DeleteOperation} {
		if !slices.Contains(operations, want) {
			c.Errorf("Operations lists %s, got %q", want, operations)
		}
	}
	sorted := slices.Sorted(slices.Values(operations))
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
		c.Errorf("Operations lists no operation twice, got %q", operations)
	}
	if slices.Contains(operations, "") {
		c.Errorf("Operations lists names, none of which is empty, got %q", operations)
	}

	before := slices.Clone(operations)
	for i := range operations {
		operations[i] = "changed by the caller"
	}
	if after := c.binding.Operations(); !slices.Equal(after, before) {
		c.Errorf("the slice of Operations is the caller's own: after it was changed Operations answers %q, want %q", after, before)
	}
}

// createsGetsDeletes is what Dapr asks of an output binding.
func createsGetsDeletes(c *check) {
	key, value := c.key("key"), []byte("value")
	if data := c.must(create(key, string(value))); data != nil {
		c.Errorf("a create answers nil data, got %s", show(data))
	}
	c.holds("a get answers what was created", key, value)
	c.holds("a get leaves the value where it is", key, value)
	if data := c.must(remove(key)); data != nil {
		c.Errorf("a delete answers nil data, got %s", show(data))
	}
	c.missing("a deleted key is missing", key)
	c.must(remove(key)) // of a key that is not there
	c.missing("a key deleted twice is missing", key)
	c.must(create(key, "again"))
	c.holds("a deleted key can be created again", key, []byte("again"))
	c.must(create(key, string(value), ttlField, longTTL))
	c.must(remove(key))
	c.missing("a deleted key that had a TTL is missing", key)
}

func createReplaces(c *check) {
	key := c.key("key")
	for _, value := range []string{"a long value to begin with", "short", "", "a long value in the end"} {
		c.must(create(key, value))
		c.holds("a create replaces the value", key, []byte(value))
	}
	c.must(remove(key))
}

func missingIsNotEmpty(c *check) {
	key := c.key("missing")
	for _, flag := range []string{"false", "true"} {
		if data := c.must(get(key, redisbinding.DeleteField, flag)); data != nil {
			c.Errorf("a get of a missing key with delete=%s answers nil data, got %s of length %d", flag, show(data), len(data))
		}
	}

	key = c.key("empty")
	for name, data := range map[string][]byte{"nil": nil, "empty": {}} {
		c.must(&redisbinding.InvokeRequest{Operation: redisbinding.CreateOperation, Metadata: metadata{redisbinding.KeyField: key}, Data: data})
		c.holds("a create with "+name+" data stores an empty value, which is not missing", key, []byte{})
		got := c.must(get(key, redisbinding.DeleteField, "true"))
		c.same("a get with delete of an empty value, created with "+name+" data", got, []byte{})
		c.missing("a get with delete removes an empty value", key)
	}
}

func getDeletes(c *check) {
	key, value := c.key("key"), []byte("value")
	c.must(create(key, string(value)))
	for _, flag := range []string{"false", "False", "0", "no", "off", "n", "f", ""} {
		c.same("a get with delete="+flag, c.must(get(key, redisbinding.DeleteField, flag)), value)
		c.holds("a get with delete="+flag+" removes nothing", key, value)
	}
	for _, flag := range []string{"true", "TRUE", "1", "yes", "on", "y", "t"} {
		c.must(create(key, string(value)))
		c.same("a get with delete="+flag, c.must(get(key, redisbinding.DeleteField, flag)), value)
		c.missing("a get with delete="+flag+" removes the key", key)
		if data := c.must(get(key, redisbinding.DeleteField, flag)); data != nil {
			c.Errorf("a get with delete=%s answers a value once, got %s again", flag, show(data))
		}
	}
	c.must(create(key, string(value), ttlField, longTTL))
	c.same("a get with delete of a key with a TTL", c.must(get(key, redisbinding.DeleteField, "true")), value)
	c.missing("a get with delete removes a key with a TTL", key)
}

// readsFields checks that the names of the fields are read without regard to case.
func readsFields(c *check) {
	key, value := c.key("key"), []byte("value")
	for _, names := range []struct{ key, remove string }{{"Key", "Delete"}, {"KEY", "DELETE"}} {
		c.must(&redisbinding.InvokeRequest{Operation: redisbinding.CreateOperation, Metadata: metadata{names.key: key, "unknown": "field"}, Data: value})
		c.holds("a field is found without regard to case, "+names.key+" too", key, value)
		got := c.must(&redisbinding.InvokeRequest{Operation: redisbinding.GetOperation, Metadata: metadata{names.key: key, names.remove: "true"}})
		c.same("a get with "+names.remove+"=true", got, value)
		c.missing("a field is found without regard to case, "+names.remove+" too", key)
	}
	c.refuses("a field is found without regard to case, TTLINSECONDS too", create(key, string(value), "TTLINSECONDS", "abc"))

	c.must(create(key, string(value), "KEY", key)) // one is the exact name
	c.must(&redisbinding.InvokeRequest{Operation: redisbinding.DeleteOperation, Metadata: metadata{redisbinding.KeyField: key, "Key": c.key("other")}})
	c.missing("the exact name of a field comes before others", key)
}

// ignoresFields checks that what is for another operation has no effect.
func ignoresFields(c *check) {
	key, value := c.key("key"), []byte("5")
	c.must(create(key, string(value), redisbinding.DeleteField, "true"))
	c.holds("a create with delete=true stores like any other", key, value)
	c.same("a get with a TTL", c.must(get(key, ttlField, "50ms")), value)
	c.passes()
	c.holds("a get with a TTL gives the key none", key, value)
	if c.lists(redisbinding.IncrementOperation) {
		with := increment(key, redisbinding.DeleteField, "true")
		with.Data = []byte("100")
		c.same("an increment with data and delete=true", c.must(with), []byte("6"))
		c.holds("an increment with data and delete=true counts like any other", key, []byte("6"))
	}
	c.must(remove(key))
}

func getDeletesOnce(c *check) {
	const rounds, callers = 20, 32
	for range rounds {
		key, value := c.key("key"), []byte("value")
		c.must(create(key, string(value)))
		var (
			mu  sync.Mutex
			got [][]byte
		)
		many(callers, func(int) {
			resp, err := c.invoke(c.Context(), get(key, redisbinding.DeleteField, "true"))
			if err != nil {
				c.Errorf("a get with delete=true by one of %d callers: %v", callers, err)
				return
			}
			if resp.Data != nil {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, resp.Data)
			}
		})
		if len(got) != 1 {
			c.Fatalf("of %d callers of a get with delete=true exactly one gets the value, got %d", callers, len(got))
			return
		}
		c.same("what the one caller of a get with delete=true gets", got[0], value)
	}
}

func increments(c *check) {
	key := c.key("counter")
	for _, want := range []string{"1", "2", "3"} {
		c.same("an increment answers the new number, from 1 for a missing key", c.must(increment(key)), []byte(want))
		c.holds("an increment stores the new number", key, []byte(want))
	}
	for from, want := range map[string]string{
		"41": "42", "-1": "0", "-10": "-9", "9": "10",
		// Numbers that a float64 cannot hold.
		"9007199254740992": "9007199254740993", "-9007199254740994": "-9007199254740993",
		"9223372036854775806": "9223372036854775807",
	} {
		c.must(create(key, from))
		c.same("an increment of "+from, c.must(increment(key)), []byte(want))
		c.holds("an increment of "+from+" stores it", key, []byte(want))
	}
	c.must(remove(key))
	c.same("an increment of a deleted key", c.must(increment(key)), []byte("1"))
	c.must(remove(key))
}

func incrementRefuses(c *check) {
	key := c.key("key")
	for _, value := range []string{"abc", "1.5", "1 apple", "", "9223372036854775807", "\xff\x00"} {
		c.must(create(key, value))
		const rule = "an increment of what is no number, or has no next one, is an error"
		c.refuses(rule, increment(key))
		c.holds(rule+" and leaves it as it was", key, []byte(value))
		c.refuses(rule, increment(key, redisbinding.TTLField, "3600"))
		c.holds(rule+" and leaves it as it was, with a TTL too", key, []byte(value))
		c.refuses(rule, increment(key, redisbinding.TTLField, "50ms"))
	}
	c.passes()
	c.holds("an increment that is refused gives the key no TTL", key, []byte("\xff\x00"))
	c.must(remove(key))
}

func incrementsExactly(c *check) {
	const callers, calls = 64, 10
	key := c.key("counter")
	var (
		mu   sync.Mutex
		seen = map[string]int{}
	)
	many(callers, func(int) {
		for range calls {
			resp, err := c.invoke(c.Context(), increment(key))
			if err != nil {
				c.Errorf("an increment by one of %d callers: %v", callers, err)
				return
			}
			mu.Lock()
			seen[string(resp.Data)]++
			mu.Unlock()
		}
	})
	for n := 1; n <= callers*calls; n++ {
		if seen[strconv.Itoa(n)] != 1 {
			c.Errorf("%d increments by %d callers answer each number from 1 on once, got %d %d times", callers*calls, callers, n, seen[strconv.Itoa(n)])
			break
		}
	}
	c.holds("increments by many callers are counted exactly", key, []byte(strconv.Itoa(callers*calls)))
	c.must(remove(key))
}
