package benchmarks

import (
	"context"

	"github.com/redis/rueidis"
)

// rueidisPeer is rueidis, which sends the calls of all callers over few
// connections, as it is when nothing is set. Its cache of values is off: none of
// the others has one.
type rueidisPeer struct{ client rueidis.Client }

func openRueidis(to target) (peer, error) {
	config, err := to.tls()
	if err != nil {
		return nil, err
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress:  to.addrs(),
		TLSConfig:    config,
		DisableCache: true,
	})
	return rueidisPeer{client}, err
}

func (p rueidisPeer) caller() caller { return p }

func (p rueidisPeer) Close() error {
	p.client.Close()
	return nil
}

func (p rueidisPeer) set(ctx context.Context, key string, value []byte) error {
	return p.client.Do(ctx, p.client.B().Set().Key(key).Value(rueidis.BinaryString(value)).Build()).Error()
}

func (p rueidisPeer) get(ctx context.Context, key string) ([]byte, error) {
	return p.client.Do(ctx, p.client.B().Get().Key(key).Build()).AsBytes()
}

func (p rueidisPeer) del(ctx context.Context, key string) error {
	return p.client.Do(ctx, p.client.B().Del().Key(key).Build()).Error()
}
