package bindingtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
)

// invoker carries out a request, as Invoke does.
type invoker func(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error)

// broken is a good binding with a defect.
type broken struct {
	*Binding
	invoke     invoker
	operations func() []redisbinding.OperationKind
	ping       func(ctx context.Context) error
	close      func() error
}

func (b *broken) Invoke(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
	return b.invoke(ctx, req)
}
func (b *broken) Operations() []redisbinding.OperationKind { return b.operations() }
func (b *broken) Ping(ctx context.Context) error           { return b.ping(ctx) }
func (b *broken) Close() error                             { return b.close() }

// do carries out a request as the good binding does, in no hurry.
func (b *broken) do(req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
	return b.RedisBinding.Invoke(context.Background(), req)
}

// with returns the request with its metadata changed by the names and values, where
// an empty value removes the field.
func with(req *redisbinding.InvokeRequest, more ...string) *redisbinding.InvokeRequest {
	changed := *req
	changed.Metadata = metadata{}
	maps.Copy(changed.Metadata, req.Metadata)
	for i := 0; i < len(more); i += 2 {
		if delete(changed.Metadata, more[i]); more[i+1] != "" {
			changed.Metadata[more[i]] = more[i+1]
		}
	}
	return &changed
}

// onData returns a defect in what a get answers when there is something.
func onData(change func(data []byte) []byte) func(b *broken) {
	return func(b *broken) {
		b.invoke = func(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err == nil && resp.Data != nil && req.Operation == redisbinding.GetOperation {
				resp.Data = change(resp.Data)
			}
			return resp, err
		}
	}
}

// onRequest returns a defect in what becomes of a request.
func onRequest(change func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest) func(b *broken) {
	return func(b *broken) {
		b.invoke = func(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if req != nil {
				req = change(req)
			}
			return b.RedisBinding.Invoke(ctx, req)
		}
	}
}

// onInvoke returns a defect that sees the whole call.
func onInvoke(invoke func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error)) func(b *broken) {
	return func(b *broken) {
		b.invoke = func(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if req == nil {
				return b.RedisBinding.Invoke(ctx, req)
			}
			return invoke(b, ctx, req)
		}
	}
}

func keyOf(req *redisbinding.InvokeRequest) string { return req.Metadata[redisbinding.KeyField] }

func wants(req *redisbinding.InvokeRequest, operation redisbinding.OperationKind) bool {
	return req.Operation == operation
}

// none is what an operation answers that has nothing to say.
func none() (*redisbinding.InvokeResponse, error) { return &redisbinding.InvokeResponse{}, nil }

