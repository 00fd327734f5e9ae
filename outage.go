package redisbinding

import (
	"context"
	"net"
	"time"
)

// outage is that of an address where the last attempt to connect has failed, be it
// that nobody was there, or that who was hung up or said nothing. As long as it
// lasts attempts take turns, with a pause between two of them, and when one fails,
// so do all who were waiting when it began: many callers of a dead server neither
// hammer it, nor wait for long to hear that it is dead, or back.
type outage struct {
	failures int
	err      error         // of the attempt that began last of those that have failed
	tried    time.Time     // when that began
	underWay int           // attempts that nothing has come of yet
	began    time.Time     // when the last one did
	next     time.Time     // not before then another one
	changed  chan struct{} // closed at each change
}

const (
	// longestPause is that between two attempts to connect to a server that is down.
	longestPause = 50 * time.Millisecond
	// longestTurn is after which time another attempt may begin beside one that has
	// come to no end: what it waits for may be gone when the server is back. So
	// this is how long the first call may wait then.
	longestTurn = 250 * time.Millisecond
	// certainly is how many failures in a row there must be before others share one:
	// behind an address there may be several servers, and only one of them dead.
	certainly = 3
)

// pause returns how long to wait after an attempt: a millisecond after the first
// failure, and after each further one twice as long.
func (o *outage) pause() time.Duration {
	return min(time.Millisecond<<min(o.failures-1, 10), longestPause)
}

// change tells those who wait.
func (o *outage) change() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// due returns when another attempt may begin.
func (o *outage) due() time.Time {
	if end := o.began.Add(longestTurn); o.underWay > 0 && end.After(o.next) {
		return end
	}
	return o.next
}

// ended notes that an attempt has come to something.
func (o *outage) ended() {
	o.underWay--
	o.next = time.Now().Add(o.pause())
	o.change()
}

// connectInTurn connects to the address, at once unless it is known to be down.
func (d *dialer) connectInTurn(ctx context.Context, network, addr string) (net.Conn, error) {
	came := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		o, now := d.down[addr], time.Now()
		switch {
		case o == nil:
			return d.connectUnlocked(network, addr, nil)
		case o.failures >= certainly && o.tried.After(came):
			return nil, o.err
		case !now.Before(o.due()):
			o.underWay++
			o.began = now
			return d.connectUnlocked(network, addr, o)
		}
		if err := d.await(ctx, o); err != nil {
			return nil, d.orTimeout(err, "dial "+addr) // go-redis bounds it by dialTimeout, too
		}
	}
}

func (d *dialer) connectUnlocked(network, addr string, turn *outage) (net.Conn, error) {
	d.mu.Unlock()
	defer d.mu.Lock()
	return d.connect(network, addr, turn)
}

// await waits for a change, or for when the next attempt may begin.
func (d *dialer) await(ctx context.Context, o *outage) error {
	changed, timer := o.changed, time.NewTimer(time.Until(o.due()))
	defer timer.Stop()
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
	return nil
}

// settle notes what has come of an attempt to connect: that the server has answered, or
// what has kept it from doing so; with neither nobody knows. turn is the outage in
// which the attempt had its turn, or nil.
func (d *dialer) settle(addr string, turn *outage, began time.Time, err error, answered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.down[addr]
	switch {
	case answered:
		delete(d.down, addr)
	case err != nil:
		if o == nil {
			o = &outage{changed: make(chan struct{})}
			d.down[addr], turn = o, o
			o.underWay++ // and ends below
		}
		if turn == o { // one that had begun before says nothing new
			o.failures++
		}
		if began.After(o.tried) {
			o.err, o.tried = err, began
		}
	}
	if turn != nil {
		turn.ended()
	}
	if o != nil && o != turn {
		o.change()
	}
}
