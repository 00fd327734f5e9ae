package redistest

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStartProxied(t *testing.T) {
	for _, kind := range []string{"plain", "sentinel", "cluster"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := StartProxied(t, kind)
			client := connect(t, p.Setup)
			for _, key := range []string{"a", "b", "c"} { // on a node each
				require.NoError(t, client.Set(t.Context(), key, "v", 0).Err())
				assert.Equal(t, "v", p.Get(t, key))
			}
			assert.Nil(t, p.Get(t, "none"))
			assert.Equal(t, 3, p.Sent("set"), "past no proxy")
		})
	}
}

func TestProxyCutsAndHolds(t *testing.T) {
	t.Parallel()
	s := Start(t)
	proxy := StartProxy(t, s)
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr, DisableIdentity: true, MaxRetries: -1, ReadTimeout: time.Minute})
	defer client.Close()
	require.NoError(t, client.Ping(t.Context()).Err())

	proxy.CutAfterLines(3) // one and a half of these
	pipe := client.Pipeline()
	set, get, gone := pipe.Incr(t.Context(), "n"), pipe.Get(t.Context(), "n"), pipe.Incr(t.Context(), "n")
	_, err := pipe.Exec(t.Context())
	require.Error(t, err)
	assert.EqualValues(t, 1, set.Val())
	assert.Equal(t, "1", get.Val())
	assert.Zero(t, gone.Val())
	assert.Zero(t, proxy.CutAfterLines(-1))

	begun, release := proxy.HoldNextReply(t)
	reply := make(chan int64)
	go func() { reply <- client.Incr(t.Context(), "n").Val() }()
	<-begun
	assert.EqualValues(t, 4, client.Incr(t.Context(), "n").Val(), "another connection's")
	release()
	assert.EqualValues(t, 3, <-reply)
}
