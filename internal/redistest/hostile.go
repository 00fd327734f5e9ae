package redistest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redisbinding/redisbinding/internal/resp"
)

// Hostile is a server, a sentinel and a cluster's node in one that answers with whatever
// it is given: the first command with the first reply, and so on, each on whatever
// connection it comes. After the last one it is honest, and what it has at a key is
// [HostileValue]. What is less, or more, than one reply it follows with the end of the
// connection, so that nobody waits for a time-out.
type Hostile struct {
	Addr string

	kind     string
	politely bool

	mu      sync.Mutex
	replies [][]byte
	conns   map[net.Conn]struct{}
	serving sync.WaitGroup
}

// HostileValue is what a [Hostile] server has at a key.
func HostileValue(key string) string { return "the value of " + key }

// StartHostile starts a server of the kind "plain", "sentinel" or "cluster" that ends
// with the test. Replies are parted by a zero byte. Politely, it answers honestly what a
// client asks to find its way.
func StartHostile(t testing.TB, kind string, politely bool, replies []byte) *Hostile {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &Hostile{Addr: listener.Addr().String(), kind: kind, politely: politely, conns: map[net.Conn]struct{}{}}
	if len(replies) > 0 {
		h.replies = bytes.Split(replies, []byte{0})
	}
	t.Cleanup(func() {
		_ = listener.Close()
		h.mu.Lock()
		for conn := range h.conns {
			_ = conn.Close()
		}
		h.mu.Unlock()
		h.serving.Wait()
	})
	h.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.conns[conn] = struct{}{}
			h.mu.Unlock()
			h.serving.Go(func() { h.serve(conn) })
		}
	})
	return h
}

// Honest makes the server honest from now on.
func (h *Hostile) Honest() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replies = nil
}

// HostileTooLarge says whether replies announce more than a test has the memory for, but
// not more than a client takes.
func HostileTooLarge(replies []byte) bool {
	for number := range bytes.FieldsFuncSeq(replies, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(string(number)); err == nil && n > 1<<14 && n <= resp.MaxBulk {
			return true
		}
	}
	return false
}

func (h *Hostile) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		h.mu.Lock()
		delete(h.conns, conn)
		h.mu.Unlock()
	}()
	reader := bufio.NewReader(conn)
	var guard resp.Guard
	for commands := 1; ; commands++ {
		command, err := readCommand(reader)
		if err != nil {
			return
		}
		reply := h.reply(command)
		if _, err := conn.Write(reply); err != nil {
			return
		}
		if guard.Check(reply) != nil || !guard.Between() || guard.Replies() != commands {
			return
		}
	}
}

// reply returns what to answer to a command.
func (h *Hostile) reply(command []string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	finding := false
	switch strings.ToLower(command[0]) {
	case "hello", "cluster", "sentinel", "info", "client":
		finding = h.politely
	}
	if finding || len(h.replies) == 0 {
		return []byte(h.honest(command))
	}
	reply := h.replies[0]
	h.replies = h.replies[1:]
	return reply
}

func (h *Hostile) honest(command []string) string {
	bulk := func(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }
	host, port, _ := net.SplitHostPort(h.Addr)
	command = append(command, "", "", "", "")
	switch name := strings.ToLower(command[0]); name {
	case "hello":
		return "%2\r\n" + bulk("server") + bulk("redis") + bulk("proto") + ":3\r\n"
	case "ping":
		if command[1] != "" {
			return bulk(command[1])
		}
		return "+PONG\r\n"
	case "get", "getdel":
		return bulk(HostileValue(command[1]))
	case "hmget":
		return "*3\r\n" + bulk(HostileValue(command[1])) + bulk("-1") + "$-1\r\n"
	case "eval", "evalsha":
		if len(command) == 10 { // to read an entry takes two arguments
			return bulk(HostileValue(command[3]))
		}
		return "+OK\r\n"
	case "del", "unlink", "incr":
		return ":1\r\n"
	case "info":
		mode := map[string]string{"plain": "standalone", "sentinel": "standalone", "cluster": "cluster"}[h.kind]
		return bulk("redis_mode:" + mode + "\r\nrole:master\r\nrun_id:1\r\n")
	case "cluster":
		switch strings.ToLower(command[1]) {
		case "slots":
			return "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n" + bulk(host) + ":" + port + "\r\n" + bulk("id")
		case "info":
			return bulk("cluster_state:ok\r\n")
		}
		return bulk("")
	case "sentinel":
		if strings.EqualFold(command[1], "sentinels") {
			return "*0\r\n"
		}
		return "*2\r\n" + bulk(host) + bulk(port)
	case "subscribe":
		return "*3\r\n" + bulk("subscribe") + bulk(command[1]) + ":1\r\n"
	case "client":
		if strings.EqualFold(command[1], "id") {
			return ":1\r\n"
		}
	}
	return "+OK\r\n"
}

// readCommand reads a command as clients write them.
func readCommand(r *bufio.Reader) (command []string, err error) {
	words, err := readCount(r)
	if err != nil {
		return nil, err
	}
	for range words {
		size, err := readCount(r)
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, err
		}
		command = append(command, string(word[:size]))
	}
	return command, nil
}

func readCount(r *bufio.Reader) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil || n < 1 && line[0] == '*' {
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}
