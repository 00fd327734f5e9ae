package bindingtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	Conformance(t, func(t *testing.T) redisbinding.OutputBinding { return New(t) })
}

// Real servers have a clock that nobody moves. The other kinds of them are for the
// tests of the binding.
func TestConformanceOnServers(t *testing.T) {
	t.Parallel()
	for _, setup := range []*redistest.Setup{redistest.Plain(t), redistest.Cluster(t)} {
		t.Run(setup.Name, func(t *testing.T) {
			Conformance(t, func(t *testing.T) redisbinding.OutputBinding {
				binding, err := redisbinding.NewRedisBinding(setup.Fields())
				require.NoError(t, err)
				return binding
			})
		})
	}
}
