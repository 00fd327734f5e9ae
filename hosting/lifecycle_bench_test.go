package hosting

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/hosting/internal/dockertest"
)

// How long it takes until a Redis is healthy, and until it has stopped and saved.
func BenchmarkLifecycle(b *testing.B) {
	for _, kind := range []RuntimeKind{ContainerRuntime, ProcessRuntime, EmbeddedRuntime} {
		b.Run(string(kind), func(b *testing.B) {
			if kind == ContainerRuntime {
				engine := dockertest.Start(b)
				engine.Redis(b)
				b.Setenv("DOCKER_HOST", engine.Host)
			}
			app := NewBuilder("shop", WithRuntime(kind), WithHome(b.TempDir()), WithPath(b.TempDir()))
			r := app.AddRedis("cache").WithDataVolume(Optional())
			var starting, stopping time.Duration
			for range b.N {
				begin := time.Now()
				running, err := app.Start(b.Context())
				require.NoError(b, err)
				starting += time.Since(begin)

				client := redis.NewUniversalClient(r.UniversalOptions())
				require.NoError(b, client.Set(b.Context(), "key", "unsaved", 0).Err())
				require.NoError(b, client.Close())
				begin = time.Now()
				require.NoError(b, running.Stop(context.Background()))
				stopping += time.Since(begin)
			}
			b.ReportMetric(float64(starting.Milliseconds())/float64(b.N), "ms/start")
			b.ReportMetric(float64(stopping.Milliseconds())/float64(b.N), "ms/stop")
		})
	}
}
