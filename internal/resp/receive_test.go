package resp_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
	"github.com/redisbinding/redisbinding/internal/resp"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// Each of these makes ReceiveTimeout panic.
func TestReceive(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		"*0\r\n", "*1\r\n:1\r\n", "*1\r\n$9\r\nsubscribe\r\n", "*3\r\n$9\r\nsubscribe\r\n+c\r\n+x\r\n", "*2\r\n$7\r\nmessage\r\n+c\r\n",
		"*3\r\n$7\r\nmessage\r\n:1\r\n+x\r\n", "*3\r\n$7\r\nmessage\r\n+c\r\n*1\r\n:1\r\n", "*1\r\n$4\r\npong\r\n",
	} {
		server := redistest.StartHostile(t, "plain", true, []byte(message))
		client := redis.NewClient(&redis.Options{Addr: server.Addr, DisableIdentity: true})
		subscription := client.Subscribe(t.Context(), "c")
		got, err := resp.Receive(t.Context(), subscription, 5*time.Second)
		assert.Nil(t, got, "%q", message)
		assert.EqualError(t, err, "the server sends a message that is none: is this Redis?", "%q", message)
		require.NoError(t, subscription.Close())
		require.NoError(t, client.Close())
	}
}
