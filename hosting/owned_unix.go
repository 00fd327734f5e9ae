//go:build unix

package hosting

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// owned refuses a folder that others can change: one that everybody may write to, or that
// belongs to another user than this one and root. What a group may do is whoever gave it
// the folder to answer for: there are systems where each user is a group.
func owned(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 {
		return errors.New("everybody can write to it; take that from others (chmod o-w)")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to another user (%d); have it belong to you", stat.Uid)
	}
	return nil
}
