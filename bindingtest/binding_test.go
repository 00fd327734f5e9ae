package bindingtest

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
)

// invoke carries out a request that must succeed.
func invoke(t *testing.T, binding redisbinding.OutputBinding, req *redisbinding.InvokeRequest) []byte {
	t.Helper()
	resp, err := binding.Invoke(t.Context(), req)
	require.NoError(t, err)
	return resp.Data
}

func TestNew(t *testing.T) {
	t.Parallel()
	a, b := New(t), New(t, redisbinding.WithoutPipelining())
	require.NoError(t, a.Ping(t.Context()))
	invoke(t, a, create("key", "value"))
	assert.Equal(t, "value", string(invoke(t, a, get("key"))))
	assert.Nil(t, invoke(t, b, get("key")), "each has a Redis of its own")
	assert.Empty(t, b.Keys())
	assert.Contains(t, fmt.Sprint(a), a.Metadata()["redisHost"])

	require.NoError(t, a.Close())
	_, err := a.Invoke(t.Context(), get("key"))
	require.ErrorIs(t, err, redisbinding.ErrClosed)
	assert.Equal(t, []string{"key"}, a.Keys(), "Redis outlives the binding")
}

func TestNewEndsWithTheTest(t *testing.T) {
	t.Parallel()
	var b *Binding
	t.Run("test", func(t *testing.T) {
		b = New(t)
		invoke(t, b, create("key", "value"))
	})
	require.ErrorIs(t, b.Ping(t.Context()), redisbinding.ErrClosed)
	b.Start() // what has ended does not come back
	_, err := net.Dial("tcp", b.Metadata()["redisHost"])
	require.Error(t, err)
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	b := New(t)
	fields := b.Metadata()
	fields["ttlInSeconds"] = "60" // the caller's own
	other, err := redisbinding.NewRedisBinding(fields, redisbinding.WithStrictMetadata())
	require.NoError(t, err)
	defer other.Close()
	invoke(t, other, create("key", "value"))
	assert.Equal(t, "value", string(invoke(t, b, get("key"))))
	assert.NotContains(t, b.Metadata(), "ttlInSeconds")
	assert.Equal(t, time.Minute, b.TTL("key"))
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	b := New(t)
	invoke(t, b, create("hour", "value", "ttlInSeconds", "3600"))
	invoke(t, b, create("short", "value", "ttlInSeconds", "1500ms"))
	invoke(t, b, create("always", "value"))
	assert.Equal(t, time.Hour, b.TTL("hour"))
	assert.Equal(t, 1500*time.Millisecond, b.TTL("short"))
	assert.Equal(t, NoTTL, b.TTL("always"))
	assert.Equal(t, time.Duration(0), b.TTL("missing"))

	b.Advance(0)
	assert.Equal(t, time.Hour, b.TTL("hour"))
	b.Advance(1499 * time.Millisecond)
	assert.Equal(t, time.Millisecond, b.TTL("short"))
	b.Advance(time.Millisecond)
	assert.Equal(t, time.Duration(0), b.TTL("short"))
	assert.Nil(t, b.Value("short"))
	assert.Nil(t, invoke(t, b, get("short")))
	assert.Equal(t, time.Hour-1500*time.Millisecond, b.TTL("hour"))
	assert.Equal(t, []string{"always", "hour"}, b.Keys())

	assert.PanicsWithValue(t, "bindingtest: Advance(-1s): time does not go back", func() { b.Advance(-time.Second) })
}

func TestValueAndKeys(t *testing.T) {
	t.Parallel()
	b := New(t)
	assert.Empty(t, b.Keys())
	invoke(t, b, create("b", "\x00\xff"))
	invoke(t, b, create("a", ""))
	assert.Equal(t, []string{"a", "b"}, b.Keys())
	assert.Equal(t, []byte("\x00\xff"), b.Value("b"))
	assert.Equal(t, []byte{}, b.Value("a"))
	assert.Nil(t, b.Value("missing"))
	b.Value("b")[0] = 'X' // the caller's own
	b.Keys()[0] = "X"
	assert.Equal(t, []byte("\x00\xff"), b.Value("b"))
	assert.Equal(t, []string{"a", "b"}, b.Keys())
}

