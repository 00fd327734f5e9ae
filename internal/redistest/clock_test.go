package redistest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStartWithClock(t *testing.T) {
	t.Parallel()
	s, step := StartWithClock(t)
	now := func() time.Time {
		now, err := s.Client().Time(t.Context()).Result()
		require.NoError(t, err)
		return now
	}
	assert.WithinDuration(t, time.Now(), now(), time.Minute)
	step(time.Hour)
	assert.WithinDuration(t, time.Now().Add(time.Hour), now(), time.Minute)
	step(-time.Hour)
	assert.WithinDuration(t, time.Now().Add(-time.Hour), now(), time.Minute)
}
