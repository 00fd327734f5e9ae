package redisbinding

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// lane is the way to one server. It lets few round trips be under way at a time:
// a call that finds one free takes it for itself, and calls that find none wait
// until the next one takes all of them, as one pipeline. So the more callers
// there are, the more of them share system calls, wake-ups and packets, and one
// caller alone waits for nobody.
//
// How many are few depends on how far away the server is: a call must not wait for
// the reply to another one that takes its time on the way. And a round trip that
// takes unusually long, because the server is silent or has a large reply to
// send, must not hold up others: when the last one began longer ago than
// patience, another may begin.
type lane struct {
	*lanes // what it shares with the other lanes
	redis  *redis.Client

	mu          sync.Mutex
	first, last *call // those that wait, in the order in which they came
	length      int   // how many do
	trips       int   // under way
	began       int64 // when the last trip did
	distance    int64 // how long a round trip of one call takes
	idle        int   // workers waiting for a trip to make
	timed       bool  // the timer runs
	due         int64 // when it comes
	closed      error // what calls get since close

	timer *time.Timer
	wake  chan struct{} // gives an idle worker a trip to make
}

func newLane(client *redis.Client, lanes *lanes) *lane {
	l := &lane{lanes: lanes, redis: client, wake: make(chan struct{}, lanes.limits.maxTrips)}
	l.timer = time.AfterFunc(time.Hour, l.overdue)
	l.timer.Stop()
	return l
}

var clockStart = time.Now()

// clock returns the time by a clock that nobody sets: nanoseconds since something.
func clock() int64 { return int64(time.Since(clockStart)) }

// clockAt returns what clock was or will be then, if time.Now was where that comes from.
func clockAt(t time.Time) int64 { return int64(t.Sub(clockStart)) }

// enter takes a round trip for a call that goes directly, or answers false when
// the call has to wait. After true comes leave, with when it began.
func (l *lane) enter() (began int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok = l.first == nil && l.closed == nil && l.begin(clock())
	return l.began, ok
}

// leave ends the round trip of a call that went directly. It tells how far away
// the server is.
func (l *lane) leave(began int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := clock() - began
	switch {
	case err != nil && !errors.Is(err, redis.Nil):
	case took < l.distance || l.distance == 0:
		l.distance = took
	default:
		l.distance += (took - l.distance) / 64 // it may have been held up, this once
	}
	l.trips--
	l.proceed()
}

// carryFor puts a call that may not enter into the queue, and waits for it. left is not
// nil when ctx has ended and the call was left to the lane.
func (l *lane) carryFor(ctx context.Context, c *call) (left *failure, err error) {
	if ctx.Done() != nil {
		c.own()
	}
	l.submit(c)
	select {
	case <-c.done:
		return nil, c.Err()
	case <-ctx.Done():
	}
	if l.withdraw(c) {
		return nil, ctx.Err()
	}
	maybeExecuted := c.maybeExecuted
	if abandoned, o := c.abandon(); abandoned {
		if maybeExecuted {
			o = unknown
		}
		return &failure{error: ctx.Err(), outcome: o}, nil
	}
	<-c.done
	return nil, c.Err()
}

// submit puts a call in the queue. The lane completes it.
func (l *lane) submit(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed != nil {
		c.SetErr(l.closed)
		c.complete()
		return
	}
	c.since = clock()
	c.waiting, c.prev, c.next = true, l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
	l.length++
	l.proceed()
}

// withdraw takes a call out of the queue, or answers false when it has left it.
func (l *lane) withdraw(c *call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.waiting {
		return false
	}
	l.unlink(c)
	return true
}

func (l *lane) unlink(c *call) {
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.waiting, c.prev, c.next = false, nil, nil
	l.length--
}

// begin counts another round trip, or answers false when none may begin now.
func (l *lane) begin(now int64) bool {
	if l.trips >= l.limits.maxTrips || l.trips >= l.enough() && now-l.began < int64(l.limits.patience) {
		return false
	}
	l.trips++
	l.began = now
	return true
}

// enough returns how many round trips at a time are enough: a few, and the more the
// farther away the server is.
func (l *lane) enough() int { return l.limits.trips + int(l.distance/int64(l.limits.apart)) }