func TestFail(t *testing.T) {
	t.Parallel()
	b := New(t)
	invoke(t, b, create("key", "value"))
	b.Fail("READONLY You can't write against a read only replica.")
	for _, req := range []*redisbinding.InvokeRequest{create("key", "new"), get("key"), get("key", "delete", "true"), remove("key"),
		increment("n"), increment("n", "ttlInSeconds", "60")} {
		_, err := b.Invoke(t.Context(), req)
		require.ErrorIs(t, err, redisbinding.ErrUnavailable)
		require.ErrorContains(t, err, "READONLY You can't write against a read only replica.")
	}
	require.Error(t, b.Ping(t.Context()))
	_, err := redisbinding.NewRedisBinding(b.Metadata())
	require.ErrorContains(t, err, "READONLY", "one that connects is told as well")
	assert.Equal(t, []string{"key"}, b.Keys())
	assert.Equal(t, []byte("value"), b.Value("key"))

	b.Fail("ERR another") // in place of the first
	_, err = b.Invoke(t.Context(), get("key"))
	require.ErrorContains(t, err, "ERR another")
	require.NotErrorIs(t, err, redisbinding.ErrUnavailable)

	b.Stop()
	b.Start()
	_, err = b.Invoke(t.Context(), get("key"))
	require.ErrorContains(t, err, "ERR another", "it outlives a Stop")

	b.Fail("")
	assert.Equal(t, "value", string(invoke(t, b, get("key"))))
	require.NoError(t, b.Ping(t.Context()))
}

func TestStopAndStart(t *testing.T) {
	t.Parallel()
	b := New(t)
	invoke(t, b, create("key", "value", "ttlInSeconds", "60"))
	invoke(t, b, create("short", "value", "ttlInSeconds", "1"))
	b.Start() // it is there
	for range 3 {
		b.Stop()
		b.Stop()
		_, err := b.Invoke(t.Context(), get("key"))
		require.ErrorIs(t, err, redisbinding.ErrUnavailable)
		require.ErrorContains(t, err, b.Metadata()["redisHost"])
		require.ErrorIs(t, b.Ping(t.Context()), redisbinding.ErrUnavailable)
		assert.Equal(t, []byte("value"), b.Value("key"))
		assert.Contains(t, b.Keys(), "key")
		b.Advance(time.Second)
		b.Start()
		assert.Equal(t, "value", string(invoke(t, b, get("key"))))
		assert.Nil(t, invoke(t, b, get("short")), "time passes while Redis is away")
	}
	assert.Equal(t, 57*time.Second, b.TTL("key"))
	b.Stop() // and the test ends so
}

// Whatever comes together, an increment is counted once or is an error.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	b := New(t)
	var calls, hands sync.WaitGroup
	end := make(chan struct{})
	for i := range 8 {
		calls.Go(func() {
			for j := range 100 {
				req := increment("n", "ttlInSeconds", "3600")
				if j%2 == 0 {
					req = create(fmt.Sprint(i), "value")
				}
				resp, err := b.Invoke(t.Context(), req)
				assert.Equal(t, err == nil, resp != nil)
			}
		})
	}
	for _, hand := range []func(){
		func() { b.Stop(); b.Start() },
		func() { b.Start(); b.Stop(); b.Start() },
		func() { b.Fail("LOADING Redis is loading the dataset in memory"); b.Fail("") },
		func() { b.Advance(time.Millisecond) },
		func() { b.TTL("n"); b.Value("n"); b.Keys(); b.Metadata() },
	} {
		hands.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
					hand()
				}
			}
		})
	}
	calls.Wait()
	close(end)
	hands.Wait()
	b.Start()
	b.Fail("")
	require.NoError(t, b.Ping(t.Context()))
}

// Nothing that was sent before Stop is carried out after it.
func TestStopIsFinal(t *testing.T) {
	t.Parallel()
	b := New(t)
	for range 20 {
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				for {
					if _, err := b.Invoke(t.Context(), increment("n")); err != nil {
						return
					}
				}
			})
		}
		require.Eventually(t, func() bool { return b.Value("n") != nil }, time.Minute, time.Millisecond)
		b.Stop()
		before := string(b.Value("n"))
		calls.Wait()
		assert.Equal(t, before, string(b.Value("n")))
		b.Start()
		invoke(t, b, remove("n"))
	}
}
