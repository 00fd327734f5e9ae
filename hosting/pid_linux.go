package hosting

import (
	"fmt"
	"os"
	"strings"
)

// processIdentity tells a process from any other that has its pid before or after it,
// whatever the clock does meanwhile; "" if it is not there.
func processIdentity(pid int) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in parentheses may hold anything; what is behind it has blanks between.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const startTime = 22 - 3 // proc(5) counts from 1, and the pid and the name are before
	if len(fields) <= startTime {
		return ""
	}
	return strings.TrimSpace(string(boot)) + ":" + fields[startTime]
}
