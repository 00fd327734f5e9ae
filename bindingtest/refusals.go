package bindingtest

import (
	"github.com/redisbinding/redisbinding"
)

func refusesMissingKey(c *check) {
	for _, operation := range c.binding.Operations() {
		for _, fields := range []metadata{nil, {}, {redisbinding.KeyField: ""}, {ttlField: longTTL}} {
			c.refuses("a request without a key, or with an empty one, is an error",
				&redisbinding.InvokeRequest{Operation: operation, Metadata: fields, Data: []byte("value")})
		}
	}
}

func refusesUnknownOperation(c *check) {
	const rule = "an operation that Operations does not list is an error"
	missing, key := c.key("missing"), c.key("key")
	c.must(create(key, "5"))
	for _, operation := range []redisbinding.OperationKind{"", "upsert", "exec", "create ", "CREATE", "Get", "getdel", "increment\n"} {
		if c.lists(operation) {
			continue
		}
		for _, at := range []string{missing, key} {
			c.refuses(rule, &redisbinding.InvokeRequest{Operation: operation, Metadata: metadata{redisbinding.KeyField: at}, Data: []byte("value")})
		}
		c.missing(rule+" and stores nothing", missing)
		c.holds(rule+" and leaves what was there", key, []byte("5"))
	}
	c.must(remove(key))
}

func refusesDeleteFlag(c *check) {
	const rule = "a get whose delete flag is no boolean is an error"
	missing, key := c.key("missing"), c.key("key")
	c.must(create(key, "value"))
	for _, flag := range []string{"maybe", "2", "-1", "truee", "null"} {
		c.refuses(rule, get(key, redisbinding.DeleteField, flag))
		c.holds(rule+" and removes nothing", key, []byte("value"))
		c.refuses(rule, get(missing, redisbinding.DeleteField, flag))
		c.missing(rule+" and stores nothing", missing)
	}
	c.must(remove(key))
}

func refusesNil(c *check) {
	c.refuses("a nil request is an error", nil)
	key := c.key("key")
	c.must(create(key, "value"))
	c.holds("a binding works after a nil request", key, []byte("value"))
	c.must(remove(key))
}
