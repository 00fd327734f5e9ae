package hosting

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// builder is an app with a home and a folder of its own, on the embedded runtime unless
// options say otherwise.
func builder(t *testing.T, opts ...Option) *Builder {
	t.Helper()
	return NewBuilder("shop", append([]Option{WithRuntime(EmbeddedRuntime), WithHome(t.TempDir()), WithPath(t.TempDir())}, opts...)...)
}

// runningApp starts the app, and stops it at the end of the test.
func runningApp(t *testing.T, b *Builder) *App {
	t.Helper()
	a, err := b.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Stop(context.Background())) })
	return a
}

// connect connects to a resource.
func connect(t *testing.T, c *Connection) redis.UniversalClient {
	t.Helper()
	o := c.UniversalOptions()
	require.NotNil(t, o)
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// output is a writer that several goroutines may write to and read.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// has waits until the output contains the text.
func (o *output) has(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return bytes.Contains([]byte(o.String()), []byte(text)) },
		time.Minute, 5*time.Millisecond, "%s is not in the output", text)
}
