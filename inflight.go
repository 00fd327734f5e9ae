package redisbinding

import (
	"math"
	"sync/atomic"
)

// inflight counts what is under way, so that Close can turn away what comes
// later and wait for what came before. A WaitGroup cannot: it must not be
// added to while somebody waits. The zero value needs init.
type inflight struct {
	state   atomic.Int64 // how many are under way, plus closedBit once closed
	drained chan struct{}
}

const closedBit int64 = math.MinInt64

func (f *inflight) init() { f.drained = make(chan struct{}, 1) }

// enter counts one more, or answers false when closed.
func (f *inflight) enter() bool {
	if f.state.Add(1) >= 0 {
		return true
	}
	f.leave()
	return false
}

// leave takes back what enter counted.
func (f *inflight) leave() {
	if f.state.Add(-1) != closedBit {
		return
	}
	select {
	case f.drained <- struct{}{}:
	default:
	}
}

// closed says whether close was called.
func (f *inflight) closed() bool { return f.state.Load() < 0 }

// close makes enter answer false and waits until all have left. Call it once.
func (f *inflight) close() {
	if f.state.Add(closedBit) == closedBit {
		return
	}
	<-f.drained
}
