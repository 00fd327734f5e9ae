package hosting

import (
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/windows"
)

// newGroup is a command that Ctrl-C in the console does not reach.
func newGroup(path string, args []string) *exec.Cmd {
	cmd := exec.Command(path, args...) //nolint:gosec // the caller's program
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	return cmd
}

// terminate asks the process to end, which a Go program sees as os.Interrupt.
func terminate(pid int) {
	_ = windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(pid)) //nolint:gosec // a pid is never negative
}

// killGroup ends the process and those it has started.
func killGroup(pid int) {
	_ = exec.Command("taskkill", "/F", "/T", "/PID", strconv.Itoa(pid)).Run() //nolint:gosec // a number
}

// inGroup is about Unix: here whatever was written down is taken for it.
func inGroup(int, int) bool { return true }

// groupExists is about Unix: here there is nothing beside the process.
func groupExists(int) bool { return false }

// groupHas is about Unix as well.
func groupHas(int, string) bool { return false }

// hasEnded tells whether the process of a pid file has ended.
func hasEnded(_ int, pidFile string) bool { return findProcess(pidFile) == 0 }
