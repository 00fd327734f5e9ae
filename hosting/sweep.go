package hosting

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	gopsutil "github.com/shirou/gopsutil/v4/process"
)

// findProcess returns the pid in a file that [startProcess] has had written, if that
// process, or what it has started, still runs; 0 if not. A pid that belongs to somebody
// else by now was not started when the file was written.
func findProcess(pidFile string) int {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return 0
	}
	info, err := os.Stat(pidFile)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return 0
	}
	p, err := gopsutil.NewProcess(int32(pid)) //nolint:gosec // pids have 32 bits
	if err != nil || isZombie(p) {
		if groupExists(pid) { // its number cannot be given to others meanwhile
			return pid
		}
		return 0
	}
	created, err := p.CreateTime() // milliseconds, in whole ticks of the kernel's
	if err != nil {
		return 0
	}
	age := info.ModTime().Sub(time.UnixMilli(created))
	if age < -time.Second || age > pidGrace || !leads(pid) {
		return 0
	}
	return pid
}

// isZombie tells whether the process has ended and its parent does not care.
func isZombie(p *gopsutil.Process) bool {
	status, err := p.Status()
	return err == nil && slices.Contains(status, gopsutil.Zombie)
}

// sweepProcesses ends what a run that died has left: all processes whose pid files are in
// the folder.
func sweepProcesses(ctx context.Context, folder string) {
	files, _ := filepath.Glob(filepath.Join(folder, "*.pid")) // the pattern is good
	for _, file := range files {
		endProcess(ctx, file)
	}
}

// endProcess ends the process of a pid file, gracefully until ctx ends, and its group.
func endProcess(ctx context.Context, pidFile string) {
	if pid := findProcess(pidFile); pid != 0 {
		terminate(pid)
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for findProcess(pidFile) != 0 {
			select {
			case <-ticker.C:
				continue
			case <-ctx.Done():
			}
			killGroup(pid)
			break
		}
	}
	_ = os.Remove(pidFile)
}
