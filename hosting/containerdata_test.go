package hosting

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/hosting/internal/dockertest"
)

func TestContainerData(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	folder := filepath.Join(t.TempDir(), "not", "there")
	volume := test.home.volumeName("cache")
	t.Cleanup(func() {
		_, err := test.docker.API.VolumeRemove(within(t), volume, client.VolumeRemoveOptions{})
		assert.NoError(t, err)
	})
	for name, m := range map[string]mount{"volume": {volume: volume}, "folder": {folder: folder}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testServer(name)
			s.mount = &m
			s.save = &persistence{interval: time.Hour, keys: 1} // so that only the end saves
			i := up(t, test.containers, s)[0]
			require.NoError(t, dial(t, i, s).Set(t.Context(), "key", "value", 0).Err())
			code := exitCode(t, test.docker, i)
			require.NoError(t, i.stop(within(t)))
			assert.EqualValues(t, 0, <-code, "it was not killed")

			i = up(t, test.containers, s)[0]
			value, err := dial(t, i, s).Get(t.Context(), "key").Result()
			require.NoError(t, err)
			assert.Equal(t, "value", value)
			require.NoError(t, i.stop(within(t)))

			m.readOnly, s.save = true, nil
			i = up(t, test.containers, s)[0]
			c := dial(t, i, s)
			value, err = c.Get(t.Context(), "key").Result()
			require.NoError(t, err)
			assert.Equal(t, "value", value)
			require.Error(t, c.Save(t.Context()).Err())
			require.NoError(t, i.stop(within(t)))
		})
	}
	found, err := os.ReadDir(filepath.Dir(filepath.Dir(folder)))
	require.NoError(t, err)
	assert.Empty(t, found)
}

// Files in a folder of the host belong to the user.
func TestContainerFolderOwner(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	test.uid, test.gid = 1234, 5678
	s := testServer("cache")
	s.mount = &mount{folder: t.TempDir()}
	s.save = &persistence{interval: time.Hour, keys: 1}
	require.NoError(t, os.Chmod(s.mount.folder, 0o700))
	require.NoError(t, os.Chown(s.mount.folder, test.uid, test.gid))
	i := up(t, test.containers, s)[0]
	found, err := test.docker.API.ContainerInspect(t.Context(), i.(*runningContainer).id, client.ContainerInspectOptions{})
	require.NoError(t, err)
	assert.Equal(t, "1234:5678", found.Container.Config.User)
	c := dial(t, i, s)
	require.NoError(t, c.Set(t.Context(), "key", "value", 0).Err())
	require.NoError(t, c.Save(t.Context()).Err())
	require.NoError(t, i.stop(within(t)))
	assert.FileExists(t, filepath.Join(s.mount.folder, "dump.rdb"))
}

// exitCode sends the exit code of a container once it has one.
func exitCode(t *testing.T, docker *dockertest.Engine, i instance) <-chan int64 {
	t.Helper()
	wait := docker.API.ContainerWait(within(t), i.(*runningContainer).id, client.ContainerWaitOptions{})
	code := make(chan int64, 1)
	go func() {
		select {
		case status := <-wait.Result:
			code <- status.StatusCode
		case err := <-wait.Error:
			t.Error(err)
			code <- -1
		}
	}()
	return code
}

func TestContainerFolderMissing(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, m := range []mount{
		{folder: filepath.Join(file, "below")}, // cannot be made
		{folder: filepath.Join(t.TempDir(), "none"), readOnly: true},
	} {
		s := testServer("cache")
		s.mount = &m
		_, err := test.start(within(t), []*server{s}, func(string) {})
		assert.ErrorContains(t, err, m.folder)
	}
	require.NoError(t, test.close(within(t)))
	assert.Empty(t, test.left(t))
}
