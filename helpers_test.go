package redisbinding

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// newBinding returns a binding that is closed at the end of the test.
func newBinding(t *testing.T, metadata map[string]string, opts ...Option) *RedisBinding {
	t.Helper()
	binding, err := NewRedisBinding(metadata, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, binding.Close()) })
	return binding
}

// request is a request without data; more are further metadata fields.
func request(operation OperationKind, key string, more ...string) *InvokeRequest {
	metadata := map[string]string{"key": key}
	for i := 0; i < len(more); i += 2 {
		metadata[more[i]] = more[i+1]
	}
	return &InvokeRequest{Operation: operation, Metadata: metadata}
}

// create is a request with data.
func create(key, data string, more ...string) *InvokeRequest {
	req := request(CreateOperation, key, more...)
	req.Data = []byte(data)
	return req
}

// invoke is Invoke that must succeed.
func invoke(t *testing.T, binding OutputBinding, req *InvokeRequest) *InvokeResponse {
	t.Helper()
	resp, err := binding.Invoke(t.Context(), req)
	require.NoError(t, err)
	require.NotNil(t, resp)
	return resp
}

// lockedBuffer is a bytes.Buffer that may be written to from several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// makeRedisLog has go-redis log a line.
func makeRedisLog(t *testing.T) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", DialerRetries: 1, MaxRetries: -1})
	defer client.Close()
	assert.Error(t, client.Ping(t.Context()).Err())
}

// testLogger logs into w.
func testLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// clientsOf returns the server's CLIENT LIST without the line of the admin client.
func clientsOf(t *testing.T, srv *redistest.Server) (lines []string) {
	t.Helper()
	for line := range strings.Lines(srv.Do(t, "client", "list").(string)) {
		if !strings.Contains(line, "cmd=client") { // its own; since Redis 7.0 it is client|list
			lines = append(lines, line)
		}
	}
	return lines
}
