package dapr

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// maxSocketPath is how many bytes long the path of a socket may be, in the kernel's
	// struct sockaddr_un, which ends with a zero: 107 on Linux, 103 on macOS.
	maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1
	// privatePath is how much longer than the folder's a path may be at which a socket is
	// made, in a folder of os.MkdirTemp.
	privatePath = len("/.4294967295/s")
	// answerTimeout bounds how long a socket that is there is given to answer. The kernel
	// does it for whoever listens, without waiting.
	answerTimeout = 5 * time.Second
)

// listen makes a socket that has the mode from the first moment at which anybody can
// connect to it, and that is at the path only when somebody listens: daprd would wait
// for it otherwise.
func listen(path string, mode fs.FileMode) (*listener, error) {
	path = filepath.Clean(path)
	folder := filepath.Dir(path)
	switch {
	case strings.HasPrefix(path, "@"):
		return nil, fmt.Errorf("redisbinding: socket %s: a name that begins with @ has no file, which daprd looks for", path)
	case len(path) > maxSocketPath:
		return nil, fmt.Errorf("redisbinding: socket %s: the path is %d bytes long, of at most %d that the system takes",
			path, len(path), maxSocketPath)
	case len(folder)+privatePath > maxSocketPath:
		return nil, fmt.Errorf("redisbinding: socket %s: the path of its folder is %d bytes long, of at most %d for a socket to be made in it",
			path, len(folder), maxSocketPath-privatePath)
	}
	if err := os.MkdirAll(folder, folderMode(mode)); err != nil {
		return nil, fmt.Errorf("redisbinding: socket %s: %w", path, err)
	}
	if err := checkFree(path); err != nil {
		return nil, fmt.Errorf("redisbinding: socket %s: %w", path, err)
	}
	l, err := listenPrivately(path, folder, mode)
	if err != nil {
		return nil, fmt.Errorf("redisbinding: socket %s: %w", path, err)
	}
	return l, nil
}

// folderMode is the mode of a folder that has to be made for a socket of this mode: who
// may use the socket has to find it, and nobody else needs to.
func folderMode(socket fs.FileMode) fs.FileMode {
	mode := fs.FileMode(0o700)
	if socket&0o020 != 0 { // to connect is to write
		mode |= 0o050
	}
	if socket&0o002 != 0 {
		mode |= 0o005
	}
	return mode
}

// checkFree says why the path cannot be taken: by something else than a socket, or by one
// that somebody listens on. A socket that was left behind by a process that is gone can.
func checkFree(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return errors.New("there is something else than a socket: remove it or choose another path")
	}
	conn, err := net.DialTimeout("unix", path, answerTimeout)
	switch {
	case err == nil:
		_ = conn.Close()
		return errors.New("it is in use: another process listens there")
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("it may be in use: %w", err)
}

// listenPrivately makes the socket where nobody else can come, gives it its mode, and
// then moves it into its place. The umask, which would do it as well, is the whole
// process's. Moving replaces a socket that was left behind.
func listenPrivately(path, folder string, mode fs.FileMode) (*listener, error) {
	private, err := os.MkdirTemp(folder, ".*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private) //nolint:errcheck // it is empty; nobody could do anything about it

	first := filepath.Join(private, "s")
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: first, Net: "unix"})
	if err != nil {
		return nil, err
	}
	unix.SetUnlinkOnClose(false) // it would remove what is at the first path
	l := &listener{UnixListener: unix, path: path, conns: map[*conn]struct{}{}}
	if err = os.Chmod(first, mode); err == nil {
		l.file, err = os.Lstat(first)
	}
	if err == nil {
		err = os.Rename(first, path)
	}
	if err != nil {
		_ = unix.Close()
		return nil, err
	}
	return l, nil
}
