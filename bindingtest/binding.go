package bindingtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/redisbinding/redisbinding"
)

// NoTTL is what [Binding.TTL] answers for a key that lives until it is deleted.
const NoTTL time.Duration = -1

// Binding is a binding to a Redis in memory, and the hands on that Redis. It is
// what [redisbinding.NewRedisBinding] makes, with all its methods. Make it with
// [New]; any number of goroutines may use it.
//
// Advance, TTL, Value and Keys reach the Redis past the binding: they work as well
// while it fails or is away, and when the binding is closed. TTL, Value and Keys
// look at database 0, as a binding does whose metadata names no redisDB.
type Binding struct {
	*redisbinding.RedisBinding

	tb     testing.TB
	server *server
}

var _ redisbinding.OutputBinding = (*Binding)(nil)

// New returns a binding that is ready to use, on a Redis of its own in memory,
// empty and listening on a free port of 127.0.0.1. Both are closed at the end of
// the test; the test may close the binding before. opts are those of
// [redisbinding.NewRedisBinding]; for metadata fields see [Binding.Metadata]. The
// test fails at once when the binding cannot be made, so New must be called on
// the goroutine of the test.
func New(tb testing.TB, opts ...redisbinding.Option) *Binding {
	tb.Helper()
	server, err := startServer()
	if err != nil {
		tb.Fatalf("bindingtest: starting the Redis in memory: %v", err)
	}
	tb.Cleanup(server.end)
	b := &Binding{tb: tb, server: server}
	b.RedisBinding, err = redisbinding.NewRedisBinding(b.Metadata(), opts...)
	if err != nil {
		tb.Fatalf("bindingtest: making the binding: %v", err)
	}
	tb.Cleanup(func() { // before the server
		if err := b.Close(); err != nil {
			tb.Errorf("bindingtest: closing the binding: %v", err)
		}
	})
	return b
}

// Metadata returns the metadata table that reaches this Redis: for code under
// test that makes a binding of its own, to which fields may be added. The map is
// the caller's own.
func (b *Binding) Metadata() map[string]string {
	return map[string]string{"redisHost": b.server.addr}
}

// Advance moves the clock of Redis on by d, which otherwise stands still, however
// long a test takes: the keys whose TTL has passed are gone when it returns. A
// negative d panics, as time does not go back.
func (b *Binding) Advance(d time.Duration) {
	if d < 0 {
		panic(fmt.Sprintf("bindingtest: Advance(%s): time does not go back", d))
	}
	b.server.redis.FastForward(d)
}

// TTL returns what is left of the key's life by the clock of Redis: more than 0,
// [NoTTL] for a key that lives until it is deleted, or 0 for one that is not there.
func (b *Binding) TTL(key string) time.Duration {
	db := b.server.redis.DB(0)
	if ttl := db.TTL(key); ttl > 0 {
		return ttl
	}
	if !db.Exists(key) {
		return 0
	}
	if ttl := db.TTL(key); ttl > 0 { // it came in between
		return ttl
	}
	return NoTTL
}

// Value returns what is stored at the key, as a get does: nil when it is not
// there, and a slice of length 0 that is not nil when it is empty. The slice is
// the caller's own.
func (b *Binding) Value(key string) []byte {
	value, err := b.server.redis.DB(0).Get(key)
	if err != nil {
		return nil
	}
	return append([]byte{}, value...)
}

// Keys returns the keys that are there, sorted. The slice is the caller's own.
func (b *Binding) Keys() []string { return b.server.redis.DB(0).Keys() }

// Fail has Redis answer every command with an error, until Fail(""). The reply is
// what a server would say, on one line and without the leading minus: "READONLY
// You can't write against a read only replica." or "LOADING Redis is loading the
// dataset in memory". The commands that come meanwhile change nothing. Connecting
// works, as it does with a Redis in such a state. Whether Redis is there at the
// moment does not matter: see [Binding.Stop].
func (b *Binding) Fail(reply string) {
	b.server.fail(reply)
}

// Stop has Redis go away: it closes its connections and refuses new ones, so that
// Ping and Invoke are errors, for which errors.Is finds
// [redisbinding.ErrUnavailable], until [Binding.Start]. The keys and their TTLs
// stay. When it returns no command is carried out any more. Stop does nothing when
// Redis is away already.
func (b *Binding) Stop() { b.server.stop() }

// Start has a Redis that went away with [Binding.Stop] come back, at the same
// address and with its keys. It does nothing when Redis is there. The test fails
// should somebody else have taken the port and keep it for 10s.
func (b *Binding) Start() {
	b.tb.Helper()
	if err := b.server.start(); err != nil {
		b.tb.Errorf("bindingtest: Redis does not come back: %v", err)
	}
}
