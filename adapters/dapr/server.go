package dapr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	pb "github.com/dapr/dapr/pkg/proto/components/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
)

// Server serves bindings to daprd on a socket. Make it with [Listen].
type Server struct {
	logger      *slog.Logger
	stopTimeout time.Duration
	listener    *listener
	grpc        *grpc.Server
	instances   *instances
	serving     atomic.Bool

	calls  context.Context // ends when the calls under way have to
	cutOff context.CancelFunc
}

// Listen makes the socket, at a path such as
// /tmp/dapr-components-sockets/redisbinding.sock, and a server for it. daprd may
// connect when Listen has returned, and is answered as soon as [Server.Serve] is called,
// which has to be, as nothing else removes the socket.
//
// daprd calls the component type after the file without its extension: this one is
// bindings.redisbinding. The path may be 107 bytes long (103 on macOS), and that of its
// folder 14 less. A folder that does not exist is made, open to its owner and to those
// to whom [WithSocketMode] opens the socket, as far as the umask lets it. A socket
// on which nobody listens is replaced; one that is in use, and anything else at the path, is an
// error. Of two that begin at one path in the same moment, the later one gets it.
// Bad options are errors, too, all of them at once.
func Listen(socket string, opts ...Option) (*Server, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	l, err := listen(socket, o.socketMode)
	if err != nil {
		return nil, err
	}
	if owner, foreign := foreignOwner(filepath.Dir(socket)); foreign {
		o.logger.Warn("redisbinding: the folder of the socket belongs to another user, who can put a socket there to which daprd then sends passwords",
			"socket", socket, "user", owner)
	}
	s := &Server{logger: o.logger, stopTimeout: o.stopTimeout, listener: l, instances: newInstances(o.logger)}
	s.calls, s.cutOff = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(o.maxMessageSize+messageSlack),
		grpc.ChainUnaryInterceptor(endWith(s.calls), recoverPanics(o.logger)),
		grpc.WaitForHandlers(true), // they may make bindings, which have to be closed
	)
	pb.RegisterOutputBindingServer(s.grpc, &service{logger: o.logger, construct: o.construct, instances: s.instances})
	reflection.Register(s.grpc) // by which daprd finds out what the socket is good for: v1 and v1alpha
	return s, nil
}

// Serve answers calls until ctx ends, and then stops: the socket is removed, no new calls
// are taken, those under way are waited for up to the stop timeout and then cut off (their
// contexts end, and a second later their connections), and the bindings are closed. It returns nil after that, and an error
// when the socket has failed by itself. An Init that is under way is waited for in any
// case, which dialTimeout bounds. No goroutine is left when it has returned.
//
// Serve is for calling once: a second call is an error. With a context that has ended it
// only removes the socket.
func (s *Server) Serve(ctx context.Context) error {
	if s.serving.Swap(true) {
		return errors.New("redisbinding: the server has been served before")
	}
	s.logger.Info("redisbinding: serving", "socket", s.listener.path)
	var failure error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failure = s.grpc.Serve(s.listener)
	}()

	select {
	case <-ctx.Done():
		s.stop()
		<-ended
		s.logger.Info("redisbinding: stopped", "socket", s.listener.path)
		return nil
	case <-ended:
		s.stop()
		return fmt.Errorf("redisbinding: socket %s: %w", s.listener.path, failure)
	}
}

// lastWord is how long calls that are cut off have to answer. A connection that is cut
// under a call is Unavailable to its client, who then may repeat what Redis has done.
const lastWord = time.Second

// stop ends all calls, those under way in time, and closes the bindings.
func (s *Server) stop() {
	defer s.cutOff()
	_ = s.listener.Close() // if Serve has not come to it, gRPC does not know the listener
	graceful := make(chan struct{})
	go func() {
		defer close(graceful)
		s.grpc.GracefulStop()
	}()
	select {
	case <-graceful:
	case <-time.After(s.stopTimeout):
		s.cutOff()
		select {
		case <-graceful:
		case <-time.After(lastWord):
			s.listener.cut()
			s.grpc.Stop()
			<-graceful
		}
	}
	s.instances.close()
}

// endWith ends the contexts of calls when ctx ends.
func endWith(ctx context.Context) grpc.UnaryServerInterceptor {
	return func(call context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		call, cancel := context.WithCancel(call)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		return handler(call, req)
	}
}
