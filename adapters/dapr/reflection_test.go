package dapr

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	v1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
)

const serviceName = "dapr.proto.components.v1.OutputBinding"

// TestDiscovery asks for the services as daprd does.
//
//nolint:staticcheck // daprd asks for the old version
func TestDiscovery(t *testing.T) {
	t.Parallel()
	conn := dial(t, serve(t).socket, "")
	stream, err := grpc_reflection_v1alpha.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&grpc_reflection_v1alpha.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1alpha.ServerReflectionRequest_ListServices{},
	}))
	resp, err := stream.Recv()
	require.NoError(t, err)
	var names []string
	for _, s := range resp.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	assert.Contains(t, names, serviceName)
	require.NoError(t, stream.CloseSend())
}

func TestDiscoveryV1(t *testing.T) {
	t.Parallel()
	conn := dial(t, serve(t).socket, "")
	stream, err := v1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&v1.ServerReflectionRequest{
		MessageRequest: &v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: serviceName},
	}))
	resp, err := stream.Recv()
	require.NoError(t, err)
	assert.NotEmpty(t, resp.GetFileDescriptorResponse().GetFileDescriptorProto(), resp.String())
	require.NoError(t, stream.CloseSend())
}
