//go:build unix

package dockertest

import (
	"os/exec"
	"syscall"
)

// detach keeps the signals of a terminal from a command, which has to clean up after
// those that they end.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
