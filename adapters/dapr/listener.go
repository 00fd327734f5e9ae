package dapr

import (
	"io/fs"
	"net"
	"os"
	"sync"
)

// listener is a socket that is removed when it is closed, and that knows its connections.
type listener struct {
	*net.UnixListener
	path string
	file fs.FileInfo // of the socket

	closing  sync.Once
	closeErr error

	mu    sync.Mutex
	conns map[*conn]struct{}
	isCut bool
}

// Close removes the socket, unless something else is at its path by now, and closes it.
// In this order: as long as it is open, no other file can look like it.
func (l *listener) Close() error {
	l.closing.Do(func() {
		if file, err := os.Lstat(l.path); err == nil && os.SameFile(file, l.file) {
			_ = os.Remove(l.path)
		}
		l.closeErr = l.UnixListener.Close()
	})
	return l.closeErr
}

// Accept waits for a connection.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.UnixListener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	accepted := &conn{Conn: c, listener: l}
	l.conns[accepted] = struct{}{}
	if l.isCut {
		_ = c.Close()
	}
	return accepted, nil
}

// cut closes all connections. gRPC's own Stop waits for a connection on which the client
// has not yet said anything until its time-out.
func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for c := range l.conns {
		_ = c.Conn.Close()
	}
}

// conn is a connection that its listener knows.
type conn struct {
	net.Conn
	listener *listener
}

// Close closes the connection.
func (c *conn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
