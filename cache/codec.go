package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
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
// caller gets a value of its own, read from the bytes that are stored. With
// [WithLocal] values of types without pointers, slices, maps and the like are read from
// them once, and copied.
//
// An entry that the codec cannot read (another version of the program wrote it, say)
// is logged, and taken for none: the factory makes a new one. When the codec cannot
// write what the factory has made, that is the error.
func GetOrCreate[T any](ctx context.Context, c *Cache, key string, factory func(context.Context) (T, error), opts EntryOptions) (value T, err error) {
	if err := ctx.Err(); err != nil {
		return value, err
	}
	if k := c.kept(key, &opts); k != nil {
		if value, err = keptAs[T](c.codec, k); err == nil {
			return value, nil
		}
	}
	readable := func(data []byte) bool {
		_, err := decode[T](c.codec, data)
		return err == nil
	}
	data, err := c.join(ctx, key, func(ctx context.Context) ([]byte, error) {
		made, err := factory(ctx)
		if err != nil {
			return nil, err
		}
		return encode(c.codec, made)
	}, readable, opts)
	if err != nil || data == nil {
		return value, err
	}
	if value, err = decode[T](c.codec, data); err != nil {
		return value, fmt.Errorf("cache: get or create: the codec cannot read what it has written: %w", err)
	}
	return value, nil
}

// keptAs returns what is kept in process as a value of a type.
func keptAs[T any](codec Codec, k *kept) (T, error) {
	if decoded := k.decoded.Load(); decoded != nil {
		if value, ok := (*decoded).(T); ok {
			return value, nil
		}
	}
	data := k.value
	if _, raw := any(&data).(*T); raw { // the caller's own
		data = bytes.Clone(data)
	}
	value, err := decode[T](codec, data)
	if err == nil && canShare(reflect.TypeFor[T]()) {
		decoded := any(value)
		k.decoded.Store(&decoded)
	}
	return value, err
}

// canShare says whether a copy of a value of the type has nothing in common with the
// value that anybody could change.
func canShare(t reflect.Type) bool {
	switch kind := t.Kind(); {
	case kind >= reflect.Bool && kind <= reflect.Complex128, kind == reflect.String:
		return true
	case kind == reflect.Array:
		return canShare(t.Elem())
	case kind == reflect.Struct:
		for i := range t.NumField() {
			if !canShare(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return false
}

// decode may keep data in a value of type []byte.
func decode[T any](codec Codec, data []byte) (value T, err error) {
	switch p := any(&value).(type) {
	case *[]byte:
		*p = data
	case *string:
		*p = string(data)
	default:
		if err = codec.Unmarshal(data, p); err != nil {
			return *new(T), err // some of it may have been filled
		}
	}
	return value, nil
}

func encode[T any](codec Codec, v T) ([]byte, error) {
	switch v := any(&v).(type) { // its own type, as decode knows no other
	case *[]byte:
		return *v, nil
	case *string:
		return []byte(*v), nil
	}
	data, err := codec.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cache: get or create: the codec cannot write the value: %w", err)
	}
	return data, nil
}
