package benchmarks

import (
	"context"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// peer is one way to reach Redis.
type peer interface {
	// caller returns what one goroutine at a time calls.
	caller() caller
	io.Closer
}

// caller does what a binding does. The context may end a call.
type caller interface {
	set(ctx context.Context, key string, value []byte) error
	get(ctx context.Context, key string) ([]byte, error)
	del(ctx context.Context, key string) error
}

// Names of peers that the others are not like: the binding and the cache are compared, and
// with go-redis as it is the p99, too.
const (
	bindingName = "binding"
	cacheName   = "cache"
	poolName    = "pool"
)

// openers open the peers, by name.
var openers = map[string]func(target) (peer, error){
	bindingName:         openBinding,
	"checked":           openChecked,
	poolName:            openPool,
	"autopipeline":      openAutoPipeline,
	"asyncautopipeline": openAsyncAutoPipeline,
	"rueidis":           openRueidis,
}

// namedPeer is a peer that is open.
type namedPeer struct {
	name string
	peer
}

// openPeers opens the peers until the end of the test.
func openPeers(tb testing.TB, to target, names []string) []namedPeer {
	tb.Helper()
	var peers []namedPeer
	for _, name := range names {
		open, known := openers[name]
		if !known {
			tb.Fatalf("there is no peer %q, but %q", name, slices.Sorted(maps.Keys(openers)))
		}
		p, err := open(to)
		require.NoError(tb, err, name)
		tb.Cleanup(func() { _ = p.Close() })
		peers = append(peers, namedPeer{name, p})
	}
	return peers
}
