package soak

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// names is a DNS server for the process, as long as the test lasts.
type names struct {
	mu        sync.Mutex
	addresses map[string]net.IP
}

// serveNames has the process ask a DNS server that knows no names yet.
func serveNames(t *testing.T) *names {
	n := &names{addresses: map[string]net.IP{}}
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go n.serve(server)
		return client, nil
	}}
	return n
}

// set says where a name, which ends with a dot, is from now on.
func (n *names) set(name, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses[name] = net.ParseIP(address).To4()
}

// serve answers questions as RFC 1035 has it over TCP, each with its length before it.
func (n *names) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		length := make([]byte, 2)
		if _, err := io.ReadFull(conn, length); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(length))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		answer := n.answer(question)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer answers one question, with an address when it is for one of version 4.
func (n *names) answer(question []byte) []byte {
	name, end := "", 12
	for question[end] != 0 {
		length := int(question[end])
		name += string(question[end+1:end+1+length]) + "."
		end += 1 + length
	}
	const typeA = 1
	asked := binary.BigEndian.Uint16(question[end+1:])
	end += 1 + 4

	n.mu.Lock()
	address := n.addresses[name]
	n.mu.Unlock()
	answer := append([]byte(nil), question[:end]...)
	copy(answer[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}) // a reply to one question, without answers
	switch {
	case address == nil:
		answer[3] |= 3 // no such name
	case asked == typeA:
		answer[7] = 1
		answer = append(answer, 0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4) // of the name asked for, for no time
		answer = append(answer, address...)
	}
	return answer
}
