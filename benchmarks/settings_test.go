package benchmarks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewSettings(t *testing.T) {
	s, err := newSettings(selection{"binding,pool", "1,64", "128,4096", "get,mixed"}, 3, time.Second)
	require.NoError(t, err)
	assert.Equal(t, &settings{
		peers: []string{"binding", "pool"},
		workloads: []workload{
			{read, 128, 1, 1}, {read, 128, 64, 1}, {mixed, 128, 1, 1}, {mixed, 128, 64, 1},
			{read, 4096, 1, 1}, {read, 4096, 64, 1}, {mixed, 4096, 1, 1}, {mixed, 4096, 64, 1},
		},
		rounds: 3,
		slice:  time.Second,
		warmUp: 20 * time.Millisecond,
	}, s)
}

func TestNewSettingsRefuses(t *testing.T) {
	for want, try := range map[string]func() (*settings, error){
		`-sizes: "4k" is not a list of positive numbers`:    func() (*settings, error) { return newSettings(selection{"binding", "1", "4k", "get"}, 1, 1) },
		`-callers: "1,0" is not a list of positive numbers`: func() (*settings, error) { return newSettings(selection{"binding", "1,0", "1", "get"}, 1, 1) },
		`-rounds and -slice: must be positive`:              func() (*settings, error) { return newSettings(selection{"binding", "1", "1", "get"}, 0, 1) },
	} {
		_, err := try()
		assert.EqualError(t, err, want)
	}
}
