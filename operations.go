package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Scripts stand in where Redis has no single command: a script is carried out
// as one.
const (
	// getDelScript is GETDEL for servers before 6.2.
	getDelScript = `local v = redis.call('GET', KEYS[1]) redis.call('DEL', KEYS[1]) return v`
	// incrScript is INCR with a TTL in milliseconds. With SET in place of PEXPIRE
	// the operations' commands are all a user needs; for one who lacks SET the
	// first, which changes nothing that INCR would not, ends it before anything
	// is counted. The number is read back because Lua's own are exact only up to 2^53.
	incrScript = `redis.call('SET', KEYS[1], 0, 'PX', ARGV[1], 'NX') redis.call('INCR', KEYS[1]) ` +
		`local n = redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], n, 'PX', ARGV[1]) return n`
)

// operate checks the request and carries it out.
func (b *RedisBinding) operate(ctx context.Context, req *InvokeRequest) (*InvokeResponse, error) {
	var operation func(context.Context, string, *InvokeRequest) (*InvokeResponse, error)
	switch req.Operation {
	case CreateOperation:
		operation = b.create
	case GetOperation:
		operation = b.get
	case DeleteOperation:
		operation = b.delete
	case IncrementOperation:
		operation = b.increment
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
	return operation(ctx, key, req)
}

func (b *RedisBinding) unsupported(operation OperationKind) error {
	var names []string
	for _, o := range b.Operations() {
		names = append(names, string(o))
	}
	return fmt.Errorf("%w: %s (supported: %s)", ErrUnsupportedOperation,
		quoted(string(operation)), strings.Join(names, ", "))
}

// requestField returns a field of the request metadata, "" when it is absent.
// The exact name is looked up first: that is what nearly every request has.
func requestField(req *InvokeRequest, name string) (string, error) {
	value, exact := req.Metadata[name]
	if exact {
		return value, nil
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
func (b *RedisBinding) create(ctx context.Context, key string, req *InvokeRequest) (*InvokeResponse, error) {
	ttl, err := requestTTL(req)
	if err != nil {
		return nil, err
	}
	if ttl == 0 {
		ttl = b.metadata.TTL
	}
	args := []any{"set", key, keep(ctx, req.Data)}
	switch {
	case ttl == 0:
	case ttl%time.Second == 0:
		args = append(args, "ex", int64(ttl/time.Second))
	default:
		args = append(args, "px", ttl.Milliseconds())
	}
	if err := b.client.call(ctx, newCommand(ctx, true, args...)); err != nil {
		return nil, err
	}
	return &InvokeResponse{}, nil
}

// get is GET, or GETDEL with delete=true.
func (b *RedisBinding) get(ctx context.Context, key string, req *InvokeRequest) (*InvokeResponse, error) {
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
	var cmd *command
	if remove {
		cmd, err = b.getDel(ctx, key)
	} else {
		cmd = newCommand(ctx, true, "get", key)
		err = b.client.call(ctx, cmd)
	}
	if errors.Is(err, redis.Nil) {
		return &InvokeResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &InvokeResponse{Data: replyBytes(cmd)}, nil
}

// getDel is GETDEL, or the script that does the same once a server has
// answered that it has no GETDEL.
func (b *RedisBinding) getDel(ctx context.Context, key string) (*command, error) {
	if !b.noGetDel.Load() {
		cmd := newCommand(ctx, false, "getdel", key)
		err := b.client.call(ctx, cmd)
		if !redis.HasErrorPrefix(err, "unknown command") {
			return cmd, err
		}
		if b.noGetDel.CompareAndSwap(false, true) {
			b.logger.Info("redisbinding: the server has no GETDEL (Redis before 6.2): using a script with the same effect")
		}
	}
	cmd := newCommand(ctx, false, "eval", getDelScript, "1", key)
	return cmd, b.client.call(ctx, cmd)
}

// replyBytes returns the reply as bytes that are the caller's own, not nil.
func replyBytes(cmd *command) []byte {
	if text := cmd.Val(); len(text) <= 1 {
		// Bytes shares the string's memory, and short strings may be constants.
		return append([]byte{}, text...)
	}
	data, _ := cmd.Bytes()
	return data
}

// delete is DEL.
func (b *RedisBinding) delete(ctx context.Context, key string, _ *InvokeRequest) (*InvokeResponse, error) {
	if err := b.client.call(ctx, newCommand(ctx, true, "del", key)); err != nil {
		return nil, err
	}
	return &InvokeResponse{}, nil
}

// increment is INCR, or the script that sets the TTL in the same step.
func (b *RedisBinding) increment(ctx context.Context, key string, req *InvokeRequest) (*InvokeResponse, error) {
	ttl, err := requestTTL(req)
	if err != nil {
		return nil, err
	}
	cmd := newCommand(ctx, false, "incr", key)
	if ttl != 0 {
		cmd = newCommand(ctx, false, "eval", incrScript, "1", key, ttl.Milliseconds())
	}
	if err := b.client.call(ctx, cmd); err != nil {
		return nil, err
	}
	return &InvokeResponse{Data: []byte(cmd.Val())}, nil
}
