//go:build !unix

package redisbinding

import "syscall"

// poolLooks says that go-redis does not look at a connection when it takes it
// out of the pool.
const poolLooks = false

// hasData is asked only by go-redis's own look at a connection, which it does
// not take on this system.
func hasData(syscall.RawConn) (waiting bool, err error) { return false, nil }
