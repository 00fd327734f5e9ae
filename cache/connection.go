package cache

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"github.com/redisbinding/redisbinding/internal/redact"
)

// connection is how a cache comes by its client: it was given one, or it makes one
// for the first call, and those that come meanwhile.
type connection struct {
	open   func(context.Context) (redis.UniversalClient, error) // nil: it was given one
	opened atomic.Pointer[redis.UniversalClient]
	shared singleflight.Group

	secrets func() []string // that a server knows, and may repeat; behind a function as fmt shows fields

	ctx     context.Context // ends with the connection
	cancel  context.CancelFunc
	mu      sync.Mutex
	closed  atomic.Bool // set with mu held
	opening sync.WaitGroup
}

func connectedTo(client redis.UniversalClient) *connection {
	c := connectedBy(nil)
	c.opened.Store(&client)
	c.secrets = func() []string { return secretsOf(client) }
	return c
}

// secretsOf returns the passwords that a client says it has.
func secretsOf(client redis.UniversalClient) []string {
	switch client := client.(type) {
	case *redis.Client:
		return []string{client.Options().Password}
	case *redis.ClusterClient:
		return []string{client.Options().Password}
	case *redis.Ring:
		return []string{client.Options().Password}
	}
	return nil
}

// hide returns err without the passwords that a server may have repeated.
func (c *connection) hide(err error) error {
	if err == nil || c.secrets == nil {
		return err
	}
	return redact.Hide(err, c.secrets()...)
}

// connectedBy returns a connection that is opened by need. Its context ends with the
// connection, not with that of a call: who asked first must not decide for those who
// share it.
func connectedBy(open func(context.Context) (redis.UniversalClient, error)) *connection {
	c := &connection{open: open}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// client returns the client.
func (c *connection) client(ctx context.Context) (redis.UniversalClient, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if client := c.opened.Load(); client != nil {
		return *client, nil
	}
	attempt := c.shared.DoChan("", func() (any, error) { return nil, c.connect() })
	select {
	case result := <-attempt:
		if result.Err != nil {
			return nil, result.Err
		}
		return *c.opened.Load(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *connection) connect() error {
	c.mu.Lock()
	if c.closed.Load() {
		c.mu.Unlock()
		return ErrClosed
	}
	c.opening.Add(1)
	c.mu.Unlock()
	defer c.opening.Done()
	if c.opened.Load() != nil { // the attempt before this one has ended meanwhile
		return nil
	}
	client, err := c.open(c.ctx)
	if c.ctx.Err() != nil && err != nil {
		return ErrClosed
	}
	if err == nil {
		c.opened.Store(&client)
	}
	return err
}

// close closes the client if it was made here.
func (c *connection) close() error {
	c.mu.Lock()
	again := c.closed.Swap(true)
	c.mu.Unlock()
	c.cancel()
	c.opening.Wait()
	client := c.opened.Load()
	if again || c.open == nil || client == nil {
		return nil
	}
	return (*client).Close()
}