// defects are those that bindings have had, or might have, and the rules that tell.
var defects = []struct {
	name  string
	rules []string // all of them must tell
	make  func(b *broken)
}{
	{"ping fails", []string{"ping"}, func(b *broken) {
		b.ping = func(context.Context) error { return errors.New("down") }
	}},
	{"ping ignores its context", []string{"canceled context", "expired deadline"}, func(b *broken) {
		b.ping = func(context.Context) error { return b.RedisBinding.Ping(context.Background()) }
	}},
	{"ping succeeds after close", []string{"close"}, func(b *broken) {
		b.ping = func(ctx context.Context) error {
			if err := b.RedisBinding.Ping(ctx); !errors.Is(err, redisbinding.ErrClosed) {
				return err
			}
			return nil
		}
	}},
	{"delete spares keys with a TTL", []string{"create, get, delete"}, onInvoke(func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		if wants(req, redisbinding.DeleteOperation) && b.TTL(keyOf(req)) > 0 {
			return none()
		}
		return b.RedisBinding.Invoke(ctx, req)
	})},
	{"get with delete spares keys with a TTL", []string{"get with delete"}, onInvoke(func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		if wants(req, redisbinding.GetOperation) && b.TTL(keyOf(req)) > 0 {
			req = with(req, redisbinding.DeleteField, "")
		}
		return b.RedisBinding.Invoke(ctx, req)
	})},
	{"create forgets the TTL of an empty value", []string{"TTL"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		if wants(req, redisbinding.CreateOperation) && len(req.Data) == 0 && keyOf(req) != "" && req.Metadata[ttlField] == "50ms" {
			return with(req, ttlField, "")
		}
		return req
	})},
	{"a refused increment sets its TTL", []string{"increment of what is no number"}, onInvoke(func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		resp, err := b.RedisBinding.Invoke(ctx, req)
		if ttl := req.Metadata[ttlField]; err != nil && ttl != "" && wants(req, redisbinding.IncrementOperation) && ctx.Err() == nil {
			_, _ = b.do(create(keyOf(req), string(b.Value(keyOf(req))), ttlField, ttl))
		}
		return resp, err
	})},
	{"operations in any case", []string{"unknown operation"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		changed := *req
		changed.Operation = redisbinding.OperationKind(strings.ToLower(string(req.Operation)))
		return &changed
	})},
	{"drops the last byte of odd values", []string{"large values"}, onData(func(data []byte) []byte {
		if len(data) > 300 && len(data)%2 == 1 {
			return data[:len(data)-1]
		}
		return data
	})},
	{"get with a TTL sets it", []string{"metadata of other operations"}, onInvoke(func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		resp, err := b.RedisBinding.Invoke(ctx, req)
		if ttl := req.Metadata[ttlField]; err == nil && ttl != "" && wants(req, redisbinding.GetOperation) {
			_, _ = b.do(create(keyOf(req), string(resp.Data), ttlField, ttl))
		}
		return resp, err
	})},
	{"increment adds its data", []string{"metadata of other operations"}, onInvoke(func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
		if wants(req, redisbinding.IncrementOperation) && len(req.Data) > 0 {
			_, _ = b.do(create(keyOf(req), string(req.Data)))
		}
		return b.RedisBinding.Invoke(ctx, req)
	})},
	{"lists no delete", []string{"operations"}, func(b *broken) {
		b.operations = func() []redisbinding.OperationKind {
			return []redisbinding.OperationKind{redisbinding.CreateOperation, redisbinding.GetOperation}
		}
	}},
	{"lists an operation twice", []string{"operations"}, func(b *broken) {
		b.operations = func() []redisbinding.OperationKind {
			return append(b.RedisBinding.Operations(), redisbinding.GetOperation)
		}
	}},
	{"lists its own slice", []string{"operations"}, func(b *broken) {
		own := b.RedisBinding.Operations()
		b.operations = func() []redisbinding.OperationKind { return own }
	}},
	{"lists an increment it has not", []string{"increment", "increment by many callers", "increment with TTL"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if wants(req, redisbinding.IncrementOperation) {
				return nil, redisbinding.ErrUnsupportedOperation
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},

	{"answers no response", []string{"create, get, delete"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if wants(req, redisbinding.DeleteOperation) {
				resp = nil
			}
			return resp, err
		})},
	{"answers a response with an error", []string{"missing key", "unknown operation", "bad TTL"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err != nil {
				resp = &redisbinding.InvokeResponse{}
			}
			return resp, err
		})},
	{"create answers the value", []string{"create, get, delete"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err == nil && wants(req, redisbinding.CreateOperation) {
				resp.Data = req.Data
			}
			return resp, err
		})},
	{"create keeps the first value", []string{"create replaces the value"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if wants(req, redisbinding.CreateOperation) && b.Value(keyOf(req)) != nil {
				return none()
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"delete of a missing key fails", []string{"create, get, delete"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if wants(req, redisbinding.DeleteOperation) && b.Value(keyOf(req)) == nil {
				return nil, errors.New("no such key")
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"delete does nothing", []string{"create, get, delete", "keys of all kinds"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if wants(req, redisbinding.DeleteOperation) {
				return none()
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"a missing key is an error", []string{"missing is not empty", "create, get, delete"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err == nil && wants(req, redisbinding.GetOperation) && resp.Data == nil {
				return nil, errors.New("no such key")
			}
			return resp, err
		})},
	{"empty for missing", []string{"missing is not empty", "create, get, delete"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err == nil && wants(req, redisbinding.GetOperation) && resp.Data == nil {
				resp.Data = []byte{}
			}
			return resp, err
		})},
	{"nil for empty", []string{"missing is not empty"}, onData(func(data []byte) []byte { return append([]byte(nil), data...) })},
	{"nil data stores nothing", []string{"missing is not empty"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if wants(req, redisbinding.CreateOperation) && req.Data == nil {
				return none()
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"nil data is the JSON null", []string{"missing is not empty"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		if req = with(req); req.Data == nil {
			req.Data = []byte("null")
		}
		return req
	})},
	{"get with delete leaves the key", []string{"get with delete", "one value goes to one caller"},
		onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
			return with(req, redisbinding.DeleteField, "")
		})},
	{"any delete flag deletes", []string{"get with delete"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		if _, has := req.Metadata[redisbinding.DeleteField]; has {
			req = with(req, redisbinding.DeleteField, "true")
		}
		return req
	})},
	{"get and delete one after the other", []string{"one value goes to one caller"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if req.Metadata[redisbinding.DeleteField] != "true" {
				return b.RedisBinding.Invoke(ctx, req)
			}
			resp, err := b.RedisBinding.Invoke(ctx, with(req, redisbinding.DeleteField, ""))
			if err == nil {
				time.Sleep(time.Millisecond) // so that others come in between
				_, err = b.RedisBinding.Invoke(ctx, remove(keyOf(req)))
			}
			return resp, err
		})},
	{"field names in one case only", []string{"metadata in any case"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if keyOf(req) == "" {
				return nil, redisbinding.ErrMissingKey
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},

	{"drops what is no UTF-8", []string{"values of all kinds", "large values"}, onData(func(data []byte) []byte {
		return bytes.ToValidUTF8(data, []byte("\uFFFD"))
	})},
	{"ends a value at NUL", []string{"values of all kinds"}, onData(func(data []byte) []byte {
		before, _, _ := bytes.Cut(data, []byte{0})
		return before
	})},
	{"trims values", []string{"values of all kinds"}, onData(bytes.TrimSpace)},
	{"takes CRLF for a line's end", []string{"values of all kinds"}, onData(func(data []byte) []byte {
		return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	})},
	{"reads JSON and writes it", []string{"values of all kinds"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		req = with(req)
		req.Data = bytes.ReplaceAll(req.Data, []byte("9007199254740993"), []byte("9007199254740992"))
		return req
	})},
	{"unpacks JSON strings", []string{"values of all kinds"}, onData(func(data []byte) []byte {
		if text, err := strconv.Unquote(string(data)); err == nil {
			return []byte(text)
		}
		return data
	})},
	{"loses the first byte of 1 MiB", []string{"large values"}, onData(func(data []byte) []byte {
		if len(data) >= 1<<20 {
			return data[1:]
		}
		return data
	})},
	{"loses the end of 1 MiB", []string{"large values"}, onData(func(data []byte) []byte { return data[:min(len(data), 1<<20-1)] })},
	{"swaps bytes of 1 MiB", []string{"large values"}, onData(func(data []byte) []byte {
		if len(data) >= 1<<20 {
			data[len(data)-1]++
		}
		return data
	})},
	{"trims keys", []string{"keys of all kinds"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		return with(req, redisbinding.KeyField, strings.TrimSpace(keyOf(req)))
	})},
	{"keys in lower case", []string{"keys of all kinds"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		return with(req, redisbinding.KeyField, strings.ToLower(keyOf(req)))
	})},
	{"cuts long keys", []string{"keys of all kinds"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		key := keyOf(req)
		return with(req, redisbinding.KeyField, key[:min(len(key), 1024)])
	})},
	{"takes keys for paths", []string{"keys of all kinds"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		return with(req, redisbinding.KeyField, strings.TrimPrefix(keyOf(req), "/"))
	})},
	{"shares the request's data", []string{"the request is the caller's"}, func(b *broken) {
		shared := map[string][]byte{}
		b.invoke = func(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err == nil && wants(req, redisbinding.CreateOperation) {
				shared[keyOf(req)] = req.Data
			}
			if data, has := shared[keyOf(req)]; has && wants(req, redisbinding.GetOperation) && err == nil && resp.Data != nil {
				resp.Data = slices.Clone(data)
			}
			return resp, err
		}
	}},
	{"changes the request", []string{"the request is the caller's"}, func(b *broken) {
		b.invoke = func(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			defer func() {
				if req != nil {
					delete(req.Metadata, "unknown")
				}
			}()
			return b.RedisBinding.Invoke(ctx, req)
		}
	}},
	{"shares responses", []string{"the response is the caller's"}, func(b *broken) {
		cache := map[string][]byte{}
		onData(func(data []byte) []byte {
			if cached, has := cache[string(data)]; has {
				return cached
			}
			cache[string(data)] = data
			return data
		})(b)
	}},
	{"cuts responses from one buffer", []string{"the response is the caller's"}, func(b *broken) {
		buffer := make([]byte, 0, 1<<20)
		onData(func(data []byte) []byte {
			buffer = append(buffer, data...)
			return buffer[len(buffer)-len(data):]
		})(b)
	}},

	{"forgets the TTL", []string{"TTL", "TTL in all its forms", "create replaces the TTL", "increment with TTL"},
		onInvoke(func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if slices.Contains(badTTLs, req.Metadata[ttlField]) {
				return b.RedisBinding.Invoke(ctx, req)
			}
			return b.RedisBinding.Invoke(ctx, with(req, ttlField, ""))
		})},
	{"takes seconds for milliseconds", []string{"TTL", "increment with TTL"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		if n, err := strconv.Atoi(req.Metadata[ttlField]); err == nil {
			return with(req, ttlField, strconv.Itoa(n)+"ms")
		}
		return req
	})},
	{"rounds TTLs up to seconds", []string{"TTL", "TTL in all its forms"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		if ttl, err := time.ParseDuration(req.Metadata[ttlField]); err == nil && ttl >= time.Millisecond {
			return with(req, ttlField, (ttl + time.Second - 1).Truncate(time.Second).String())
		}
		return req
	})},
	{"knows whole seconds only", []string{"TTL", "TTL in all its forms"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if text := req.Metadata[ttlField]; text != "" {
				if _, err := strconv.Atoi(text); err != nil {
					return nil, err
				}
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"a TTL for every key", []string{"TTL", "create replaces the TTL"}, onRequest(func(req *redisbinding.InvokeRequest) *redisbinding.InvokeRequest {
		if wants(req, redisbinding.CreateOperation) && req.Metadata[ttlField] == "" {
			return with(req, ttlField, "50ms")
		}
		return req
	})},
	{"create keeps the TTL of another", []string{"create replaces the TTL"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if left := b.TTL(keyOf(req)); wants(req, redisbinding.CreateOperation) && left > 0 && req.Metadata[ttlField] == "" {
				req = with(req, ttlField, left.String())
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"create keeps a longer TTL", []string{"create replaces the TTL"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if b.TTL(keyOf(req)) > time.Minute && wants(req, redisbinding.CreateOperation) {
				req = with(req, ttlField, b.TTL(keyOf(req)).String())
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"sets the TTL of new keys only", []string{"create replaces the TTL", "increment with TTL"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if b.TTL(keyOf(req)) == NoTTL {
				req = with(req, ttlField, "")
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"increment forgets the TTL there is", []string{"increment with TTL"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err == nil && wants(req, redisbinding.IncrementOperation) && req.Metadata[ttlField] == "" {
				_, err = b.RedisBinding.Invoke(ctx, create(keyOf(req), string(resp.Data)))
			}
			return resp, err
		})},
	{"increment with TTL is create 1", []string{"increment with TTL"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if !wants(req, redisbinding.IncrementOperation) || req.Metadata[ttlField] == "" {
				return b.RedisBinding.Invoke(ctx, req)
			}
			_, err := b.RedisBinding.Invoke(ctx, create(keyOf(req), "1", ttlField, req.Metadata[ttlField]))
			return &redisbinding.InvokeResponse{Data: []byte("1")}, err
		})},
	{"accepts bad TTLs", []string{"bad TTL", "increment with a bad TTL"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			var bad *redisbinding.RequestError
			if errors.As(err, &bad) && bad.Field == ttlField {
				return b.RedisBinding.Invoke(ctx, with(req, ttlField, ""))
			}
			return resp, err
		})},
	{"stores, then reads the TTL", []string{"bad TTL", "increment with a bad TTL"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			var bad *redisbinding.RequestError
			if errors.As(err, &bad) && bad.Field == ttlField {
				_, _ = b.RedisBinding.Invoke(ctx, with(req, ttlField, ""))
			}
			return resp, err
		})},
	{"a TTL of nothing deletes", []string{"bad TTL", "increment with a bad TTL"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if ttl, err := time.ParseDuration(req.Metadata[ttlField]); err == nil && ttl <= 0 {
				return b.RedisBinding.Invoke(ctx, remove(keyOf(req)))
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},

	{"counts twice", []string{"increment", "increment by many callers"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if wants(req, redisbinding.IncrementOperation) {
				_, _ = b.RedisBinding.Invoke(ctx, req)
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"increment answers nothing", []string{"increment", "increment by many callers"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err == nil && wants(req, redisbinding.IncrementOperation) {
				resp.Data = nil
			}
			return resp, err
		})},
	{"counts in float64", []string{"increment"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err == nil && wants(req, redisbinding.IncrementOperation) {
				n, _ := strconv.ParseFloat(string(resp.Data), 64)
				resp.Data = strconv.AppendFloat(nil, n, 'f', -1, 64)
			}
			return resp, err
		})},
	{"gets, adds and creates", []string{"increment by many callers"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if !wants(req, redisbinding.IncrementOperation) || req.Metadata[ttlField] != "" {
				return b.RedisBinding.Invoke(ctx, req)
			}
			resp, err := b.RedisBinding.Invoke(ctx, get(keyOf(req)))
			if err != nil {
				return nil, err
			}
			n, _ := strconv.Atoi(string(resp.Data))
			data := strconv.Itoa(n + 1)
			time.Sleep(time.Millisecond) // so that others come in between
			_, err = b.RedisBinding.Invoke(ctx, create(keyOf(req), data))
			return &redisbinding.InvokeResponse{Data: []byte(data)}, err
		})},
	{"counts what is no number from 0", []string{"increment of what is no number"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err == nil || !wants(req, redisbinding.IncrementOperation) || !strings.Contains(err.Error(), "not an integer") {
				return resp, err
			}
			_, err = b.RedisBinding.Invoke(ctx, create(keyOf(req), "1"))
			return &redisbinding.InvokeResponse{Data: []byte("1")}, err
		})},
	{"drops what is no number", []string{"increment of what is no number"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err != nil && wants(req, redisbinding.IncrementOperation) {
				_, _ = b.RedisBinding.Invoke(ctx, remove(keyOf(req)))
			}
			return resp, err
		})},

	{"accepts a missing key", []string{"missing key"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if _, has := req.Metadata[redisbinding.KeyField]; !has {
				req = with(req, redisbinding.KeyField, "default")
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"accepts an empty key", []string{"missing key"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if key, has := req.Metadata[redisbinding.KeyField]; has && key == "" {
				req = with(req, redisbinding.KeyField, "empty")
			}
			return b.RedisBinding.Invoke(ctx, req)
		})},
	{"accepts unknown operations", []string{"unknown operation"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if errors.Is(err, redisbinding.ErrUnsupportedOperation) {
				return none()
			}
			return resp, err
		})},
	{"stores with an unknown operation", []string{"unknown operation"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if errors.Is(err, redisbinding.ErrUnsupportedOperation) {
				_, _ = b.RedisBinding.Invoke(ctx, create(keyOf(req), string(req.Data)))
			}
			return resp, err
		})},
	{"accepts bad delete flags", []string{"bad delete flag"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			var bad *redisbinding.RequestError
			if errors.As(err, &bad) && bad.Field == redisbinding.DeleteField {
				return b.RedisBinding.Invoke(ctx, with(req, redisbinding.DeleteField, ""))
			}
			return resp, err
		})},
	{"removes on a bad delete flag", []string{"bad delete flag"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err != nil && req.Metadata[redisbinding.DeleteField] != "" {
				_, _ = b.RedisBinding.Invoke(ctx, remove(keyOf(req)))
			}
			return resp, err
		})},
	{"stores on a bad delete flag", []string{"bad delete flag"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err != nil && req.Metadata[redisbinding.DeleteField] != "" {
				_, _ = b.RedisBinding.Invoke(ctx, create(keyOf(req), "value"))
			}
			return resp, err
		})},
	{"panics on a nil request", []string{"nil request"}, func(b *broken) {
		b.invoke = func(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			return b.RedisBinding.Invoke(ctx, with(req))
		}
	}},
	{"accepts a nil request", []string{"nil request"}, func(b *broken) {
		b.invoke = func(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if req == nil {
				return none()
			}
			return b.RedisBinding.Invoke(ctx, req)
		}
	}},

	{"mixes up callers", []string{"many callers"}, func(b *broken) {
		var (
			mu   sync.Mutex
			last string
		)
		b.invoke = func(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if req == nil || !wants(req, redisbinding.GetOperation) {
				return b.RedisBinding.Invoke(ctx, req)
			}
			mu.Lock()
			key := last
			last = keyOf(req)
			mu.Unlock()
			if key == "" {
				key = keyOf(req)
			}
			return b.RedisBinding.Invoke(ctx, with(req, redisbinding.KeyField, key))
		}
	}},
	{"ignores contexts", []string{"canceled context", "expired deadline"}, onInvoke(
		func(b *broken, _ context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			return b.do(req)
		})},
	{"says nothing of the context", []string{"canceled context", "expired deadline"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if err != nil {
				err = fmt.Errorf("failed: %v", err)
			}
			return resp, err
		})},
	{"takes a deadline for a cancellation", []string{"expired deadline"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if errors.Is(err, context.DeadlineExceeded) {
				err = context.Canceled
			}
			return resp, err
		})},
	{"stores although the context has ended", []string{"canceled context", "expired deadline"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.do(req)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return resp, err
		})},
	{"breaks with a canceled context", []string{"canceled context", "contexts that end on the way"}, func(b *broken) {
		var gone atomic.Bool
		b.invoke = func(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			if gone.Load() {
				return nil, errors.New("the connection is gone")
			}
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if ctx.Err() != nil {
				gone.Store(true)
			}
			return resp, err
		}
	}},
	{"answers a canceled call with nothing", []string{"contexts that end on the way"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			ended := ctx.Err()
			resp, err := b.RedisBinding.Invoke(ctx, req)
			select {
			case <-ctx.Done():
				if ended == nil {
					return none()
				}
			case <-time.After(time.Millisecond):
			}
			return resp, err
		})},

	{"close fails", []string{"close"}, func(b *broken) {
		b.close = func() error { return errors.Join(b.RedisBinding.Close(), errors.New("cannot close")) }
	}},
	{"close fails the second time", []string{"close"}, func(b *broken) {
		var closed atomic.Bool
		b.close = func() error {
			if closed.Swap(true) {
				return errors.New("already closed")
			}
			return b.RedisBinding.Close()
		}
	}},
	{"works after close", []string{"close", "close with calls under way"}, func(b *broken) {
		b.close = func() error { return nil }
	}},
	{"answers nothing after close", []string{"close", "close with calls under way"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if errors.Is(err, redisbinding.ErrClosed) {
				return none()
			}
			return resp, err
		})},
	{"panics when closed under way", []string{"close with calls under way"}, onInvoke(
		func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if errors.Is(err, redisbinding.ErrClosed) {
				panic("nil client")
			}
			return resp, err
		})},
	{"close hangs", []string{"close", "close with calls under way"}, func(b *broken) {
		ended := make(chan struct{})
		b.tb.Cleanup(func() { close(ended) })
		b.close = func() error {
			<-ended
			return nil
		}
	}},
	{"close waits for calls that do not end", []string{"close with calls under way"}, func(b *broken) {
		ended := make(chan struct{})
		b.tb.Cleanup(func() { close(ended) })
		onInvoke(func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
			resp, err := b.RedisBinding.Invoke(ctx, req)
			if errors.Is(err, redisbinding.ErrClosed) {
				<-ended
			}
			return resp, err
		})(b)
	}},
}

