//go:build unix

package hosting

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience is how long a folder may stay locked before it counts as in use. A
// process that this one just started holds a copy of every open file until it executes
// its program, so the lock of a server that has ended may last a moment longer.
const lockPatience = 500 * time.Millisecond

// lockFolder locks a folder as long as the file, or one that a process has inherited, is
// open.
func lockFolder(folder string) (*os.File, error) {
	file, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(5 * time.Millisecond) {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			break
		}
	}
	if err == nil {
		return file, nil
	}
	_ = file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errInUse
	}
	return nil, nil //nolint:nilnil // file systems that know no locks, such as some of networks
}
