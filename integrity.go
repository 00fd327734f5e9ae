package redisbinding

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// errIntegrity is the error of calls whose replies may belong to other calls.
var errIntegrity = errors.New("the integrity check failed: the replies of the round trip may belong to other commands")

// execPipeline executes a pipeline of calls. With the integrity check, an ECHO with a fresh
// number follows them, and the replies count only when the echo has come.
func execPipeline(ctx context.Context, pipe redis.Pipeliner, calls []redis.Cmder, check bool) error {
	if !check {
		_, err := pipe.Exec(ctx)
		return err
	}
	number := strconv.FormatUint(rand.Uint64(), 36) //nolint:gosec // chance, not secrecy
	echo := pipe.Echo(ctx, number)
	_, err := pipe.Exec(ctx)
	if echo.Err() == nil && echo.Val() == number {
		return err
	}
	for _, cmd := range calls {
		if c, ok := cmd.(*call); ok {
			c.distrust()
		}
	}
	var reply redis.Error
	if err == nil || errors.As(err, &reply) { // a reply that may belong to another call
		return errIntegrity
	}
	return errors.Join(errIntegrity, err)
}

// distrust takes back a reply.
func (c *call) distrust() {
	if c.answered() {
		c.outcome, c.err = unknown, errIntegrity
		c.StringCmd.SetErr(errIntegrity)
	}
}
