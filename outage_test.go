package redisbinding

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// Who connects to a server that takes connections and hangs up, as what balances load
// for a dead one does, shares the attempts, and the failure.
func TestCallersOfADeadServerShareAttempts(t *testing.T) {
	network := redistest.StartNetwork(t, redistest.Start(t), "127.0.0.1:0")
	binding := newBinding(t, map[string]string{"redisHost": network.Addr, "poolSize": "200", "pipelining": "off"})
	network.Dark(true)
	before := network.Connections()
	const callers = 1000
	together(callers, func(int) {
		_, err := binding.Invoke(t.Context(), request(IncrementOperation, "n"))
		assert.ErrorIs(t, err, ErrUnavailable)
		assert.ErrorIs(t, err, ErrNotCarriedOut)
	})
	attempts := network.Connections() - before
	assert.NotZero(t, attempts)
	assert.Less(t, attempts, callers/4)
	network.Dark(false)
	assert.Equal(t, "1", string(invoke(t, binding, request(IncrementOperation, "n")).Data))
}
