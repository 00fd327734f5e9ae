package hosting

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gopsutil "github.com/shirou/gopsutil/v4/process"
)

// findProcess returns the pid in a file that [startProcess] has written, if that process,
// or what it has started, still runs; 0 if not. A pid that belongs to somebody else by now is
// not taken for it.
func findProcess(pidFile string) int {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return 0
	}
	number, identity, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	pid, err := strconv.Atoi(number)
	if err != nil || pid <= 1 || identity == "" {
		return 0
	}
	p, err := gopsutil.NewProcess(int32(pid)) //nolint:gosec // pids have 32 bits
	if err != nil || isZombie(p) {
		if groupHas(pid, marker(pidFile)) {
			return pid
		}
		return 0
	}
	if processIdentity(pid) != identity || !inGroup(pid, pid) {
		return 0
	}
	return pid
}

// marker is in the environment of what a command starts, too: by it the rest of a group is
// known when the process that led it has gone.
func marker(pidFile string) string { return "REDISBINDING_HOSTING_PROCESS=" + pidFile }

func markerOf(folder, name string) string { return marker(pidFileOf(folder, name)) }

// isZombie tells whether the process has ended and its parent does not care.
func isZombie(p *gopsutil.Process) bool {
	status, err := p.Status()
	return err == nil && slices.Contains(status, gopsutil.Zombie)
}

// sweepProcesses ends what a run that died has left: all processes whose pid files are in
// the folder.
func sweepProcesses(ctx context.Context, folder string) {
	files, _ := os.ReadDir(folder) // it may have gone
	var all sync.WaitGroup
	for _, file := range files {
		if strings.HasSuffix(file.Name(), ".pid") {
			all.Go(func() { endProcess(ctx, filepath.Join(folder, file.Name())) })
		}
	}
	all.Wait()
}

// endProcess ends the process of a pid file, gracefully until ctx ends, and its group.
func endProcess(ctx context.Context, pidFile string) {
	endPid(ctx, findProcess(pidFile), pidFile)
	_ = os.Remove(pidFile)
}

// endPid is endProcess for a process that is known already; 0 is none.
func endPid(ctx context.Context, pid int, pidFile string) {
	if pid == 0 || hasEnded(pid, pidFile) {
		return
	}
	terminate(pid)
	if !waitGone(ctx, pid, pidFile, endInterval) {
		killGroup(pid)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killGrace)
		defer cancel()
		waitGone(ctx, pid, pidFile, endInterval)
	}
}

// endInterval is how often to look whether a process that was asked to end has done so.
const endInterval = 10 * time.Millisecond

// waitGone waits until a process has ended, or ctx.
func waitGone(ctx context.Context, pid int, pidFile string, interval time.Duration) bool {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for !hasEnded(pid, pidFile) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
