package dapr

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/secrettest"
)

// No exported type shows a secret that it holds, however it is printed.
func TestTypesShowNoSecret(t *testing.T) {
	t.Parallel()
	const secret = secrettest.Nasty
	construct := Constructor(func(map[string]string) (redisbinding.OutputBinding, error) {
		return redisbinding.NewRedisBinding(map[string]string{"redisHost": "127.0.0.1:1", "redisPassword": secret}, redisbinding.WithLazyConnect())
	})
	server, err := Listen(filepath.Join(folder(t), "x.sock"))
	require.NoError(t, err)
	binding, err := construct(nil)
	require.NoError(t, err)
	server.instances.install("1", binding)
	secrettest.CheckTypes(t, ".", secret, map[string][]any{
		"Constructor": {construct},
		"Option":      {WithConstructor(construct)},
		"Server":      {server},
	})
	require.NoError(t, server.Serve(endedContext()))
}
