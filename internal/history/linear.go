package history

import (
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"
)

// state is that of a key in Redis. A counter is its digits.
type state struct {
	present bool
	value   string
}

var hashSeed = maphash.MakeSeed()

// model is what a key in Redis does, one call after the other.
var model = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(before, input, _ any) (bool, any) {
		return step(before.(state), input.(*Call)) //nolint:forcetypeassert // nothing else is put in
	},
	Hash: func(s any) uint64 { return maphash.Comparable(hashSeed, s.(state)) }, //nolint:forcetypeassert // likewise
}

// step says whether the call may have gone as it did on a key in that state, and
// what it leaves.
func step(before state, c *Call) (possible bool, after state) {
	known := c.Outcome == OK
	switch c.Operation {
	case Create:
		return true, state{true, c.Written}
	case Delete:
		return true, state{}
	case Get:
		return !known || c.Found == before.present && c.Read == before.value, before
	case Take:
		return !known || c.Found == before.present && c.Read == before.value, state{}
	case Increment:
		if !before.present {
			before.value = "0"
		}
		n, err := strconv.Atoi(before.value)
		if err != nil {
			return !known, before // Redis refuses
		}
		after = state{true, strconv.Itoa(n + 1)}
		return !known || c.Read == after.value, after
	}
	panic("history: no such operation: " + string(c.Operation))
}

// never is when a call ends of which nobody knows whether it was carried out: it may
// be, still, at any time after it began.
const never = time.Duration(1<<63 - 1)

// decideWithin bounds the search. A history that takes longer has too many calls at
// the same time.
const decideWithin = 2 * time.Minute

// checkOrder looks for an order of the calls in which each gets what it got, and none
// comes before one that had ended when it began.
func checkOrder(calls []*Call) error {
	var history []porcupine.Operation
	for _, c := range calls {
		ended := c.Ended
		switch {
		case c.Outcome == Failed, c.Outcome == Unknown && c.Operation == Get:
			continue
		case c.Outcome == Unknown:
			ended = never
		}
		history = append(history, porcupine.Operation{ClientId: c.Client, Input: c, Call: int64(c.Began), Return: int64(ended)})
	}
	switch porcupine.CheckOperationsTimeout(model, history, decideWithin) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("whether there is an order of the calls was not found out within %v", decideWithin)
	case porcupine.Illegal:
	}
	return errors.New("there is no order of the calls in which all get what they got")
}
