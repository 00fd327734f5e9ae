package cache

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"
)

func BenchmarkGet(b *testing.B) {
	client := plain(b)
	c := newTestCache(b, client)
	ctx := context.Background()
	value := make([]byte, 128)
	for name, opts := range map[string]EntryOptions{"plain": {}, "sliding": {SlidingExpiration: time.Hour}} {
		if err := c.Set(ctx, name, value, opts); err != nil {
			b.Fatal(err)
		}
	}
	for _, peer := range []struct {
		name string
		get  func() error
	}{
		{"HGET", func() error { return client.HGet(ctx, "plain", "data").Err() }},
		{"HMGET", func() error { return client.HMGet(ctx, "plain", "absexp", "sldexp", "data").Err() }},
		{"GET missing", func() error { _ = client.Get(ctx, "x"); return nil }},
		{"Get", func() error { _, _, err := c.Get(ctx, "plain"); return err }},
		{"Get sliding", func() error { _, _, err := c.Get(ctx, "sliding"); return err }},
		{"GetOrCreate", func() error { _, err := c.GetOrCreate(ctx, "plain", nil, EntryOptions{}); return err }},
		{"Set", func() error { return c.Set(ctx, "set", value, EntryOptions{SlidingExpiration: time.Hour}) }},
		{"HSET+EXPIRE", func() error {
			_, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.HSet(ctx, "x", "absexp", "-1", "sldexp", "12000000000", "data", value)
				p.Expire(ctx, "x", time.Hour)
				return nil
			})
			return err
		}},
	} {
		b.Run(peer.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := peer.get(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLocal(b *testing.B) {
	c := newLocalCache(b, plain(b))
	ctx := context.Background()
	other := otter.Must(&otter.Options[string, []byte]{MaximumSize: 10_000, ExpiryCalculator: otter.ExpiryWriting[string, []byte](time.Hour)})
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprint("key:", i)
		other.Set(keys[i], make([]byte, 128))
		if err := c.Set(ctx, keys[i], make([]byte, 128), EntryOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	for range 100 {
		for _, key := range keys {
			_, _ = c.GetOrCreate(ctx, key, nil, EntryOptions{})
		}
	}
	b.Run("otter", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			_, _ = other.GetIfPresent(keys[i%100])
			i++
		}
	})
	b.Run("GetOrCreate", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			_, _ = c.GetOrCreate(ctx, keys[i%100], nil, EntryOptions{})
			i++
		}
	})
}
