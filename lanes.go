package redisbinding

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// laneLimits say what a lane may do.
type laneLimits struct {
	maxTrips int           // round trips at a time
	trips    int           // at a time, to a server that is near
	apart    time.Duration // a server that is so far away is worth one more
	patience time.Duration // how long after the last one began another may in any case
	commands int           // in one round trip
	bytes    int           // in one round trip: to so many no more are added
	wait     time.Duration // the longest that a call waits to be sent
}

// How the lanes make use of a server; CONTRIBUTING.md says what was measured.
const (
	laneTrips    = 3
	laneApart    = 300 * time.Microsecond
	lanePatience = 2 * time.Millisecond
	laneCommands = 512
	laneBytes    = 1 << 20
	laneLargest  = 64 << 10 // a longer command goes directly: others would wait for it
)

func newLaneLimits(m *Metadata) laneLimits {
	return laneLimits{
		maxTrips: m.PoolSize,
		trips:    laneTrips,
		apart:    laneApart,
		patience: lanePatience,
		commands: laneCommands,
		bytes:    laneBytes,
		wait:     min(m.PoolTimeout, 1<<62), // the clock goes no further
	}
}

// lanes are the lanes to all servers: one, or those of a cluster.
type lanes struct {
	limits    laneLimits
	integrity bool           // check each round trip
	running   sync.WaitGroup // workers and timers

	direct, pipelined atomic.Uint64 // how many calls went which way
	timeouts          atomic.Int64  // how many have waited in vain

	byServer sync.Map // *redis.Client -> *lane
	mu       sync.Mutex
	closed   bool
}

// unusedFor is after which time a lane is taken for one to a server that has
// left the cluster.
const unusedFor = time.Minute

// to returns the lane to a server, or nil after close.
func (s *lanes) to(server *redis.Client) *lane {
	if l, found := s.byServer.Load(server); found {
		return l.(*lane) //nolint:forcetypeassert // nothing else is put in
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.each(func(l *lane) {
		if l.unused(unusedFor) {
			s.drop(l)
		}
	})
	l, _ := s.byServer.LoadOrStore(server, newLane(server, s))
	return l.(*lane) //nolint:forcetypeassert // nothing else is put in
}

// drop ends a lane whose server is gone.
func (s *lanes) drop(l *lane) {
	s.byServer.CompareAndDelete(l.redis, l)
	l.close(redis.ErrClosed)
}

func (s *lanes) each(f func(*lane)) {
	s.byServer.Range(func(_, l any) bool {
		f(l.(*lane)) //nolint:forcetypeassert // nothing else is put in
		return true
	})
}

// waiting returns how many calls wait in all lanes.
func (s *lanes) waiting() (n int64) {
	s.each(func(l *lane) { n += int64(l.waiting()) })
	return n
}

// close ends all lanes. What waits in them gets ErrClosed; round trips under way
// go on, until running is done.
func (s *lanes) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.each(func(l *lane) { l.close(ErrClosed) })
}
