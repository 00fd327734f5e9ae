//go:build unix

package hosting

import (
	"os/exec"
	"slices"
	"syscall"

	gopsutil "github.com/shirou/gopsutil/v4/process"
)

// newGroup is a command that will lead a process group, and a session, of its own:
// neither Ctrl-C nor the end of the terminal reaches it.
func newGroup(path string, args []string) *exec.Cmd {
	cmd := exec.Command(path, args...) //nolint:gosec // the caller's program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// terminate asks the group to end.
func terminate(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) }

// killGroup ends it.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// inGroup tells whether a process belongs to a group.
func inGroup(pid, group int) bool {
	of, err := syscall.Getpgid(pid)
	return err == nil && of == group
}

// groupExists tells whether processes of the group run. Those that have ended and whose
// parents do not care count for the kernel, and not here.
func groupExists(group int) bool {
	if syscall.Kill(-group, 0) != nil {
		return false
	}
	pids, err := gopsutil.Pids()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(pids, func(pid int32) bool {
		return inGroup(int(pid), group) && !isZombie(&gopsutil.Process{Pid: pid})
	})
}

// groupHas tells whether one of the processes of the group has the variable in its
// environment.
func groupHas(group int, variable string) bool {
	pids, err := gopsutil.Pids()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(pids, func(pid int32) bool {
		if !inGroup(int(pid), group) {
			return false
		}
		env, err := (&gopsutil.Process{Pid: pid}).Environ()
		return err == nil && slices.Contains(env, variable)
	})
}

// hasEnded tells whether the process of a pid file has ended. One that was started here and
// that nobody waits for is forgotten then; its pid need not be in the file yet.
func hasEnded(pid int, pidFile string) bool {
	if ended, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err == nil {
		return ended == pid
	}
	return findProcess(pidFile) == 0
}
