package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/redisbinding/redisbinding"
)

// counter is what the service does: it counts in Redis, and the calls that fail.
type counter struct {
	binding *redisbinding.RedisBinding
	value   string
	failed  int
	err     error // of the first call that has failed
}

func (c *counter) add(ctx context.Context) {
	resp, err := c.binding.Invoke(ctx, &redisbinding.InvokeRequest{
		Operation: redisbinding.IncrementOperation,
		Metadata:  map[string]string{"key": "entraid:visits", "ttlInSeconds": "60"},
	})
	if err != nil {
		c.failed++
		if c.err == nil {
			c.err = err
		}
		return
	}
	c.value = string(resp.Data)
}

func (c *counter) String() string {
	calls := "no call failed"
	if c.failed > 0 {
		calls = fmt.Sprintf("%d calls failed", c.failed)
	}
	return calls + ", visits -> " + c.value
}

// newLogger shows what the binding logs: when a token is acquired or renewed,
// and when there is none to be had.
func newLogger() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
			if len(groups) == 0 && attr.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return attr
		},
	}))
}
