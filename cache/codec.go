package cache

import (
	"context"
	"encoding/json"
	"fmt"
)

// Codec turns values into bytes and back, for [GetOrCreate]. It is called from many
// goroutines, and must not keep the bytes it is given.
type Codec interface {
	Marshal(v any) ([]byte, error)
	// Unmarshal fills what v points to.
	Unmarshal(data []byte, v any) error
}

// jsonCodec is what .NET's HybridCache does by default, too.
type jsonCodec struct{}

func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// GetOrCreate is [Cache.GetOrCreate] for values of any type: []byte and string are
// stored as they are, others as the [Codec] of the cache has them (JSON). Every
// caller gets a value of its own, read from the bytes that are stored.
//
// An entry that the codec cannot read (another version of the program wrote it, say)
// is logged, and taken for none: the factory makes a new one. When the codec cannot
// write what the factory has made, that is the error.
func GetOrCreate[T any](ctx context.Context, c *Cache, key string, factory func(context.Context) (T, error), opts EntryOptions) (T, error) {
	value, unreadable, err := getOrCreate(ctx, c, key, factory, opts)
	if unreadable != nil {
		c.warn(ctx, "GetOrCreate passed over an entry that its codec cannot read", nil) // the codec may tell what is in it
		opts.Flags |= DisableLocalCacheRead | DisableDistributedCacheRead
		value, unreadable, err = getOrCreate(ctx, c, key, factory, opts)
	}
	if unreadable != nil {
		err = fmt.Errorf("cache: get or create: the codec cannot read what it has written: %w", unreadable)
	}
	return value, err
}

// getOrCreate is GetOrCreate but for entries that the codec cannot read.
func getOrCreate[T any](ctx context.Context, c *Cache, key string, factory func(context.Context) (T, error), opts EntryOptions) (value T, unreadable, err error) {
	data, err := c.GetOrCreate(ctx, key, func(ctx context.Context) ([]byte, error) {
		made, err := factory(ctx)
		if err != nil {
			return nil, err
		}
		return encode(c.codec, made)
	}, opts)
	if err != nil || data == nil {
		return value, nil, err
	}
	switch p := any(&value).(type) {
	case *[]byte:
		*p = data
	case *string:
		*p = string(data)
	default:
		if unreadable = c.codec.Unmarshal(data, p); unreadable != nil {
			value = *new(T) // some of it may have been filled
		}
	}
	return value, unreadable, nil
}

func encode(codec Codec, v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return v, nil
	case string:
		return []byte(v), nil
	}
	data, err := codec.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cache: get or create: the codec cannot write the value: %w", err)
	}
	return data, nil
}
