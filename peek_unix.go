//go:build unix

package redisbinding

import "syscall"

// poolLooks says that go-redis looks at a connection when it takes it out of
// the pool, and refuses one whose SyscallConn fails.
const poolLooks = true

// hasData says whether bytes wait to be read, without reading or waiting.
func hasData(control syscall.RawConn) (waiting bool, err error) {
	err = control.Read(func(fd uintptr) bool {
		n, _, peekErr := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		waiting = peekErr == nil && n > 0
		return true
	})
	return waiting, err
}
