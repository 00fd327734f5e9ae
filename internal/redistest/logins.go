package redistest

import (
	"bytes"
	"strconv"
	"strings"
)

// logins reads along in what a client sends, in pieces of any size, and tells
// of every request to authenticate as a user. It understands arrays of bulk
// strings, which is how client libraries write requests, and keeps no argument
// of other requests, however big.
type logins struct {
	tell func(user, password string)

	line []byte   // a line whose end has not come
	args []string // of the request that has begun: its name, and all if it is a login
	left int      // how many arguments of that request are to come
	size int      // how many bytes of the argument that has begun are to come, its line end too
	arg  []byte   // what has come of it
}

// read takes the next piece.
func (l *logins) read(data []byte) {
	for len(data) > 0 {
		if l.size > 0 {
			data = l.readArgument(data)
		} else {
			data = l.readLine(data)
		}
	}
}

// readLine reads the line that precedes a request or an argument, as far as it
// has come, and returns what comes after it.
func (l *logins) readLine(data []byte) (rest []byte) {
	part, rest, whole := bytes.Cut(data, []byte("\n"))
	l.line = append(l.line, part...)
	if !whole {
		return nil
	}
	line := strings.TrimSuffix(string(l.line), "\r")
	l.line = l.line[:0]

	kind := "*"
	if l.left > 0 {
		kind = "$"
	}
	digits, ok := strings.CutPrefix(line, kind)
	n, err := strconv.Atoi(digits)
	switch {
	case !ok || err != nil || n < 0:
		// An empty line, as waiting replicas send, or what the server refuses.
		l.left = 0
	case l.left > 0:
		l.size = n + len("\r\n")
	default:
		l.left = n
		l.args = l.args[:0]
	}
	return rest
}

// readArgument reads the argument that has begun, as far as it has come, and
// returns what comes after it.
func (l *logins) readArgument(data []byte) (rest []byte) {
	n := min(l.size, len(data))
	keep := len(l.args) == 0 || l.isLogin()
	if keep {
		l.arg = append(l.arg, data[:n]...)
	}
	l.size -= n
	if l.size > 0 {
		return nil
	}
	if keep {
		l.args = append(l.args, string(l.arg[:len(l.arg)-len("\r\n")]))
		l.arg = l.arg[:0]
	}
	l.left--
	if l.left == 0 && l.isLogin() {
		l.tellOf(l.args)
	}
	return data[n:]
}

func (l *logins) isLogin() bool {
	return strings.EqualFold(l.args[0], "AUTH") || strings.EqualFold(l.args[0], "HELLO")
}

// tellOf tells of AUTH user password, and of HELLO 3 AUTH user password, which
// may have a SETNAME name before and after AUTH.
func (l *logins) tellOf(request []string) {
	if strings.EqualFold(request[0], "AUTH") {
		if len(request) == 3 {
			l.tell(request[1], request[2])
		}
		return
	}
	for i := 2; i < len(request); i++ {
		switch strings.ToUpper(request[i]) {
		case "AUTH":
			if i+2 < len(request) {
				l.tell(request[i+1], request[i+2])
			}
			return
		case "SETNAME":
			i++
		}
	}
}
