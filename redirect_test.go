package redisbinding

import (
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slotRange is a row of CLUSTER SLOTS.
type slotRange struct {
	first, last int
	addr        string
}

// startNode starts a node of a cluster that knows the slots and answers SET as set says.
func startNode(t *testing.T, slots func() []slotRange, set func(c *server.Peer)) (addr string) {
	t.Helper()
	node, err := server.NewServer("127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(node.Close)
	for command, answer := range map[string]server.Cmd{
		"HELLO": func(c *server.Peer, _ string, _ []string) { c.WriteError("ERR unknown command 'HELLO'") },
		"PING":  func(c *server.Peer, _ string, args []string) { c.WriteBulk(args[0]) },
		"SET":   func(c *server.Peer, _ string, _ []string) { set(c) },
		"CLUSTER": func(c *server.Peer, _ string, _ []string) {
			rows := slots()
			c.WriteLen(len(rows))
			for _, row := range rows {
				host, port, _ := net.SplitHostPort(row.addr)
				number, _ := strconv.Atoi(port)
				c.WriteLen(3)
				c.WriteInt(row.first)
				c.WriteInt(row.last)
				c.WriteLen(2)
				c.WriteBulk(host)
				c.WriteInt(number)
			}
		},
	} {
		require.NoError(t, node.Register(command, answer))
	}
	return node.Addr().String()
}

// A batch that is redirected to a node which does not answer waits for that node once.
func TestBatchRedirectedToAHungNode(t *testing.T) {
	t.Parallel()
	const creates = 50
	for name, test := range map[string]struct{ known, mapped bool }{
		"known node":     {known: true, mapped: true},
		"unknown node":   {mapped: true},
		"unknown slots":  {known: true},
		"unknown either": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hang := make(chan struct{})
			var waiting atomic.Int32
			var moved atomic.Bool
			var first, hung string
			slots := func() []slotRange {
				if test.known { // it has slots, but not the one of the keys
					return []slotRange{{0, 8000, first}, {8001, 16383, hung}}
				}
				return []slotRange{{0, 16383, first}}
			}
			hung = startNode(t, slots, func(*server.Peer) { waiting.Add(1); <-hang })
			t.Cleanup(func() { close(hang) })
			first = startNode(t, slots, func(c *server.Peer) {
				if moved.Load() {
					c.WriteError("MOVED 7629 " + hung)
				} else {
					c.WriteOK()
				}
			})

			b := newBinding(t, map[string]string{"redisHost": first, "redisType": "cluster", "readTimeout": "2s"}, WithLazyConnect())
			if test.mapped {
				invoke(t, b, create("{k}", "v"))
			}
			moved.Store(true)
			var reqs []*InvokeRequest
			for i := range creates {
				reqs = append(reqs, create(fmt.Sprint("{k}", i), "v"))
			}
			_, err := b.InvokeBatch(t.Context(), reqs)
			var failed BatchErrors
			require.ErrorAs(t, err, &failed)
			require.Len(t, failed, creates)
			assert.EqualValues(t, 1, waiting.Load(), "connections that wait for the node")
			sent := 0
			for _, e := range failed {
				if !SafeToRetry(e) {
					sent++
				}
			}
			if test.known && test.mapped { // they were in one pipeline
				assert.Equal(t, creates, sent)
			} else {
				assert.Equal(t, 1, sent, "requests that were sent to the node")
			}
		})
	}
}
