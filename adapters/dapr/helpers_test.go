package dapr

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/redisbinding/redisbinding"
)

// A wait that fails takes this long, one that succeeds no longer than it has to.
const (
	patience = time.Minute
	tick     = 5 * time.Millisecond
)

// folder returns a new folder with a path that is short enough for sockets, as those of
// t.TempDir are not.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dapr")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// served is a server that serves until it is stopped.
type served struct {
	*Server
	socket string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Serve, once done is closed
}

// serve serves on a new socket, at the latest until the end of the test.
func serve(t testing.TB, opts ...Option) *served {
	t.Helper()
	return serveAt(t, filepath.Join(folder(t), "redisbinding.sock"), opts...)
}

func serveAt(t testing.TB, socket string, opts ...Option) *served {
	t.Helper()
	server, err := Listen(socket, opts...)
	require.NoError(t, err)
	s := &served{Server: server, socket: socket, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.done)
		s.err = server.Serve(ctx)
	}()
	t.Cleanup(func() { assert.NoError(t, s.stop()) })
	return s
}

// stop stops the server and returns what Serve has returned.
func (s *served) stop() error {
	s.cancel()
	<-s.done
	return s.err
}

// dial connects as daprd does: for one component.
func dial(t testing.TB, socket, instance string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	named := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if instance != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, InstanceHeader, instance)
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	conn, err := grpc.NewClient("unix://"+socket, append(opts,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(named))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// component is a client for one component.
func component(t testing.TB, s *served, instance string, opts ...grpc.DialOption) pb.OutputBindingClient {
	t.Helper()
	return pb.NewOutputBindingClient(dial(t, s.socket, instance, opts...))
}

func initRequest(properties map[string]string) *pb.OutputBindingInitRequest {
	return &pb.OutputBindingInitRequest{Metadata: &pb.MetadataRequest{Properties: properties}}
}

// initialize is an Init that must succeed.
func initialize(t testing.TB, client pb.OutputBindingClient, properties map[string]string) {
	t.Helper()
	_, err := client.Init(t.Context(), initRequest(properties))
	require.NoError(t, err)
}

// request is a request without data; more are further metadata fields.
func request(operation redisbinding.OperationKind, key string, more ...string) *pb.InvokeRequest {
	fields := map[string]string{"key": key}
	for i := 0; i < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	return &pb.InvokeRequest{Operation: string(operation), Metadata: fields}
}

func get(key string, more ...string) *pb.InvokeRequest {
	return request(redisbinding.GetOperation, key, more...)
}

func increment(key string) *pb.InvokeRequest { return request(redisbinding.IncrementOperation, key) }

func create(key string, data []byte) *pb.InvokeRequest {
	req := request(redisbinding.CreateOperation, key)
	req.Data = data
	return req
}

// invoke is an Invoke that must succeed.
func invoke(t testing.TB, client pb.OutputBindingClient, req *pb.InvokeRequest) *pb.InvokeResponse {
	t.Helper()
	resp, err := client.Invoke(t.Context(), req)
	require.NoError(t, err)
	return resp
}

// requireCode checks the code of an error, and that its message has all the parts.
func requireCode(t testing.TB, want codes.Code, err error, parts ...string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want.String(), status.Code(err).String(), err.Error())
	for _, part := range parts {
		require.Contains(t, status.Convert(err).Message(), part)
	}
}

// wait waits until the channel is closed.
func wait(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		require.FailNow(t, "waited in vain: "+what)
	}
}

// watched counts bindings and the calls that are in them.
type watched struct {
	made, closed, underWay, closedUnderWay atomic.Int64

	mu        sync.Mutex
	deadlines []time.Time // of the calls that had one
}

// constructor makes Redis bindings that are counted.
func (w *watched) constructor(properties map[string]string) (redisbinding.OutputBinding, error) {
	binding, err := redisbinding.NewRedisBinding(properties)
	if err != nil {
		return nil, err
	}
	w.made.Add(1)
	return &watchedBinding{OutputBinding: binding, all: w}, nil
}

type watchedBinding struct {
	redisbinding.OutputBinding
	all      *watched
	underWay atomic.Int64
}

func (b *watchedBinding) Invoke(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
	b.all.underWay.Add(1)
	b.underWay.Add(1)
	defer b.all.underWay.Add(-1)
	defer b.underWay.Add(-1)
	if deadline, ok := ctx.Deadline(); ok {
		b.all.mu.Lock()
		b.all.deadlines = append(b.all.deadlines, deadline)
		b.all.mu.Unlock()
	}
	return b.OutputBinding.Invoke(ctx, req)
}

func (b *watchedBinding) Close() error {
	b.all.closedUnderWay.Add(b.underWay.Load())
	b.all.closed.Add(1)
	return b.OutputBinding.Close()
}

// fake is a binding that does what the test says.
type fake struct {
	invoke func(context.Context, *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error)
	ping   func(context.Context) error
	close  func() error
	closed atomic.Int64
}

func (f *fake) Invoke(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
	return f.invoke(ctx, req)
}

func (f *fake) Ping(ctx context.Context) error { return f.ping(ctx) }

func (f *fake) Operations() []redisbinding.OperationKind { return []redisbinding.OperationKind{"fake"} }

func (f *fake) Close() error {
	f.closed.Add(1)
	if f.close != nil {
		return f.close()
	}
	return nil
}

// making is a constructor that answers the bindings in turn.
func making(bindings ...redisbinding.OutputBinding) Option {
	var made atomic.Int64
	return WithConstructor(func(map[string]string) (redisbinding.OutputBinding, error) {
		return bindings[made.Add(1)-1], nil
	})
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

func testLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
