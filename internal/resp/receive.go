package resp

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

var errMessage = errors.New("the server sends a message that is none: is this Redis?")

// Receive is ReceiveTimeout of a subscription, which panics when a message is not what
// go-redis expects: it asserts the types of its parts, after it has given up its locks
// and the connection. That is an error here.
func Receive(ctx context.Context, subscription *redis.PubSub, timeout time.Duration) (message any, err error) {
	defer func() {
		if recover() != nil {
			message, err = nil, errMessage
		}
	}()
	return subscription.ReceiveTimeout(ctx, timeout)
}
