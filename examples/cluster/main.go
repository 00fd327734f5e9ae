// Cluster shows the Redis binding on a Redis Cluster: keys that lie in several
// slots, and a hash tag that puts keys into the same one.
//
//	go run ./examples/cluster
//
// needs no cluster: it starts an embedded Redis in memory (miniredis), which
// answers as a cluster of one node that owns every slot. To use a real one,
// name some of its nodes; the others are found through them:
//
//	REDIS_HOST=10.0.0.1:6379,10.0.0.2:6379 go run ./examples/cluster
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding"
)

func main() {
	redisbinding.LogRedisTo(slog.Default()) // at debug level, in place of standard error
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	host := os.Getenv("REDIS_HOST")
	if host == "" {
		server, err := miniredis.Run()
		if err != nil {
			return err
		}
		defer server.Close()
		host = server.Addr()
		fmt.Println("embedded Redis: one node owns every slot")
	}
	metadata := map[string]string{
		"redisType": "cluster",
		"redisHost": host,
	}

	binding, err := redisbinding.NewRedisBinding(metadata)
	if err != nil {
		return err
	}
	defer binding.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	nodes, err := slotOwners(ctx, metadata)
	if err != nil {
		return err
	}

	// Of the last two only what is in braces counts, so they share a slot.
	for _, key := range []string{"example:1", "example:2", "example:3", "example:4", "example:{user7}:cart", "example:{user7}:orders"} {
		if err := countAndForget(ctx, binding, key); err != nil {
			return err
		}
		fmt.Printf("%-22s  slot %5d  on %s\n", key, slot(key), nodes(slot(key)))
	}
	return nil
}

// countAndForget increments a counter, and gets and deletes it. The binding
// finds the node that has the key.
func countAndForget(ctx context.Context, binding redisbinding.OutputBinding, key string) error {
	_, err := binding.Invoke(ctx, &redisbinding.InvokeRequest{
		Operation: redisbinding.IncrementOperation,
		Metadata:  map[string]string{"key": key},
	})
	if err != nil {
		return err
	}
	_, err = binding.Invoke(ctx, &redisbinding.InvokeRequest{
		Operation: redisbinding.GetOperation,
		Metadata:  map[string]string{"key": key, "delete": "true"},
	})
	return err
}

// slotOwners asks the cluster which primary owns which slot. That is no
// operation of the binding: it takes a go-redis client, made of the same metadata.
func slotOwners(ctx context.Context, metadata map[string]string) (owner func(slot int) string, err error) {
	m, err := redisbinding.ParseMetadata(metadata)
	if err != nil {
		return nil, err
	}
	client := redis.NewUniversalClient(m.UniversalOptions())
	defer client.Close()

	ranges, err := client.ClusterSlots(ctx).Result()
	if err != nil {
		return nil, err
	}
	return func(slot int) string {
		for _, r := range ranges {
			if r.Start <= slot && slot <= r.End {
				return r.Nodes[0].Addr // the primary comes first
			}
		}
		return "no node"
	}, nil
}

// slot returns the slot of a key: CRC16 of its hash tag, or of all of it when
// it has none, modulo the number of slots.
func slot(key string) int {
	if _, behind, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(behind, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16 // CRC-16/XMODEM
	for _, b := range []byte(key) {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
	}
	return int(crc) % 16384
}
