package hosting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// runningContainer is the instance of a container.
type runningContainer struct {
	api        *client.Client
	id, name   string
	addr       string
	secrets    []string // not to be in errors
	saves      bool     // it is worth waiting for its end
	persistent bool
	holder     *holder // nil for those with a network interface of their own

	cancel context.CancelFunc
	ended  chan struct{}
	mu     sync.Mutex
	result error
	asked  bool // to stop
	left   sync.Once
}

// holder is a container whose network interface others share.
type holder struct {
	id      string
	members atomic.Int32
}

// watch waits for the end of a container, and then closes ended.
func (r *runningContainer) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.ended = cancel, make(chan struct{})
	go func() {
		defer close(r.ended)
		defer cancel()
		err := exited(ctx, r.api, r.id)
		r.mu.Lock()
		asked := r.asked
		r.mu.Unlock()
		if asked {
			return
		}
		err = fmt.Errorf("container %s has ended: %w%s", r.name, err, r.logTail())
		r.mu.Lock()
		r.result = err
		r.mu.Unlock()
	}()
}

// exited waits for the end of a container and says how it was.
func exited(ctx context.Context, api *client.Client, id string) error {
	wait := api.ContainerWait(ctx, id, client.ContainerWaitOptions{})
	select {
	case status := <-wait.Result:
		if status.Error != nil {
			return errors.New(status.Error.Message)
		}
		return fmt.Errorf("exit status %d", status.StatusCode)
	case err := <-wait.Error:
		return err
	}
}

func (r *runningContainer) address() string       { return r.addr }
func (r *runningContainer) done() <-chan struct{} { return r.ended }

func (r *runningContainer) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result
}

func (r *runningContainer) stop(ctx context.Context) error {
	r.mu.Lock()
	r.asked = true
	r.mu.Unlock()
	defer r.release() // also when the engine has gone
	if r.persistent {
		return nil
	}
	var err error
	if r.saves {
		err = stopContainer(ctx, r.api, r.id)
	}
	// A user interface has nothing to save, and some take no notice of SIGTERM.
	err = errors.Join(err, removeContainer(ctx, r.api, r.id))
	r.left.Do(func() {
		if r.holder != nil && r.holder.members.Add(-1) == 0 {
			err = errors.Join(err, removeContainer(ctx, r.api, r.holder.id))
		}
	})
	return err
}

// release is the end of watching.
func (r *runningContainer) release() {
	r.cancel()
	<-r.ended
}

// stopContainer ends a container gracefully until ctx ends. Then it still runs.
func stopContainer(ctx context.Context, api *client.Client, id string) error {
	// The engine is to kill it later than ctx ends: it would not say that it had to.
	patience := math.MaxInt32
	if deadline, ok := ctx.Deadline(); ok {
		patience = int(time.Until(deadline)/time.Second) + 2
	}
	_, err := api.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &patience})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", errKilled, context.Cause(ctx))
	}
	return exceptGone(err)
}

// removeContainer kills a container that runs, and takes it away with the volumes that
// have no name, also when ctx has ended.
func removeContainer(ctx context.Context, api *client.Client, id string) error {
	ctx, cancel := wholly(ctx)
	defer cancel()
	_, err := api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsConflict(err) { // somebody else removes it at this moment
		return nil
	}
	return exceptGone(err)
}

// logTail is the end of its log, on lines of its own.
func (r *runningContainer) logTail() string {
	ctx, cancel := wholly(context.Background())
	defer cancel()
	log, err := r.api.ContainerLogs(ctx, r.id, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(logLines),
	})
	if err != nil {
		return ""
	}
	defer log.Close()
	var text bytes.Buffer
	_, _ = stdcopy.StdCopy(&text, &text, log) // what there is of it
	return masked(tailOf(text.String()), r.secrets)
}

// publishedAt is where an inner port of a container is reached.
func publishedAt(ctx context.Context, api *client.Client, id string, inner int) (string, error) {
	found, err := api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return "", err
	}
	if settings := found.Container.NetworkSettings; settings != nil {
		for _, binding := range settings.Ports[tcpPort(inner)] {
			return net.JoinHostPort(loopback, binding.HostPort), nil
		}
	}
	return "", errNotPublished
}

// errNotPublished is about containers that have ended at once.
var errNotPublished = errors.New("its port is not published")
