package hosting

import (
	"os"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSweepContainers(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	volume := test.home.volumeName("cache")
	t.Cleanup(func() {
		_, err := test.docker.API.VolumeRemove(within(t), volume, client.VolumeRemoveOptions{})
		assert.NoError(t, err)
	})
	s, lasting := testServer("cache"), testServer("lasting")
	s.mount = &mount{volume: volume}
	s.save = &persistence{interval: time.Hour, keys: 1}
	lasting.persistent = true
	i, err := test.start(within(t), []*server{s}, func(string) {})
	require.NoError(t, err)
	require.NoError(t, dial(t, i[0], s).Set(t.Context(), "key", "value", 0).Err())
	j := up(t, test.containers, lasting)[0]
	test.discard(t, j)
	network, err := test.network(t.Context(), false)
	require.NoError(t, err)
	require.NoError(t, test.introduce(t.Context(), lasting, network))

	// The run dies.
	other := test.again(t)
	require.NoError(t, sweepContainers(within(t), test.run))
	<-i[0].done()
	require.NoError(t, i[0].stop(within(t)))
	assert.ElementsMatch(t, []string{"/" + test.home.id + "-lasting", "network " + test.home.id}, test.left(t))
	require.NoError(t, sweepContainers(within(t), other.run))

	value, err := dial(t, up(t, other, s)[0], s).Get(t.Context(), "key").Result()
	require.NoError(t, err)
	assert.Equal(t, "value", value)

	require.NoError(t, writeFile(engineFile(test.run), []byte("unix:///nowhere/docker.sock")))
	require.ErrorContains(t, sweepContainers(within(t), test.run), "/nowhere/docker.sock")
	require.NoError(t, os.Remove(engineFile(test.run)))
	require.NoError(t, sweepContainers(within(t), test.run), "it had no engine")
}
