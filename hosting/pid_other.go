//go:build !linux

package hosting

import (
	"strconv"

	gopsutil "github.com/shirou/gopsutil/v4/process"
)

// processIdentity tells a process from any other that has its pid before or after it; ""
// if it is not there.
func processIdentity(pid int) string {
	p, err := gopsutil.NewProcess(int32(pid)) //nolint:gosec // pids have 32 bits
	if err != nil {
		return ""
	}
	created, err := p.CreateTime()
	if err != nil {
		return ""
	}
	return strconv.FormatInt(created, 10)
}
