package hosting

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestContainerPersistent(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	s.persistent = true
	i := up(t, test.containers, s)[0]
	id := i.(*runningContainer).id
	test.discard(t, i)
	require.NoError(t, dial(t, i, s).Set(t.Context(), "key", "value", 0).Err())
	require.NoError(t, i.stop(within(t)))
	require.NoError(t, test.close(within(t)))
	assert.ElementsMatch(t, []string{"/" + test.home.id + "-cache", "network " + test.home.id}, test.left(t))

	// It runs, and is taken over.
	second := test.again(t)
	i = up(t, second, s)[0]
	assert.Equal(t, id, i.(*runningContainer).id)
	value, err := dial(t, i, s).Get(t.Context(), "key").Result()
	require.NoError(t, err)
	assert.Equal(t, "value", value)

	// It does not, and is started.
	require.NoError(t, i.stop(within(t)))
	require.NoError(t, stopContainer(within(t), test.docker.API, id))
	i = up(t, second, s)[0]
	assert.Equal(t, id, i.(*runningContainer).id)
	dial(t, i, s)
	require.NoError(t, i.stop(within(t)))

	// It is another.
	other := *s
	other.directives = [][]string{{"maxmemory", "100mb"}}
	i = up(t, second, &other)[0]
	assert.NotEqual(t, id, i.(*runningContainer).id)
	test.discard(t, i)
	dial(t, i, &other)
}

func TestContainerFingerprint(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	fingerprint := func(change func(*server)) string {
		s := testServer("cache")
		s.persistent = true
		change(s)
		spec, err := test.serverSpec(t.Context(), s, redisPort)
		require.NoError(t, err)
		spec.publish(redisPort, s.port)
		sum, err := spec.fingerprint()
		require.NoError(t, err)
		return sum
	}
	first := fingerprint(func(*server) {})
	assert.Equal(t, first, fingerprint(func(*server) {}))
	for name, change := range map[string]func(*server){
		"image":     func(s *server) { s.image = "redis:7" },
		"port":      func(s *server) { s.port = 7000 },
		"password":  func(s *server) { s.password = "" },
		"save":      func(s *server) { s.save = &persistence{time.Minute, 1} },
		"mount":     func(s *server) { s.mount = &mount{volume: "data"} },
		"read-only": func(s *server) { s.mount = &mount{volume: "data", readOnly: true} },
		"directive": func(s *server) { s.directives = [][]string{{"maxmemory", "1"}} },
		"TLS":       func(s *server) { s.tls = &certificates{ca: []byte("ca")} },
	} {
		assert.NotEqual(t, first, fingerprint(change), name)
	}
}
