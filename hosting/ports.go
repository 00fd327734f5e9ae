package hosting

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"syscall"
)

// freePorts finds n ports of the loopback interface that nothing listens on. They may
// be taken before they are used, so whoever uses them must be ready to try again.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		listener, err := net.Listen("tcp", localAddress(0))
		if err != nil {
			return nil, err
		}
		defer listener.Close() // all are held until the end, so that none is found twice
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// checkPort finds out whether somebody listens on a port of the loopback interface.
func checkPort(port int) error {
	if port == 0 {
		return nil
	}
	listener, err := net.Listen("tcp", localAddress(port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE) || err != nil && runtime.GOOS == "windows":
		return portTaken(port)
	case err != nil:
		return err
	}
	return listener.Close()
}

func portTaken(port int) error {
	return fmt.Errorf("%w: something else listens on %s:%d; choose another host port, or 0 for any that is free",
		ErrPortTaken, loopback, port)
}

// localAddress is where a port of the loopback interface is.
func localAddress(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// portAttempts is how often to try with another port that was free a moment ago.
const portAttempts = 5

// onPort starts something on the port, or on any that is free.
func onPort[T any](port int, start func(port int) (T, error)) (T, error) {
	var none T
	if port != 0 {
		if err := checkPort(port); err != nil {
			return none, err
		}
		return start(port)
	}
	for attempt := 1; ; attempt++ {
		ports, err := freePorts(1)
		if err != nil {
			return none, err
		}
		one, err := start(ports[0])
		if !errors.Is(err, ErrPortTaken) || attempt == portAttempts {
			return one, err
		}
	}
}

func setPorts(servers []*server, beside int) error {
	const draws = 50
	var found []int
	for range draws {
		ports, err := freePorts(len(servers))
		if err != nil {
			return err
		}
		for _, port := range ports {
			high := port + beside
			if high <= 65535 && (beside == 0 || checkPort(high) == nil) && !slices.Contains(found, port) {
				found = append(found, port)
			}
		}
		if len(found) >= len(servers) {
			for i, s := range servers {
				s.port = found[i]
			}
			return nil
		}
	}
	return errors.New("there are not enough free ports below 55536 on " + loopback)
}
