package dapr

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/redisbinding/redisbinding"
)

// remote is an output binding at the other end of a socket, with a server of its own.
type remote struct {
	client     pb.OutputBindingClient
	operations []redisbinding.OperationKind
	closed     atomic.Bool
	close      func() error
}

var _ redisbinding.OutputBinding = (*remote)(nil)

// newRemote starts a server and initializes a binding there.
func newRemote(t *testing.T, metadata map[string]string, opts ...Option) *remote {
	t.Helper()
	s := serve(t, opts...)
	conn := dial(t, s.socket, "remote")
	r := &remote{client: pb.NewOutputBindingClient(conn)}
	r.close = sync.OnceValue(func() error {
		return errors.Join(s.stop(), conn.Close())
	})
	initialize(t, r.client, metadata)
	list, err := r.client.ListOperations(t.Context(), &pb.ListOperationsRequest{})
	require.NoError(t, err)
	for _, name := range list.GetOperations() {
		r.operations = append(r.operations, redisbinding.OperationKind(name))
	}
	return r
}

func (r *remote) Invoke(ctx context.Context, req *redisbinding.InvokeRequest) (*redisbinding.InvokeResponse, error) {
	if req == nil {
		return nil, errors.New("the request is nil")
	}
	answer, err := r.client.Invoke(ctx, &pb.InvokeRequest{Data: req.Data, Metadata: req.Metadata, Operation: string(req.Operation)})
	if err != nil {
		return nil, r.withCause(err)
	}
	resp := &redisbinding.InvokeResponse{Data: answer.GetData(), Metadata: answer.GetMetadata()}
	if len(resp.Data) == 0 {
		resp.Data = nil
		if resp.Metadata[EmptyField] == "true" {
			resp.Data = []byte{}
		}
	}
	if answer.GetContentType() != "" {
		resp.ContentType = &answer.ContentType
	}
	return resp, nil
}

func (r *remote) Operations() []redisbinding.OperationKind {
	return append([]redisbinding.OperationKind(nil), r.operations...)
}

func (r *remote) Ping(ctx context.Context) error {
	if _, err := r.client.Ping(ctx, &pb.PingRequest{}); err != nil {
		return r.withCause(err)
	}
	return nil
}

func (r *remote) Close() error {
	r.closed.Store(true)
	return r.close()
}

// withCause makes err wrap what its code stands for.
func (r *remote) withCause(err error) error {
	switch code := status.Code(err); {
	case r.closed.Load():
		return fmt.Errorf("%w: %w", redisbinding.ErrClosed, err)
	case code == codes.Canceled:
		return fmt.Errorf("%w: %w", context.Canceled, err)
	case code == codes.DeadlineExceeded:
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}
