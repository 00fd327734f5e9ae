package benchmarks

import (
	"context"

	"github.com/redisbinding/redisbinding"
)

// bindingPeer is what all this is about.
type bindingPeer struct{ *redisbinding.RedisBinding }

func openBinding(to target) (peer, error) {
	binding, err := redisbinding.NewRedisBinding(to)
	return bindingPeer{binding}, err
}

// openChecked opens a binding with the integrity check.
func openChecked(to target) (peer, error) {
	binding, err := redisbinding.NewRedisBinding(to, redisbinding.WithIntegrityCheck())
	return bindingPeer{binding}, err
}

func (p bindingPeer) caller() caller {
	metadata := map[string]string{}
	return &bindingCaller{
		binding:  p.RedisBinding,
		metadata: metadata,
		create:   redisbinding.InvokeRequest{Operation: redisbinding.CreateOperation, Metadata: metadata},
		read:     redisbinding.InvokeRequest{Operation: redisbinding.GetOperation, Metadata: metadata},
		remove:   redisbinding.InvokeRequest{Operation: redisbinding.DeleteOperation, Metadata: metadata},
	}
}

// bindingCaller makes its requests once, as a caller can who has many to send.
type bindingCaller struct {
	binding              *redisbinding.RedisBinding
	metadata             map[string]string // of all requests
	create, read, remove redisbinding.InvokeRequest
}

func (c *bindingCaller) set(ctx context.Context, key string, value []byte) error {
	c.create.Data = value
	_, err := c.invoke(ctx, key, &c.create)
	return err
}

func (c *bindingCaller) get(ctx context.Context, key string) ([]byte, error) {
	resp, err := c.invoke(ctx, key, &c.read)
	if err != nil {
		return nil, err
	}
	return resp.Data, nil
}

func (c *bindingCaller) del(ctx context.Context, key string) error {
	_, err := c.invoke(ctx, key, &c.remove)
	return err
}

func (c *bindingCaller) invoke(ctx context.Context, key string, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
	c.metadata[redisbinding.KeyField] = key
	return c.binding.Invoke(ctx, req)
}