// recorder is a reporter that keeps what it is told.
type recorder struct {
	ctx context.Context

	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Skipf(string, ...any)     { runtime.Goexit() }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failures returns what the rule reports of a binding with the defect, which may take
// as long as patience for a call.
func failures(t *testing.T, r rule, patience time.Duration, defect func(b *broken)) []string {
	good := New(t)
	b := &broken{
		Binding: good, invoke: good.Invoke, operations: good.Operations, ping: good.Ping, close: good.Close,
	}
	defect(b)
	told := &recorder{ctx: t.Context()}
	done := make(chan struct{})
	go func() { // which Fatalf ends
		defer close(done)
		r.check(told, b, patience)
	}()
	<-done
	told.mu.Lock()
	defer told.mu.Unlock()
	return slices.Clone(told.failures)
}

// The suite is worth what it can find: each defect is told by the rules it breaks.
func TestConformanceFindsDefects(t *testing.T) {
	t.Parallel()
	for _, defect := range defects {
		t.Run(defect.name, func(t *testing.T) {
			for _, name := range defect.rules {
				i := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
				require.GreaterOrEqual(t, i, 0, "there is no rule %q", name)
				found := failures(t, rules[i], 100*time.Millisecond, defect.make)
				if assert.NotEmpty(t, found, "%q does not tell", name) {
					t.Logf("%s: %s", name, strings.Split(found[0], "\n")[0])
				}
			}
		})
	}
}

// No rule is there that never fails.
func TestEveryRuleFindsADefect(t *testing.T) {
	t.Parallel()
	told := map[string]bool{}
	for _, defect := range defects {
		for _, name := range defect.rules {
			told[name] = true
		}
	}
	for _, r := range rules {
		assert.True(t, told[r.name], "no defect breaks the rule %q", r.name)
	}
}

// Without a defect there is nothing to tell, whatever is wrapped around a binding.
func TestConformanceFindsNothing(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		assert.Empty(t, failures(t, r, time.Minute, func(*broken) {}), r.name)
	}
}

