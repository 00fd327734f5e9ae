package bindingtest

import (
	"time"

	"github.com/redisbinding/redisbinding"
)

const (
	ttlField = redisbinding.TTLField
	longTTL  = "3600" // longer than any check takes
)

// advance moves the binding's clock on, or answers false when it cannot be moved.
func (c *check) advance(d time.Duration) bool {
	clock, ok := c.binding.(interface{ Advance(d time.Duration) })
	if ok {
		clock.Advance(d)
	}
	return ok
}

// ends checks that the key, which the requests write in turn, lives for the TTL and
// no longer.
func (c *check) ends(rule, key string, ttl time.Duration, writes ...*redisbinding.InvokeRequest) {
	c.Helper()
	begin := time.Now()
	for _, write := range writes {
		begin = time.Now()
		c.must(write)
	}
	c.lives(rule, key, ttl, begin)
}

// lives checks that the key, which got its TTL when begin was, or later, lives for
// the TTL and no longer.
func (c *check) lives(rule, key string, ttl time.Duration, begin time.Time) {
	c.Helper()
	if c.advance(ttl - time.Millisecond) {
		if c.must(get(key)) == nil {
			c.Errorf("%s: the key is gone 1ms before its TTL of %s has passed", rule, ttl)
		}
		c.advance(time.Millisecond)
		if got := c.must(get(key)); got != nil {
			c.Errorf("%s: the key is there, with %s, when its TTL of %s has passed", rule, show(got), ttl)
		}
		return
	}

	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for c.must(get(key)) != nil {
		if lived := time.Since(begin); lived > ttl+c.patience {
			c.Errorf("%s: the key is there %s after it was written with a TTL of %s", rule, lived.Round(time.Millisecond), ttl)
			return
		}
		<-ticker.C
	}
	// Half of a TTL that is not short, because servers count whole milliseconds,
	// and from the moment they woke up.
	if lived := time.Since(begin); lived < ttl/2 && ttl >= 50*time.Millisecond {
		c.Errorf("%s: the key is gone %s after it was written with a TTL of %s", rule, lived, ttl)
	}
}

// passes lets 100ms pass by the clock of the binding.
func (c *check) passes() {
	c.Helper()
	const d = 100 * time.Millisecond
	key := c.key("clock")
	c.ends("a create with a TTL", key, d, create(key, "value", ttlField, d.String()))
}

func endsKeys(c *check) {
	key := c.key("key")
	c.ends("a create with a TTL in seconds", key, time.Second, create(key, "value", ttlField, "1"))
	c.missing("a key whose TTL has passed", key)
	c.ends("a create with a TTL in milliseconds", key, 50*time.Millisecond, create(key, "value", ttlField, "50ms"))
	c.ends("a create of an empty value with a TTL", key, 50*time.Millisecond, create(key, "", ttlField, "50ms"))
	if data := c.must(get(key, redisbinding.DeleteField, "true")); data != nil {
		c.Errorf("a get with delete=true of a key whose TTL has passed answers nil data, got %s", show(data))
	}

	c.must(create(key, "value"))
	other := c.key("other")
	c.ends("a create with a TTL", other, 50*time.Millisecond, create(other, "value", ttlField, "50ms"))
	c.holds("a create without a TTL outlives others that have one", key, []byte("value"))
	c.must(remove(key))
}

// takesTTLs checks that the forms of a TTL are read as what they are, as far as
// that shows without waiting for an hour.
func takesTTLs(c *check) {
	for text, ttl := range map[string]time.Duration{
		"2": 2 * time.Second, "90": 90 * time.Second, "3600": time.Hour,
		"1ms": time.Millisecond, "250ms": 250 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "90s": 90 * time.Second,
		"2m": 2 * time.Minute, "1h0.25s": time.Hour + 250*time.Millisecond, "87600h": 87600 * time.Hour,
	} {
		key := c.key(text)
		write := create(key, "value", ttlField, text)
		if _, movable := c.binding.(interface{ Advance(d time.Duration) }); movable || ttl < time.Second {
			c.ends("a create with the TTL "+text, key, ttl, write)
			continue
		}
		if c.must(write); ttl >= time.Minute {
			c.holds("a key is there before its TTL of "+text+" has passed", key, []byte("value"))
		}
		c.must(remove(key))
	}
}

