package resp

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
)

// slotsOf is what CLUSTER SLOTS answers with so many nodes, from the first on.
func slotsOf(first, count int) (slots []redis.ClusterSlot) {
	for i := range count {
		slots = append(slots, redis.ClusterSlot{Nodes: []redis.ClusterNode{{Addr: fmt.Sprint("h:", first+i)}}})
	}
	return slots
}

// replied is the error that go-redis makes of an error reply.
func replied(t *testing.T, text string) error {
	near, far := net.Pipe()
	go func() {
		for _, reply := range []string{"-ERR no HELLO", "-" + text} {
			_, _ = far.Read(make([]byte, 1000))
			_, _ = io.WriteString(far, reply+"\r\n")
		}
	}()
	client := redis.NewClient(&redis.Options{DisableIdentity: true, MaxRetries: -1,
		Dialer: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
	defer client.Close()
	return client.Get(t.Context(), "k").Err()
}

func TestNodes(t *testing.T) {
	t.Parallel()
	n := &nodes{most: 10, known: map[string]time.Time{}}
	now := time.Now()
	assert.Equal(t, errNodes, n.named(slotsOf(0, 11), now), "at once")
	assert.NoError(t, n.named(slotsOf(0, 10), now))
	assert.NoError(t, n.named(slotsOf(0, 10), now))
	assert.NoError(t, n.named(slotsOf(0, 5), now))
	assert.Equal(t, errNodes, n.named(slotsOf(100, 1), now), "those of before are known yet")
	assert.NoError(t, n.named(slotsOf(0, 5), now.Add(forgetAfter)))
	assert.NoError(t, n.named(slotsOf(100, 5), now.Add(forgetAfter)), "they are not any more")
}

func TestNodesOfRedirections(t *testing.T) {
	t.Parallel()
	n := &nodes{most: 3, known: map[string]time.Time{}}
	to := func(text string) error { return n.redirected(replied(t, text)) }
	assert.NoError(t, n.redirected(nil))
	assert.NoError(t, n.redirected(redis.Nil))
	assert.NoError(t, to("ERR no"))
	for i := range 3 {
		assert.NoError(t, to(fmt.Sprint("MOVED 1 h:", i)))
		assert.NoError(t, to(fmt.Sprint("ASK 1 h:", i)), "known")
	}
	assert.Equal(t, errNodes, to("ASK 1 h:4"))
	assert.Equal(t, errNodes, to("MOVED 1 h:4"))
	assert.NoError(t, to("MOVED 1 h:1"))
}
