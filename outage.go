package redisbinding

import (
	"context"
	"net"
	"time"
)

// outage is that of an address where the last attempt to connect has failed, be it
// that nobody was there, or that who was hung up or said nothing. As long as it
// lasts there is one attempt at a time and a pause between two of them, and when one
// fails, so do all who have waited for their turn: many callers of a dead server
// neither hammer it, nor wait for long to hear that it is dead, or back.
type outage struct {
	failures   int
	err        error     // of the last one
	connecting bool      // an attempt is under way
	next       time.Time // when the next one may begin
	changed    chan struct{}
}

// longestPause is that between two attempts to connect to a server that is down,
// and so how long the first call after it is back may wait.
const longestPause = 50 * time.Millisecond

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

// connectInTurn connects to the address, at once unless it is known to be down.
func (d *dialer) connectInTurn(ctx context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	waited, failures := (*outage)(nil), 0
	for {
		o := d.down[addr]
		switch {
		case o == nil:
			return d.unlocked(func() (net.Conn, error) { return d.connect(network, addr, false) })
		case waited != nil && (o != waited || o.failures > failures):
			return nil, o.err
		case !o.connecting && !time.Now().Before(o.next):
			o.connecting = true
			defer func() {
				o.connecting, o.next = false, time.Now().Add(o.pause())
				o.change()
			}()
			return d.unlocked(func() (net.Conn, error) { return d.connect(network, addr, true) })
		}
		waited, failures = o, o.failures
		if err := d.await(ctx, o); err != nil {
			return nil, d.orTimeout(err, "dial "+addr) // go-redis bounds it by dialTimeout, too
		}
	}
}

func (d *dialer) unlocked(connect func() (net.Conn, error)) (net.Conn, error) {
	d.mu.Unlock()
	defer d.mu.Lock()
	return connect()
}

// await waits for a change, or for when the next attempt may begin.
func (d *dialer) await(ctx context.Context, o *outage) error {
	changed := o.changed
	var turn <-chan time.Time
	if !o.connecting {
		timer := time.NewTimer(time.Until(o.next))
		defer timer.Stop()
		turn = timer.C
	}
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-changed:
	case <-turn:
	case <-ctx.Done():
		return ctx.Err()
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
	return nil
}

// settle notes what has come of a connection: that the server has answered, or what
// has kept it from doing so; with neither nobody knows. inTurn says that there was an
// outage when it was opened.
func (d *dialer) settle(addr string, inTurn bool, err error, answered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.down[addr]
	switch {
	case answered && o != nil:
		delete(d.down, addr)
	case err == nil: // as nearly always
		return
	case o == nil:
		o = &outage{changed: make(chan struct{})}
		d.down[addr] = o
		inTurn = true
	}
	if err != nil {
		o.err = err
		if inTurn { // those that were opened before the outage have failed with the first
			o.failures++
			o.next = time.Now().Add(o.pause())
		}
	}
	o.change()
}
