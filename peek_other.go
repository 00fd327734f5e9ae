//go:build !unix

package redisbinding

import "syscall"

// hasData is asked only by go-redis's own look at a connection, which it does
// not take on this system.
func hasData(syscall.RawConn) (waiting bool, err error) { return false, nil }
