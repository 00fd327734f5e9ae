package dapr

import (
	"context"
	"errors"
	"log/slog"
	"maps"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/redisbinding/redisbinding"
)

// Names that are on the wire.
const (
	// InstanceHeader is the gRPC metadata entry that names the component a call is
	// for. daprd sends it with every call. A call without one is for the instance
	// whose name is "".
	InstanceHeader = "x-component-instance"
	// EmptyField is the entry of the response metadata, with the value "true", that
	// says that there is a value and that it is empty. Without it, no data means that
	// there is none: no such key, or an operation that answers nothing. protobuf
	// cannot tell these apart. daprd hands it to its HTTP callers as the header
	// metadata.empty.
	EmptyField = "empty"
)

// service answers the calls of daprd.
type service struct {
	pb.UnimplementedOutputBindingServer
	logger    *slog.Logger
	construct Constructor
	instances *instances
}

// Init makes a binding and puts it in place of the one the instance has, which
// serves on when that fails.
func (s *service) Init(ctx context.Context, req *pb.OutputBindingInitRequest) (*pb.OutputBindingInitResponse, error) {
	name := instanceName(ctx)
	binding, err := s.construct(req.GetMetadata().GetProperties())
	if err == nil && binding == nil {
		err = errors.New("redisbinding: the constructor made no binding")
	}
	if err != nil {
		s.logger.Warn("redisbinding: no binding could be made", "instance", name, "error", textOf(err))
		return nil, initStatus(err)
	}
	// Who has gone meanwhile does not know whether there is a new binding, and may
	// have begun another Init, which this one must not replace.
	if ctx.Err() != nil {
		s.instances.closeBinding(name, binding)
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	replaced := s.instances.install(name, binding)
	s.logger.Info("redisbinding: made a binding", "instance", name, "replaced", replaced)
	return new(pb.OutputBindingInitResponse), nil
}

// Invoke carries out one operation.
func (s *service) Invoke(ctx context.Context, req *pb.InvokeRequest) (*pb.InvokeResponse, error) {
	request := &redisbinding.InvokeRequest{
		Data:      req.GetData(),
		Metadata:  req.GetMetadata(),
		Operation: redisbinding.OperationKind(req.GetOperation()),
	}
	var answer *pb.InvokeResponse
	err := s.withBinding(ctx, func(binding redisbinding.OutputBinding) error {
		response, err := binding.Invoke(ctx, request)
		if err != nil {
			return invokeStatus(request, err)
		}
		answer = newResponse(response)
		return nil
	})
	return answer, err
}

// newResponse puts what a binding has answered on the wire.
func newResponse(response *redisbinding.InvokeResponse) *pb.InvokeResponse {
	if response == nil {
		return new(pb.InvokeResponse)
	}
	answer := &pb.InvokeResponse{Data: response.Data, Metadata: response.Metadata}
	if response.ContentType != nil {
		answer.ContentType = *response.ContentType
	}
	if response.Data != nil && len(response.Data) == 0 {
		answer.Metadata = map[string]string{} // the binding's own is left alone
		maps.Copy(answer.Metadata, response.Metadata)
		answer.Metadata[EmptyField] = "true"
	}
	return answer
}

// Ping says whether the binding can reach what it binds to.
func (s *service) Ping(ctx context.Context, _ *pb.PingRequest) (*pb.PingResponse, error) {
	err := s.withBinding(ctx, func(binding redisbinding.OutputBinding) error {
		if err := binding.Ping(ctx); err != nil {
			return pingStatus(err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(pb.PingResponse), nil
}

// ListOperations lists what Invoke can do.
func (s *service) ListOperations(ctx context.Context, _ *pb.ListOperationsRequest) (*pb.ListOperationsResponse, error) {
	answer := new(pb.ListOperationsResponse)
	err := s.withBinding(ctx, func(binding redisbinding.OutputBinding) error {
		for _, operation := range binding.Operations() {
			answer.Operations = append(answer.Operations, string(operation))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// withBinding calls f with the binding that the call is for.
func (s *service) withBinding(ctx context.Context, f func(redisbinding.OutputBinding) error) error {
	name := instanceName(ctx)
	var err error
	if !s.instances.use(name, func(binding redisbinding.OutputBinding) { err = f(binding) }) {
		return status.Errorf(codes.FailedPrecondition,
			"redisbinding: component %s has had no Init since this process began: initialize it (after a restart of this process, restart daprd)", quoted(name))
	}
	if err != nil {
		s.logger.Debug("redisbinding: a call failed", "instance", name, "error", textOf(err))
	}
	return err
}

// instanceName returns the name of the component that the call is for.
func instanceName(ctx context.Context) string {
	if names := metadata.ValueFromIncomingContext(ctx, InstanceHeader); len(names) > 0 {
		return names[0]
	}
	return ""
}
