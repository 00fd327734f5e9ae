//go:build !linux

package redistest

import "time"

// sleeper sleeps as exactly as Go's timers do.
type sleeper struct{}

func newSleeper() (sleeper, error) { return sleeper{}, nil }

func (sleeper) sleepUntil(when time.Time) { time.Sleep(time.Until(when)) }

func (sleeper) close() {}
