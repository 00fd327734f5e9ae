package hosting

import (
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGeneratedPasswordIsKept(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	opts := []Option{WithHome(home), WithPath(t.TempDir())}
	password := func(opts ...Option) string {
		b := builder(t, opts...)
		r := b.AddRedis("cache")
		a, err := b.Start(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, a.Stop(t.Context())) }()
		require.NoError(t, connect(t, &r.Connection).Ping(t.Context()).Err())
		return r.UniversalOptions().Password
	}

	first := password(opts...)
	assert.Regexp(t, regexp.MustCompile(`^[A-HJ-KM-NP-Za-hj-km-np-z0-9]{22}$`), first, "no i, l and o")
	assert.Equal(t, first, password(opts...))
	assert.NotEqual(t, first, password(WithHome(t.TempDir())), "another user has another")
	assert.NotEqual(t, first, password(WithHome(home), WithPath(t.TempDir())), "and another app")

	files, err := filepath.Glob(filepath.Join(home, "shop-*", "passwords", "*"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		info, err = os.Stat(filepath.Dir(file))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	}

	require.NoError(t, os.WriteFile(files[0], nil, 0o600))
	_, err = keptPassword(files[0])
	require.EqualError(t, err, "the kept password in "+files[0]+" cannot be used: remove the file, and a new one is generated")
}

func TestConfiguredPassword(t *testing.T) {
	for _, variable := range []string{"Parameters__my-cache-password", "Parameters__my_cache_password"} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, "configured")
			home := t.TempDir()
			b := builder(t, WithHome(home))
			r := b.AddRedis("my-cache")
			other := b.AddRedis("store").WithPassword("given")
			runningApp(t, b)
			assert.Equal(t, "configured", r.UniversalOptions().Password)
			assert.Equal(t, "given", other.UniversalOptions().Password)

			files, err := filepath.Glob(filepath.Join(home, "shop-*", "passwords", "*"))
			require.NoError(t, err)
			assert.Empty(t, files, "none is generated")
		})
	}
	t.Run("bad", func(t *testing.T) {
		t.Setenv("Parameters__cache_password", "hush,hush")
		b := builder(t)
		b.AddRedis("cache")
		_, err := b.Start(t.Context())
		require.EqualError(t, err, "hosting: cache: the environment variable Parameters__cache_password takes a password without a comma, which a connection string cannot hold")
	})
}

// Two first runs at the same time agree.
func TestKeptPasswordOfManyAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwords", "cache")
	found := make([]string, 16)
	var callers sync.WaitGroup
	for i := range found {
		callers.Go(func() {
			password, err := keptPassword(file)
			assert.NoError(t, err)
			found[i] = password
		})
	}
	callers.Wait()
	for _, password := range found {
		assert.Equal(t, found[0], password)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing lies about")
}

func TestHomeThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	b := builder(t, WithHome(file))
	b.AddRedis("cache")
	_, err := b.Start(t.Context())
	require.ErrorContains(t, err, "hosting: the folder for passwords and data: mkdir "+file)
	require.ErrorContains(t, err, "make it writable, or set REDISBINDING_HOSTING_HOME to another")
}
