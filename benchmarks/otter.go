package benchmarks

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/maypok86/otter/v2"
)

// otterPeer is otter by itself, set up as the cache has it: bounded by bytes, and with an
// expiration of each entry.
type otterPeer struct {
	entries *otter.Cache[string, []byte]
	copies  bool // returns a copy, as caches have to that let callers change it
}

func openOtterWith(copies bool) (peer, error) {
	entries, err := otter.New(&otter.Options[string, []byte]{
		MaximumWeight:    localBytes,
		Weigher:          func(key string, value []byte) uint32 { return uint32(len(key) + len(value) + 100) }, //nolint:gosec // keys and values are short
		ExpiryCalculator: otter.ExpiryWritingFunc(func(otter.Entry[string, []byte]) time.Duration { return entryTTL }),
	})
	return otterPeer{entries, copies}, err
}

func openOtter(servers) (peer, error)        { return openOtterWith(false) }
func openCopyingOtter(servers) (peer, error) { return openOtterWith(true) }

func (p otterPeer) caller() caller { return p }

func (p otterPeer) Close() error {
	p.entries.StopAllGoroutines()
	return nil
}

func (p otterPeer) set(_ context.Context, key string, value []byte) error {
	p.entries.Set(key, value)
	return nil
}

func (p otterPeer) get(_ context.Context, key string) ([]byte, error) {
	value, ok := p.entries.GetIfPresent(key)
	if !ok {
		return nil, errNotCached
	}
	if p.copies {
		value = bytes.Clone(value)
	}
	return value, nil
}

func (otterPeer) del(context.Context, string) error { return errors.ErrUnsupported }

func (p otterPeer) warm(ctx context.Context, value []byte) error {
	for _, key := range keys {
		_ = p.set(ctx, key, bytes.Clone(value))
	}
	return p.warmed(value)
}

func (p otterPeer) warmed([]byte) error {
	for _, key := range keys {
		if _, ok := p.entries.GetIfPresent(key); !ok {
			return errNotCached
		}
	}
	return nil
}
