package dapr_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alicebob/miniredis/v2"
	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/redisbinding/redisbinding/adapters/dapr"
)

// A server on a socket, and what daprd does with it: Init with the metadata of the
// component, and Invoke for the applications.
func Example() {
	redis, err := miniredis.Run() // in place of a Redis
	must(err)
	defer redis.Close()
	folder, err := os.MkdirTemp("", "dapr") // in place of /tmp/dapr-components-sockets
	must(err)
	defer func() { must(os.RemoveAll(folder)) }()
	socket := filepath.Join(folder, "redisbinding.sock")

	server, err := dapr.Listen(socket)
	must(err)
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- server.Serve(ctx) }()

	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	client := pb.NewOutputBindingClient(conn)
	component := metadata.AppendToOutgoingContext(ctx, dapr.InstanceHeader, "cache")
	_, err = client.Init(component, &pb.OutputBindingInitRequest{
		Metadata: &pb.MetadataRequest{Properties: map[string]string{"redisHost": redis.Addr()}},
	})
	must(err)
	for _, req := range []*pb.InvokeRequest{
		{Operation: "create", Metadata: map[string]string{"key": "greeting"}, Data: []byte("hello")},
		{Operation: "get", Metadata: map[string]string{"key": "greeting"}},
		{Operation: "increment", Metadata: map[string]string{"key": "visits"}},
	} {
		resp, err := client.Invoke(component, req)
		must(err)
		fmt.Printf("%s %s: %q\n", req.GetOperation(), req.GetMetadata()["key"], resp.GetData())
	}

	must(conn.Close())
	stop()
	must(<-stopped)
	// Output:
	// create greeting: ""
	// get greeting: "hello"
	// increment visits: "1"
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
