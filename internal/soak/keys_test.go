package soak

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redisbinding/redisbinding/internal/history"
)

// A group of callers shares one key at a time, and takes another when it has done
// callsPerKey calls with it or does not know what has come of unknownsPerKey: the
// search for a possible order of calls is short as long as few are at the same time.
const (
	groups         = 16
	callsPerKey    = 100
	callsPerOnce   = 4 // with a key that is created once
	unknownsPerKey = 4
	keptKeys       = 8 // of each group, to be read again in the end
)

// key is one with its history.
type key struct {
	*history.History
	counter bool
	once    bool // one create, and else gets only: that may be sent again and does no harm

	calls, unknowns int
	underWay        int // calls
	created         atomic.Bool
}

// group is the callers that share keys.
type group struct {
	t       testing.TB
	name    string
	server  history.Server
	repeats bool // creates and deletes may be sent again

	mu          sync.Mutex
	number      int
	now         [2]*key // a value and a counter
	retired     []*key
	checked     int
	lastSuccess time.Time
	longestGap  time.Duration
}

// take returns the key to use now. Give it back with done.
func (g *group) take(counter bool) *key {
	g.mu.Lock()
	defer g.mu.Unlock()
	slot := &g.now[0]
	if counter {
		slot = &g.now[1]
	}
	if k := *slot; k == nil || k.calls >= callsPerKey || k.once && k.calls >= callsPerOnce || k.unknowns >= unknownsPerKey {
		g.retire(k)
		g.number++
		*slot = &key{History: history.New(fmt.Sprintf("%s:%d", g.name, g.number)), counter: counter, once: g.repeats && !counter && g.number%32 != 0}
	}
	k := *slot
	k.calls++
	k.underWay++
	return k
}

// done ends a call of a key, and returns those that are to be read once more and checked.
func (g *group) done(k *key, outcome history.Outcome) []*key {
	g.mu.Lock()
	defer g.mu.Unlock()
	k.underWay--
	switch outcome {
	case history.OK:
		now := time.Now()
		g.longestGap = max(g.longestGap, now.Sub(g.lastSuccess))
		g.lastSuccess = now
	case history.Unknown:
		k.unknowns++
	case history.Failed:
	}
	return g.surplus()
}

// onceMore returns what to do with a key that is created once.
func (k *key) onceMore() history.Operation {
	if k.created.CompareAndSwap(false, true) {
		return history.Create
	}
	return history.Get
}

// retire puts a key away that is not to be used any more.
func (g *group) retire(k *key) {
	if k != nil {
		g.retired = append(g.retired, k)
	}
}

// surplus returns, and forgets, the oldest of the keys that were put away.
func (g *group) surplus() (old []*key) {
	for len(g.retired) > keptKeys && g.retired[0].underWay == 0 {
		old = append(old, g.retired[0])
		g.retired = g.retired[1:]
	}
	return old
}

// keep puts all keys away and returns, and forgets, those that have not been checked yet.
func (g *group) keep() []*key {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, k := range g.now {
		g.retire(k)
		g.now[i] = nil
	}
	kept := g.retired
	g.retired = nil
	return kept
}

// check fails the test when the history of the key is impossible.
func (g *group) check(k *key) {
	server := g.server
	if g.repeats && !k.counter && !k.once {
		// A create that is sent again overwrites what came meanwhile.
		server = history.Forgetful
	}
	if err := k.Check(server); err != nil {
		g.t.Error(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.checked++
}

// watch begins to measure the longest time without a success.
func (g *group) watch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lastSuccess, g.longestGap = time.Now(), 0
}

func (g *group) gap() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.longestGap
}

func (g *group) succeeded() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lastSuccess
}
