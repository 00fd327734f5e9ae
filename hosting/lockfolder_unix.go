//go:build unix

package hosting

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockFolder locks a folder as long as the file, or one that a process has inherited, is
// open.
func lockFolder(folder string) (*os.File, error) {
	file, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return file, nil
	}
	_ = file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errInUse
	}
	return nil, nil //nolint:nilnil // file systems that know no locks, such as some of networks
}