func createReplacesTTL(c *check) {
	key := c.key("key")
	const short = 50 * time.Millisecond

	c.must(create(key, "one", ttlField, short.String()))
	c.must(create(key, "two"))
	c.passes()
	c.holds("a create without a TTL leaves none of an earlier create", key, []byte("two"))

	c.must(create(key, "one", ttlField, short.String()))
	c.must(create(key, "two", ttlField, longTTL))
	c.passes()
	c.holds("a create with a longer TTL replaces the shorter one", key, []byte("two"))

	c.ends("a create with a TTL replaces a longer one", key, short,
		create(key, "one", ttlField, longTTL), create(key, "two", ttlField, short.String()))
	c.ends("a create with a TTL of a key without one", key, short,
		create(key, "one"), create(key, "two", ttlField, short.String()))
}

var badTTLs = []string{"abc", "0", "0s", "-5", "-5s", "18446744074", "18446744074000000000", "1us", "999999ns", "1.5", "NaN", "1 apple"}

func refusesTTLs(c *check) {
	const rule = "a create with a bad TTL is an error"
	key, missing := c.key("key"), c.key("missing")
	c.must(create(key, "old"))
	for _, ttl := range badTTLs {
		c.refuses(rule, create(missing, "new", ttlField, ttl))
		c.missing(rule+" and stores nothing (TTL "+ttl+")", missing)
		c.refuses(rule, create(key, "new", ttlField, ttl))
		c.holds(rule+" and leaves what was there (TTL "+ttl+")", key, []byte("old"))
	}
	c.must(remove(key))
}

func incrementEndsKeys(c *check) {
	key := c.key("counter")
	const short = 50 * time.Millisecond
	c.ends("an increment with a TTL", key, time.Second, increment(key, ttlField, "1"))
	c.same("an increment of a key whose TTL has passed", c.must(increment(key)), []byte("1"))
	c.ends("an increment with a TTL of a key without one", key, short, increment(key, ttlField, short.String()))
	c.ends("an increment with a TTL replaces a longer one", key, short,
		create(key, "1", ttlField, longTTL), increment(key, ttlField, short.String()))

	c.must(create(key, "9007199254740992"))
	c.same("an increment with a TTL of 9007199254740992", c.must(increment(key, ttlField, longTTL)), []byte("9007199254740993"))
	c.holds("an increment with a TTL stores the number", key, []byte("9007199254740993"))

	// On a slow day the key is gone before it is incremented, and counts from 1.
	const tries, ttl = 50, 250 * time.Millisecond
	for range tries {
		begin := time.Now()
		c.must(create(key, "1", ttlField, ttl.String()))
		if got := c.must(increment(key)); string(got) == "2" {
			c.lives("an increment without a TTL leaves the one there is", key, ttl, begin)
			return
		}
	}
	c.Errorf("an increment without a TTL of a key with one counts: none of %d did", tries)
}

func incrementRefusesTTLs(c *check) {
	const rule = "an increment with a bad TTL is an error"
	key, missing := c.key("counter"), c.key("missing")
	c.must(create(key, "5"))
	for _, ttl := range badTTLs {
		c.refuses(rule, increment(missing, ttlField, ttl))
		c.missing(rule+" and stores nothing (TTL "+ttl+")", missing)
		c.refuses(rule, increment(key, ttlField, ttl))
		c.holds(rule+" and counts nothing (TTL "+ttl+")", key, []byte("5"))
	}
	c.must(remove(key))
}
