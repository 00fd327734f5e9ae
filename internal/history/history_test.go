package history

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parse reads a history of one call a line: when it began and ended, in seconds, what
// it asked, what it wrote if it did, and what came of it.
func parse(t *testing.T, text string) *History {
	t.Helper()
	h := New("key")
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		words := strings.Fields(line)
		began, err := strconv.Atoi(words[0])
		require.NoError(t, err)
		ended, err := strconv.Atoi(words[1])
		require.NoError(t, err)
		c := &Call{Client: i, Began: time.Duration(began), Ended: time.Duration(ended), Operation: Operation(words[2]), Outcome: OK}
		came := words[3:]
		if c.Operation == Create {
			c.Written, came = came[0], came[1:]
		}
		switch came[0] {
		case "failed", "unknown":
			c.Outcome = Outcome(came[0])
		case "missing", "ok":
		default:
			c.Found, c.Read = true, came[0]
		}
		h.calls = append(h.calls, c)
	}
	return h
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name, history      string
		durable, forgetful string // what is wrong; empty: nothing
	}{
		{"read what was written", "0 1 create a ok\n2 3 get a\n4 5 take a\n6 7 get missing\n8 9 delete ok", "", ""},
		{"at the same time", "0 9 create a ok\n1 3 get missing\n2 4 get a", "", ""},
		{"made up", "0 1 create a ok\n2 3 get b", `get found "b", which nobody had written`, `get found "b", which nobody had written`},
		{"before it was written", "0 1 get a\n2 3 create a ok", `get found "a", which nobody had written`, `nobody had written`},
		{"lost", "0 1 create a ok\n2 3 get missing", "there is no order of the calls", ""},
		{"stale", "0 1 create a ok\n2 3 create b ok\n4 5 get a", "there is no order", ""},
		{"back and forth", "0 9 create a ok\n0 9 create b ok\n1 2 get a\n3 4 get b\n5 6 get a", "there is no order", ""},
		{"unknown, and so it was", "0 1 create a ok\n2 3 create b unknown\n4 5 get a\n6 7 get b", "", ""},
		{"unknown, and so it was not", "0 1 create a ok\n2 3 create b unknown\n4 5 get a\n6 7 get a", "", ""},
		{"unknown twice", "0 1 create a ok\n2 3 take unknown\n4 5 get missing\n6 7 get a", "there is no order", ""},
		{"failed, and yet it was", "0 1 create a failed\n2 3 get a", `get found "a", which nobody had written`, `nobody had written`},
		{"failed to delete, and yet it did", "0 1 create a ok\n2 3 delete failed\n4 5 get missing", "there is no order", ""},
		{"taken twice", "0 1 create a ok\n2 3 take a\n4 5 take a", `"a" was taken twice`, ""},
		{"taken by one of them", "0 1 create a ok\n2 5 take a\n3 4 take missing", "", ""},
		{"counted", "0 1 increment 1\n2 3 increment 2\n4 5 get 2\n6 7 take 2\n8 9 increment 1\n10 11 take 1", "", ""},
		{"counted twice", "0 1 increment 1\n2 3 increment 3", "increment counted to 3, when 2 increments had been asked for", "when 2 increments"},
		{"counted twice, as the end shows", "0 1 increment 1\n2 3 get 2", "get counted to 2, when 1 increments", "when 1 increments"},
		{"answered twice", "0 1 increment 1\n2 3 increment 1", "there is no order", ""},
		{"not counted", "0 1 increment 1\n2 3 increment 2\n4 5 get 1", "there is no order", ""},
		{"perhaps counted", "0 1 increment 1\n2 3 increment unknown\n4 5 increment 3", "", ""},
		{"perhaps not", "0 1 increment 1\n2 3 increment unknown\n4 5 increment 2", "", ""},
		{"perhaps both", "0 1 increment 1\n2 3 increment unknown\n4 5 increment 2\n6 7 increment 4", "", ""},
		{"perhaps too often", "0 1 increment 1\n2 3 increment unknown\n4 5 get 3", "get counted to 3, when 2", "when 2"},
		{"certainly not counted", "0 1 increment 1\n2 3 increment failed\n4 5 increment 3", "increment counted to 3", "increment counted to 3"},
		{"no number", "0 1 create a ok\n2 3 increment 1", "there is no order", ""},
		{"no number, and refused", "0 1 create a ok\n2 3 increment failed\n4 5 increment unknown\n6 7 get a", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := parse(t, test.history)
			for server, want := range map[Server]string{Durable: test.durable, Forgetful: test.forgetful} {
				err := h.Check(server)
				if want == "" {
					assert.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, want)
				assert.ErrorContains(t, err, "key key: ")
				for _, c := range h.calls {
					assert.ErrorContains(t, err, c.String())
				}
			}
		})
	}
}

func TestRecord(t *testing.T) {
	h := New("k")
	var clients sync.WaitGroup
	value, mu := 0, sync.Mutex{}
	for client := range 4 {
		clients.Go(func() {
			for range 25 {
				c := h.Begin(client, Increment, "")
				mu.Lock()
				value++
				read := strconv.Itoa(value)
				mu.Unlock()
				h.End(c, OK, true, read)
			}
		})
	}
	clients.Wait()
	require.NoError(t, h.Check(Durable))
	require.Len(t, h.calls, 100)
	c := h.Begin(1, Get, "")
	require.NoError(t, h.Check(Durable), "nobody has heard of it")
	h.End(c, OK, true, "99")
	require.ErrorContains(t, h.Check(Durable), "get      : ok 99")
	require.NoError(t, h.Check(Forgetful))
	c = h.Begin(1, Create, "v")
	h.End(c, Failed, false, "")
	assert.ErrorContains(t, h.Check(Durable), "create    v: failed")
}
