package redistest

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// sleeper sleeps to some ten microseconds. Go's own timers are that exact when
// the process is busy; when it is idle they fire with what epoll waits for,
// which are whole milliseconds.
type sleeper struct{ timer *os.File }

func newSleeper() (sleeper, error) {
	const clockMonotonic = 1
	// The flags are those of timerfd.
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return sleeper{}, os.NewSyscallError("timerfd_create", errno)
	}
	return sleeper{os.NewFile(fd, "timerfd")}, nil
}

func (s sleeper) sleepUntil(when time.Time) {
	left := time.Until(when)
	if left <= 0 {
		return
	}
	conn, err := s.timer.SyscallConn()
	if err != nil {
		return
	}
	// An interval of 0, and the time to the one alarm.
	alarm := [2]syscall.Timespec{{}, syscall.NsecToTimespec(left.Nanoseconds())}
	_ = conn.Control(func(fd uintptr) {
		_, _, _ = syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&alarm)), 0, 0, 0)
	})
	var alarms [8]byte
	_, _ = s.timer.Read(alarms[:])
}

func (s sleeper) close() { _ = s.timer.Close() }