// proceed sees to it that the calls in the queue get on: now, or when it is time.
func (l *lane) proceed() {
	if l.first == nil {
		return
	}
	now := clock()
	switch {
	case !l.begin(now):
		l.later(now)
	case l.idle > 0:
		l.idle--
		l.wake <- struct{}{}
	default:
		l.running.Go(l.work)
	}
}

// later sets the timer for when the first call in the queue has waited for too
// long, or another round trip may begin.
func (l *lane) later(now int64) {
	due := l.first.since + int64(l.limits.wait)
	if l.trips < l.limits.maxTrips {
		due = min(due, l.began+int64(l.limits.patience))
	}
	switch {
	case !l.timed:
		l.timed = true
		l.running.Add(1)
	case due >= l.due || !l.timer.Stop():
		return // it comes soon enough, or is just coming
	}
	l.due = due
	l.timer.Reset(time.Duration(due - now))
}

// overdue is what the timer calls.
func (l *lane) overdue() {
	defer l.running.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timed = false
	for now := clock(); l.first != nil && now-l.first.since >= int64(l.limits.wait); {
		l.timeouts.Add(1)
		l.fail(l.first, redis.ErrPoolTimeout)
	}
	l.proceed()
}

// fail ends a call that is in the queue.
func (l *lane) fail(c *call, err error) {
	l.unlink(c)
	c.SetErr(err)
	c.complete()
}

// work makes round trips, the first of which has been counted already.
func (l *lane) work() {
	var batch []redis.Cmder
	for l.next(&batch) {
		l.carry(batch)
		if len(batch) > 1 {
			// Those who have their replies may have more to send: let them go first.
			runtime.Gosched()
		}
	}
}

// next ends the worker's last round trip, if the batch has one, and begins the
// next when there is one to make. It answers false when the worker has to end.
func (l *lane) next(batch *[]redis.Cmder) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(*batch) > 0 {
		l.trips--
		if l.first == nil || !l.begin(clock()) {
			l.proceed()
			if !l.await() {
				return false
			}
		}
	}
	for !l.take(batch) {
		// Nothing is left in the queue to make the trip for.
		l.trips--
		if !l.await() {
			return false
		}
	}
	l.proceed()
	return true
}

// await waits for a round trip to make. It answers false when enough other
// workers do, or the lane is closed.
func (l *lane) await() bool {
	if l.closed != nil || l.idle >= l.enough() {
		return false
	}
	l.idle++
	l.mu.Unlock()
	_, open := <-l.wake
	l.mu.Lock()
	return open
}

// take makes a batch of the calls that have waited longest, or answers false
// when none wait.
func (l *lane) take(batch *[]redis.Cmder) bool {
	clear(*batch)
	taken, bytes := (*batch)[:0], 0
	for l.first != nil && len(taken) < l.limits.commands && bytes < l.limits.bytes {
		c := l.first
		l.unlink(c)
		bytes += c.size
		taken = append(taken, c)
	}
	*batch = taken
	return len(taken) > 0
}

// carry makes a round trip. The time-outs of the connection bound it, and no
// context: a connection survives a caller who does not want to wait for a reply.
func (l *lane) carry(batch []redis.Cmder) {
	ctx := context.Background()
	if len(batch) == 1 && !l.integrity {
		_ = l.redis.Process(ctx, batch[0])
	} else {
		l.pipelined.Add(uint64(len(batch)))
		pipe := l.redis.Pipeline()
		_ = pipe.BatchProcess(ctx, batch...)
		_ = execPipeline(ctx, pipe, batch, l.integrity)
	}
	for _, cmd := range batch {
		cmd.(*call).complete() //nolint:forcetypeassert // nothing else is put in
	}
}

// waiting returns how many calls wait.
func (l *lane) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.length
}

// unused says whether nothing was sent for that long.
func (l *lane) unused(d time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trips == 0 && l.first == nil && clock()-l.began > int64(d)
}

// close fails the calls in the queue and those that come later with err. Round
// trips under way go on.
func (l *lane) close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed != nil {
		return
	}
	l.closed = err
	for l.first != nil {
		l.fail(l.first, err)
	}
	if l.timed && l.timer.Stop() {
		l.running.Done()
	}
	close(l.wake)
}
