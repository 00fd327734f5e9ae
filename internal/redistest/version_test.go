package redistest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for printed, want := range map[string]version{
		"Redis server v=5.0.14 sha=00000000:0 malloc=libc bits=64 build=5f2a": {5, 0},
		"Redis server v=8.2.1 sha=00000000:1 malloc=jemalloc-5.3.0 bits=64":   {8, 2},
		"Valkey server v=9.0.0 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64":  {7, 2},
	} {
		got, err := parseVersion(printed)
		assert.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := parseVersion("KeyDB server v=6.3.4")
	assert.Error(t, err)
	assert.True(t, version{6, 0}.before(version{6, 2}))
	assert.True(t, version{6, 2}.before(version{7, 0}))
	assert.False(t, version{7, 0}.before(version{6, 2}))
	assert.False(t, version{6, 2}.before(version{6, 2}))
}
