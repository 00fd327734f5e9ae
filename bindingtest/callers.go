package bindingtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redisbinding/redisbinding"
)

func servesManyCallers(c *check) {
	const callers, rounds = 64, 10
	many(callers, func(i int) {
		key := c.key(strconv.Itoa(i))
		for round := range rounds {
			want := fmt.Appendf(nil, "caller %d, round %d", i, round)
			if round%2 == 1 {
				want = append(want, bytes.Repeat([]byte(key), 256)...)
			}
			for _, step := range []struct {
				req  *redisbinding.InvokeRequest
				want []byte
			}{
				{create(key, string(want)), nil}, {get(key), want}, {get(key, redisbinding.DeleteField, "true"), want}, {get(key), nil},
				{create(key, string(want)), nil}, {remove(key), nil}, {get(key), nil},
			} {
				resp, err := c.invoke(c.Context(), step.req)
				switch {
				case err != nil:
					c.Errorf("%d callers with keys of their own: %s: %v", callers, describe(step.req), err)
					return
				case step.want != nil && !c.same("each of many callers gets what it asked for", resp.Data, step.want):
					return
				case step.want == nil && resp.Data != nil:
					c.Errorf("each of many callers gets what it asked for: %s: the data is %s, want nil", describe(step.req), show(resp.Data))
					return
				}
			}
		}
	})
}

// mindsContext checks that calls with an ended context are errors that wrap want,
// and change nothing.
func mindsContext(c *check, ctx context.Context, want error) {
	rule := fmt.Sprintf("a call whose context has ended is an error for which errors.Is finds %q", want)
	if err := c.binding.Ping(ctx); !errors.Is(err, want) {
		c.Errorf("%s: Ping answers %v", rule, err)
	}
	key, missing := c.key("key"), c.key("missing")
	c.must(create(key, "5"))
	requests := []*redisbinding.InvokeRequest{
		create(missing, "new"), create(key, "new"), create(key, "new", ttlField, "50ms"),
		get(key), get(key, redisbinding.DeleteField, "true"), remove(key),
	}
	if c.lists(redisbinding.IncrementOperation) {
		requests = append(requests, increment(key), increment(key, ttlField, longTTL), increment(missing))
	}
	for _, req := range requests {
		if _, err := c.invoke(ctx, req); !errors.Is(err, want) {
			c.Errorf("%s: %s answers %v", rule, describe(req), err)
		}
		c.missing("a call whose context has ended stores nothing", missing)
		c.holds("a call whose context has ended changes nothing", key, []byte("5"))
	}
	c.must(remove(key))
	if err := c.binding.Ping(c.Context()); err != nil {
		c.Errorf("a binding works after calls whose context has ended: %v", err)
	}
}

func mindsCanceled(c *check) {
	ctx, cancel := context.WithCancel(c.Context())
	cancel()
	mindsContext(c, ctx, context.Canceled)
}

func mindsDeadline(c *check) {
	ctx, cancel := context.WithDeadline(c.Context(), time.Now().Add(-time.Second))
	defer cancel()
	mindsContext(c, ctx, context.DeadlineExceeded)
}

// survivesEndingContexts checks that calls whose contexts end at any moment of
// their way disturb nobody: not the calls beside them, nor those that come after.
func survivesEndingContexts(c *check) {
	const callers, rounds = 16, 50
	value := func(i int) []byte { return fmt.Appendf(nil, "the value of caller %d", i) }
	for i := range callers {
		c.must(create(c.key(strconv.Itoa(i)), string(value(i))))
	}
	many(callers, func(i int) {
		key := c.key(strconv.Itoa(i))
		for range rounds {
			ctx, cancel := context.WithCancel(c.Context())
			ends := i%2 == 0
			done := make(chan struct{})
			go func() {
				defer close(done)
				if ends {
					cancel()
				}
			}()
			resp, err := c.invoke(ctx, get(key))
			<-done
			cancel()
			switch {
			case err == nil && !c.same("a call beside others whose contexts end gets what it asked for", resp.Data, value(i)):
				return
			case err != nil && !ends:
				c.Errorf("a call beside others whose contexts end succeeds: %v", err)
				return
			case err != nil && !errors.Is(err, context.Canceled):
				c.Errorf("a call whose context is canceled on its way succeeds or is an error for which errors.Is finds %q, got %v", context.Canceled, err)
				return
			}
		}
	})
	for i := range callers {
		c.holds("a binding works after calls whose contexts have ended on the way", c.key(strconv.Itoa(i)), value(i))
		c.must(remove(c.key(strconv.Itoa(i))))
	}
}

// mustClose closes the binding, and ends the check when it does not return.
func (c *check) mustClose(rule string) {
	c.Helper()
	closed := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				closed <- fmt.Errorf("panic: %v", p)
			}
		}()
		closed <- c.binding.Close()
	}()
	select {
	case err := <-closed:
		if err != nil {
			c.Errorf("%s: Close answers %v", rule, err)
		}
	case <-time.After(c.patience):
		c.hangs = true
		c.Fatalf("%s: Close has not returned after %s", rule, c.patience)
	}
}

func closes(c *check) {
	key := c.key("key")
	c.must(create(key, "5"))
	c.must(get(key))
	c.must(remove(key))
	c.mustClose("Close succeeds")
	for range 2 {
		for _, operation := range c.binding.Operations() {
			c.refuses("Invoke after Close is an error", request(operation, key, "value"))
		}
		if err := c.binding.Ping(c.Context()); err == nil {
			c.Errorf("Ping after Close is an error, got nil")
		}
		c.mustClose("Close succeeds a second time")
	}
	many(8, func(int) {
		defer func() {
			if p := recover(); p != nil {
				c.Errorf("Close does not panic: %v", p)
			}
		}()
		if err := c.binding.Close(); err != nil {
			c.Errorf("Close succeeds for several callers: %v", err)
		}
	})
}

func closesUnderWay(c *check) {
	const callers = 16
	value := func(i int) []byte { return fmt.Appendf(nil, "the value of caller %d", i) }
	for i := range callers {
		c.must(create(c.key(strconv.Itoa(i)), string(value(i)), ttlField, longTTL))
	}
	var (
		closing atomic.Bool    // Close may have begun
		closed  atomic.Bool    // Close has returned
		running sync.WaitGroup // until each caller has had a call
		done    = make(chan struct{})
	)
	running.Add(callers)
	go func() {
		defer close(done)
		many(callers, func(i int) {
			had := sync.OnceFunc(running.Done)
			defer had()
			for {
				late := closed.Load()
				resp, err := c.invoke(c.Context(), get(c.key(strconv.Itoa(i))))
				switch {
				case err != nil && !closing.Load():
					c.Errorf("a call before Close succeeds: %v", err)
					return
				case err != nil:
					return
				case late:
					c.Errorf("Invoke after Close is an error, got %s", show(resp.Data))
					return
				case !c.same("a call that Close finds under way gets what it asked for or an error", resp.Data, value(i)):
					return
				}
				had()
			}
		})
	}()
	running.Wait()
	closing.Store(true)
	c.mustClose("Close succeeds while calls are under way")
	closed.Store(true)
	select {
	case <-done:
	case <-time.After(c.patience):
		c.Fatalf("calls that Close finds under way return: some have not after %s", c.patience)
	}
}