// A binding without increment is one all the same.
func TestConformanceWithoutIncrement(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		assert.Empty(t, failures(t, r, time.Minute, func(b *broken) {
			b.operations = func() []redisbinding.OperationKind { return b.RedisBinding.Operations()[:3] }
			onInvoke(func(b *broken, ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
				if wants(req, redisbinding.IncrementOperation) {
					return nil, redisbinding.ErrUnsupportedOperation
				}
				return b.RedisBinding.Invoke(ctx, req)
			})(b)
		}), r.name)
	}
}

// A key that stays is noticed on a clock that nobody moves, too.
func TestConformanceWaitsForTTLs(t *testing.T) {
	t.Parallel()
	type contract struct{ redisbinding.OutputBinding } // hides Advance
	for _, r := range rules {
		if r.name == "TTL" || r.name == "create replaces the TTL" {
			told := &recorder{ctx: t.Context()}
			r.check(told, contract{New(t)}, time.Millisecond) // whose Redis has a clock that stands still
			assert.NotEmpty(t, told.failures, r.name)
		}
	}
}

// Conformance fails the test of who calls it, by the name of the rule: seen from
// outside, in a process of its own.
func TestConformanceFails(t *testing.T) {
	t.Parallel()
	const variable = "BINDINGTEST_CONFORMANCE_FAILS"
	if os.Getenv(variable) != "" {
		Conformance(t, func(t *testing.T) redisbinding.OutputBinding {
			good := New(t)
			b := &broken{Binding: good, operations: good.Operations, ping: good.Ping, close: good.Close}
			onData(func(data []byte) []byte { return append([]byte(nil), data...) })(b)
			return b
		})
		return
	}
	program, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), variable+"=1")
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", out)
	assert.Contains(t, string(out), "--- FAIL: TestConformanceFails/missing_is_not_empty")
	assert.Contains(t, string(out), "stores an empty value, which is not missing")
	for _, name := range []string{"ping", "TTL", "close", "many_callers"} {
		assert.Contains(t, string(out), "--- PASS: TestConformanceFails/"+name)
	}
}
