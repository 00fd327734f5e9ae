package hosting

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// grace is how long what must not be left half done may take when nobody waits for it any
// more: saving data, and taking away what was started.
const grace = 10 * time.Second

// wholly is a context for that, which the end of ctx may be the reason for.
func wholly(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), grace)
}

// undo does something wholly.
func undo(ctx context.Context, how func(context.Context)) {
	ctx, cancel := wholly(ctx)
	defer cancel()
	how(ctx)
}

// until waits until up says that what was started is up. It is an error when it ends before.
func until(ctx context.Context, i instance, up func(context.Context) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // so that up does not wait for an answer that nobody will give
		select {
		case <-i.done():
			cancel()
		case <-ctx.Done():
		}
	}()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !up(ctx) {
		select {
		case <-ticker.C:
			continue
		case <-ctx.Done():
		}
		select {
		case <-i.done():
			return i.err()
		default:
			return fmt.Errorf("it does not answer: %w", context.Cause(ctx))
		}
	}
	return nil
}

// answers tells whether the server answers at its address: that of the process, or of one
// it has started, and no other that has taken the port. What says that it is a Redis and not
// which one, because its commands were renamed, is believed.
func (s *server) answers(ctx context.Context, address string, pid int) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	raw := conn // what the deadline is set on while conn may become another
	defer func() { _ = raw.Close() }()
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })()
	if s.tls != nil {
		config := s.tls.clientConfig()
		config.ServerName = loopback
		conn = tls.Client(conn, config)
	}
	request, replies := "INFO server\r\n", 1
	if s.password != "" {
		request = fmt.Sprintf("*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n%s", len(s.password), s.password, request)
		replies = 2
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return false
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		line := lines.Text()
		if id, ok := strings.CutPrefix(line, "process_id:"); ok {
			id, err := strconv.Atoi(id)
			return err == nil && inGroup(id, pid)
		}
		if strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+") {
			if replies--; replies == 0 {
				return true // its last word
			}
		}
	}
	return false
}

// eventually asks until the answer is good or ctx ends.
func eventually(ctx context.Context, ask func() error) error {
	ticker := time.NewTicker(healthPause)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
