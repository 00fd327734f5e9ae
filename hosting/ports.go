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

// checkPortNumber refuses what is no port for the method that takes one.
func checkPortNumber(method string, port int) error {
	if port < 0 || port > 65535 {
		return fmt.Errorf("%s takes a port from 1 to 65535, or 0 for any that is free, got %d", method, port)
	}
	return nil
}

// localAddress is where a port of the loopback interface is.
func localAddress(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// portAttempts is how often to try with another port that was free a moment ago.
const portAttempts = 5

// pickPort is the port, if nobody listens there; of 0 any that is free.
func pickPort(port int) (int, error) {
	if port != 0 {
		return port, checkPort(port)
	}
	ports, err := freePorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// onPort starts something on the port, or on any that is free.
func onPort[T any](port int, start func(port int) (T, error)) (one T, err error) {
	for attempt := 1; ; attempt++ {
		picked, err := pickPort(port)
		if err != nil {
			return one, err
		}
		one, err = start(picked)
		if port != 0 || !errors.Is(err, ErrPortTaken) || attempt == portAttempts {
			return one, err
		}
	}
}

// setPorts gives servers ports that are free, as are those that are beside higher, if that is not 0.
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
