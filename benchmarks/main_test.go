package benchmarks

import (
	"testing"

	"github.com/redisbinding/redisbinding/internal/redistest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// rueidis closes the connections to nodes that have left a cluster after a
	// pause of five seconds, and does not end it when it is closed itself.
	redistest.Main(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"))
}
