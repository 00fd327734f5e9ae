package cache

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkInvalidation is how long after a write, or the removal of a tag, another node
// has dropped what it kept.
func BenchmarkInvalidation(b *testing.B) {
	client := plain(b)
	node, other := newLocalCache(b, client), newLocalCache(b, client)
	ctx := b.Context()
	for name, change := range map[string]func() error{
		"Set":         func() error { return other.Set(ctx, "key", []byte("v"), EntryOptions{Tags: []string{"tag"}}) },
		"RemoveByTag": func() error { return other.RemoveByTag(ctx, "tag") },
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				for node.local.get("key") == nil {
					_, err := node.GetOrCreate(ctx, "key", constant("v"), EntryOptions{Tags: []string{"tag"}})
					require.NoError(b, err)
				}
				began := time.Now()
				require.NoError(b, change())
				for node.local.get("key") != nil {
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
			b.ReportMetric(took[len(took)-1].Seconds()*1e3, "max-ms")
		})
	}
}
