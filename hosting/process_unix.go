//go:build unix

package hosting

import (
	"os/exec"
	"syscall"
)

// withPid writes the pid of the shell into the file $0 before it becomes the program:
// there is no moment in which the program runs and nobody would find it.
const withPid = `echo $$ >"$0" && exec "$@"`

// newGroup is a command that will lead a process group, and a session, of its own:
// neither Ctrl-C nor the end of the terminal reaches it.
func newGroup(pidFile, path string, args []string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", withPid, pidFile, path}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// terminate asks the group to end.
func terminate(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) }

// killGroup ends it.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// leads tells whether the process leads a group.
func leads(pid int) bool {
	group, err := syscall.Getpgid(pid)
	return err == nil && group == pid
}

// groupExists tells whether there are processes in the group.
func groupExists(pid int) bool { return syscall.Kill(-pid, 0) == nil }

// recordPid does nothing: newGroup's command does it.
func recordPid(string, int) error { return nil }
