package dapr

import (
	"context"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// recoverPanics answers a call that panics with Internal. gRPC would let the process
// die, and with it the instances that have nothing to do with it. What the panic says
// may hold anything, and goes neither to the client nor into the log.
func recoverPanics(logger *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
		defer func() {
			if r := recover(); r != nil {
				logger.Error("redisbinding: a call panicked", "method", info.FullMethod, "instance", instanceName(ctx),
					"panic", describePanic(r), "stack", string(debug.Stack()))
				answer, err = nil, status.Error(codes.Internal, "redisbinding: the binding panicked: see the log of the component")
			}
		}()
		return handler(ctx, req)
	}
}
