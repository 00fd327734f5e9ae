package redisbinding

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// The integrity check works on every kind of Redis, and on both ways of a call.
func TestIntegrityCheckOperations(t *testing.T) {
	t.Parallel()
	for _, setup := range []*redistest.Setup{redistest.Plain(t), redistest.Sentinel(t), redistest.Cluster(t)} {
		t.Run(setup.Name, func(t *testing.T) {
			t.Parallel()
			b := newBinding(t, setup.Fields(), WithIntegrityCheck())
			runOperationTests(t, b, admin(t, setup))
		})
	}
}

// A reply too many on a busy connection shifts all later replies. The check keeps every
// call from getting the answer to another call.
func TestIntegrityCheckFindsAReplyTooMany(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	var extra atomic.Bool
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", srv.Addr)
			if err != nil {
				_ = near.Close()
				continue
			}
			go copyAndClose(far, near, nil)
			go copyAndClose(near, far, &extra)
		}
	}()
	b, err := NewRedisBinding(map[string]string{"redisHost": listener.Addr().String(), "poolSize": "4"}, WithIntegrityCheck())
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	for i := range 64 {
		invoke(t, b, create(fmt.Sprint("k", i), fmt.Sprint("v", i)))
	}
	var failed, right atomic.Int32
	for range 20 {
		extra.Store(true)
		together(64, func(i int) {
			resp, err := b.Invoke(context.Background(), request(GetOperation, fmt.Sprint("k", i)))
			if err != nil {
				failed.Add(1)
				return
			}
			right.Add(1)
			assert.Equal(t, fmt.Sprint("v", i), string(resp.Data))
		})
	}
	assert.Positive(t, failed.Load())
	assert.Positive(t, right.Load())
}

// copyAndClose copies until the connection ends. When extra is set, it inserts a reply
// before the next bytes.
func copyAndClose(to, from net.Conn, extra *atomic.Bool) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		data := buffer[:n]
		if extra != nil && extra.CompareAndSwap(true, false) {
			data = append([]byte("$5\r\nother\r\n"), data...)
		}
		if _, err := to.Write(data); err != nil {
			return
		}
	}
}

// A call whose reply the check takes back has the error of the check, and not the reply,
// which may belong to another call.
func TestIntegrityCheckHidesWhatItTakesBack(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do(t, "rpush", "list", "a")
	network := redistest.StartNetwork(t, srv, "127.0.0.1:0")
	b := newBinding(t, map[string]string{"redisHost": network.Addr, "poolSize": "4"}, WithIntegrityCheck())
	network.Set(redistest.Faults{Extra: 0.2})
	var takenBack atomic.Int32
	for range 50 {
		together(64, func(i int) {
			key := fmt.Sprint("missing", i)
			if i%2 == 0 {
				key = "list" // a get is refused with WRONGTYPE
			}
			_, err := b.Invoke(context.Background(), request(GetOperation, key))
			if err == nil || SafeToRetry(err) {
				return
			}
			takenBack.Add(1)
			assert.NotErrorIs(t, err, redis.Nil)
			assert.NotContains(t, err.Error(), "WRONGTYPE")
			assert.ErrorIs(t, err, ErrUnavailable)
		})
	}
	assert.Positive(t, takenBack.Load())
}
