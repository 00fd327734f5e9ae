// Package history decides whether what clients have seen of a key is possible: what
// they asked, when, and what came of it. Tests that break servers and networks record
// with it what a binding has answered, and find out what was lost, done twice, or
// made up.
package history

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Operation is what a client asks for.
type Operation string

// The operations of a binding. Take is a get with delete.
const (
	Create    Operation = "create"
	Get       Operation = "get"
	Take      Operation = "take"
	Delete    Operation = "delete"
	Increment Operation = "increment"
)

// Outcome is what a client knows of a call that has ended.
type Outcome string

// What a client knows: that the call was carried out, that it certainly was not, or
// neither.
const (
	OK      Outcome = "ok"
	Failed  Outcome = "failed"
	Unknown Outcome = "unknown"
)

// Call is one call of a client. The fields of what came of it count when the outcome
// is OK.
type Call struct {
	Client    int
	Operation Operation
	Written   string // what a create writes; no two creates of a key write the same

	Began, Ended time.Duration // since the history began
	Outcome      Outcome
	Found        bool   // by a get or a take
	Read         string // the value that was found, or the number that an increment has answered
}

func (c *Call) String() string {
	text := fmt.Sprintf("%12v - %12v  client %2d  %-9s", c.Began, c.Ended, c.Client, c.Operation)
	if c.Operation == Create {
		text += " " + c.Written
	}
	text += ": " + string(c.Outcome)
	switch {
	case c.Outcome != OK || c.Operation == Create || c.Operation == Delete:
	case c.Operation == Increment || c.Found:
		text += " " + c.Read
	default:
		text += " missing"
	}
	return text
}

// History is that of one key, which is missing at first. Its methods may be called
// from several goroutines.
type History struct {
	Key string

	start time.Time
	mu    sync.Mutex
	calls []*Call
}

// New begins the history of a key.
func New(key string) *History { return &History{Key: key, start: time.Now()} }

// Begin records that a call begins. End it with [History.End].
func (h *History) Begin(client int, operation Operation, written string) *Call {
	c := &Call{Client: client, Operation: operation, Written: written, Outcome: Unknown}
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Began = time.Since(h.start)
	h.calls = append(h.calls, c)
	return c
}

// End records what has come of a call: read is what a get or a take has found, or
// the number that an increment has answered.
func (h *History) End(c *Call, outcome Outcome, found bool, read string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Ended, c.Outcome, c.Found, c.Read = time.Since(h.start), outcome, found, read
}

// Server is what is known about what has kept the key.
type Server int

const (
	// Durable keeps what it has acknowledged: the history has to be linearizable.
	Durable Server = iota
	// Forgetful may have lost what it has acknowledged, as a primary does that is
	// replaced by a replica before it has replicated: nothing may be made up, and
	// no more be counted than was asked for.
	Forgetful
)

// Check returns nil when the history is possible, and else what is not. All calls
// must have ended, or never will.
func (h *History) Check(server Server) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	check := checkPossible
	if server == Durable {
		check = func(calls []*Call) error {
			return errors.Join(checkPossible(calls), checkTaken(calls), checkOrder(calls))
		}
	}
	if err := check(h.calls); err != nil {
		return fmt.Errorf("key %s: %w\n%s", h.Key, err, h.text())
	}
	return nil
}

// text lists the calls in the order in which they began.
func (h *History) text() string {
	var lines []string
	for _, c := range h.calls {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

// checkPossible looks for values that nobody has written before they were read, and
// for numbers that are higher than increments were asked for.
func checkPossible(calls []*Call) error {
	for _, c := range calls {
		if c.Outcome != OK || c.Operation == Create || c.Operation == Delete || c.Operation != Increment && !c.Found {
			continue
		}
		number, err := strconv.Atoi(c.Read)
		switch {
		case err == nil && number > 0:
			if asked := count(calls, Increment, c.Ended); number > asked {
				return fmt.Errorf("%s counted to %d, when %d increments had been asked for", c.Operation, number, asked)
			}
		case !slices.ContainsFunc(calls, func(w *Call) bool {
			return w.Operation == Create && w.Written == c.Read && w.Outcome != Failed && w.Began <= c.Ended
		}):
			return fmt.Errorf("%s found %q, which nobody had written", c.Operation, c.Read)
		}
	}
	return nil
}

// count returns how many calls of the kind had begun then, but those that certainly
// were not carried out.
func count(calls []*Call, operation Operation, then time.Duration) (n int) {
	for _, c := range calls {
		if c.Operation == operation && c.Outcome != Failed && c.Began <= then {
			n++
		}
	}
	return n
}

// checkTaken looks for values that were taken twice. [checkOrder] would find them, too,
// and could not say what is wrong.
func checkTaken(calls []*Call) error {
	taken := map[string]bool{}
	for _, c := range calls {
		if c.Outcome != OK || c.Operation != Take || !c.Found {
			continue
		}
		if _, err := strconv.Atoi(c.Read); err == nil {
			continue // a counter may come to the same number again
		}
		if taken[c.Read] {
			return fmt.Errorf("%q was taken twice", c.Read)
		}
		taken[c.Read] = true
	}
	return nil
}
