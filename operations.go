package redisbinding

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/wording"
)

// Scripts stand in where Redis has no single command: a script is carried out
// as one.
const (
	// getDelScript is GETDEL for servers before 6.2.
	getDelScript = `local v = redis.call('GET', KEYS[1]) redis.call('DEL', KEYS[1]) return v`
	// incrScript is INCR with a TTL in milliseconds. It changes nothing when a command
	// fails: the user may lack one of GET, SET and INCR, so each runs once without an
	// effect before anything changes. SET has none with NX on a key that exists, and
	// with XX on one that does not. INCR comes before the other changes. GET reads the
	// number back because Lua's numbers are exact only up to 2^53.
	incrScript = `local v = redis.call('GET', KEYS[1]) ` +
		`redis.call('SET', KEYS[1], 0, 'PX', ARGV[1], v and 'NX' or 'XX') redis.call('INCR', KEYS[1]) ` +
		`local n = redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], n, 'PX', ARGV[1]) return n`
)

// operate executes the request with the call that was made for it.
func (b *RedisBinding) operate(ctx context.Context, req *InvokeRequest, cmd *call) (*InvokeResponse, error) {
	getDel := cmd.is("getdel")
	reply, found, err := b.client.do(ctx, cmd)
	if getDel && b.lacksGetDel(err) {
		if cmd, err = b.command(req); err != nil {
			return nil, err
		}
		reply, found, err = b.client.do(ctx, cmd)
	}
	if err != nil {
		return nil, err
	}
	return &InvokeResponse{Data: replyData(req.Operation, reply, found)}, nil
}

// command checks the request and returns the call that carries it out.
func (b *RedisBinding) command(req *InvokeRequest) (*call, error) {
	if req == nil {
		return nil, &RequestError{Reason: "is nil"}
	}
	var command func(string, *InvokeRequest) (*call, error)
	switch req.Operation {
	case CreateOperation:
		command = b.create
	case GetOperation:
		command = b.get
	case DeleteOperation:
		command = b.delete
	case IncrementOperation:
		command = b.increment
	default:
		return nil, b.unsupported(req.Operation)
	}
	key, err := requestField(req, KeyField)
	if err != nil {
		return nil, err
	}
	if key == "" {
		return nil, ErrMissingKey
	}
	return command(key, req)
}

// replyData returns the data of the response: that of a get or an increment, which
// is nil only for a key that does not exist. The reply's memory becomes the
// caller's own.
func replyData(operation OperationKind, reply string, found bool) []byte {
	switch {
	case !found || operation != GetOperation && operation != IncrementOperation:
		return nil
	case len(reply) <= 1:
		return append([]byte{}, reply...) // short strings may be constants
	}
	return unsafe.Slice(unsafe.StringData(reply), len(reply)) //nolint:gosec // nobody else has it
}

func (b *RedisBinding) unsupported(operation OperationKind) error {
	var names []string
	for _, o := range b.Operations() {
		names = append(names, string(o))
	}
	return fmt.Errorf("%w: %s (supported: %s)", ErrUnsupportedOperation,
		wording.Quoted(string(operation)), strings.Join(names, ", "))
}

// requestField returns a field of the request metadata, "" when it is absent.
// The exact name is looked up first: that is what nearly every request has.
func requestField(req *InvokeRequest, name string) (string, error) {
	value, exact := req.Metadata[name]
	if exact {
		return value, nil
	}
	if _, key := req.Metadata[KeyField]; key && len(req.Metadata) == 1 {
		return "", nil // nothing else is there to look through
	}
	found := false
	for other, v := range req.Metadata {
		if !strings.EqualFold(other, name) {
			continue
		}
		if found && v != value {
			return "", &RequestError{Field: name, Reason: "is given twice, with different values"}
		}
		value, found = v, true
	}
	return value, nil
}

// requestTTL returns the TTL that the request carries, 0 when it carries none.
func requestTTL(req *InvokeRequest) (time.Duration, error) {
	text, err := requestField(req, TTLField)
	if text == "" || err != nil {
		return 0, err
	}
	ttl, err := parseTTL(text)
	if err != nil {
		return 0, &RequestError{Field: TTLField, Reason: err.Error()}
	}
	return ttl, nil
}

// create is SET, with EX or PX when there is a TTL.
func (b *RedisBinding) create(key string, req *InvokeRequest) (*call, error) {
	ttl, err := requestTTL(req)
	if err != nil {
		return nil, err
	}
	if ttl == 0 {
		ttl = b.metadata.TTL
	}
	switch {
	case ttl == 0:
		return newCall(true, key, "set", key, req.Data), nil
	case ttl%time.Second == 0:
		return newCall(true, key, "set", key, req.Data, "ex", int64(ttl/time.Second)), nil
	}
	return newCall(true, key, "set", key, req.Data, "px", ttl.Milliseconds()), nil
}

// get is GET, or GETDEL with delete=true, or the script that does the same once a
// server has answered that it has no GETDEL.
func (b *RedisBinding) get(key string, req *InvokeRequest) (*call, error) {
	text, err := requestField(req, DeleteField)
	if err != nil {
		return nil, err
	}
	remove := false
	if text != "" {
		if remove, err = parseBool(text); err != nil {
			return nil, &RequestError{Field: DeleteField, Reason: err.Error()}
		}
	}
	switch {
	case !remove:
		return newCall(true, key, "get", key), nil
	case b.noGetDel.Load():
		return newCall(false, key, "eval", getDelScript, "1", key), nil
	}
	return newCall(false, key, "getdel", key), nil
}

// lacksGetDel says whether err is a server's answer to GETDEL that it has none.
func (b *RedisBinding) lacksGetDel(err error) bool {
	if err == nil {
		b.hasGetDel.Store(true)
		return false
	}
	if !redis.HasErrorPrefix(err, "unknown command") {
		return false
	}
	if b.noGetDel.CompareAndSwap(false, true) {
		b.logger.Info("redisbinding: the server has no GETDEL (Redis before 6.2): using a script with the same effect")
	}
	return true
}

// delete is DEL.
func (b *RedisBinding) delete(key string, _ *InvokeRequest) (*call, error) {
	return newCall(true, key, "del", key), nil
}

// increment is INCR, or the script that sets the TTL in the same step.
func (b *RedisBinding) increment(key string, req *InvokeRequest) (*call, error) {
	ttl, err := requestTTL(req)
	if err != nil {
		return nil, err
	}
	if ttl == 0 {
		return newCall(false, key, "incr", key), nil
	}
	return newCall(false, key, "eval", incrScript, "1", key, ttl.Milliseconds()), nil
}
