//go:build unix

package redistest

import "syscall"

// suspend stops the process until resume.
func suspend(pid int) error { return syscall.Kill(pid, syscall.SIGSTOP) }

func resume(pid int) error { return syscall.Kill(pid, syscall.SIGCONT) }

// alive tells whether the process exists.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
