//go:build unix

package dapr

import (
	"os"
	"syscall"
)

// foreignOwner returns the user that a folder belongs to, if that is neither this one nor root.
func foreignOwner(folder string) (uid int, foreign bool) {
	info, err := os.Stat(folder)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), stat.Uid != 0 && int(stat.Uid) != os.Geteuid()
}
