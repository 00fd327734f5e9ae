package redistest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// Network is a bad one between clients and a server. It does nothing to what passes
// but what its faults say.
type Network struct {
	Addr string // where clients connect

	relay  *relay
	faults atomic.Pointer[Faults]
	dark   atomic.Bool
	silent atomic.Bool

	connections atomic.Int64
}

// Faults are what a [Network] does to the pieces of data that pass, each with the
// chance given, from 0 to 1. A piece is what one side has sent at once.
type Faults struct {
	Swallow   float64 // a reply is kept back, and the connection cut
	Truncate  float64 // a request or a reply is cut short, and the connection cut
	HalfClose float64 // the server's side is closed in place of a reply, the client's stays open
	Corrupt   float64 // a byte of a request or a reply is another
	Extra     float64 // a reply that no command asked for comes first
}

// StartNetwork starts a network in front of the server, for this test only. It is
// where on says, an address such as "127.0.0.2:0".
func StartNetwork(t testing.TB, s *Server, on string) *Network {
	t.Helper()
	listener, err := net.Listen("tcp", on)
	if err != nil {
		t.Fatal(err)
	}
	n := &Network{Addr: listener.Addr().String()}
	n.faults.Store(&Faults{})
	dial := func(ctx context.Context) (net.Conn, error) {
		n.connections.Add(1)
		switch {
		case n.dark.Load():
			return nil, net.ErrClosed
		case n.silent.Load():
			<-ctx.Done()
			return nil, ctx.Err()
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
		if err != nil {
			return nil, err
		}
		return &extraReplies{Conn: conn, network: n}, nil
	}
	n.relay = startRelay(listener, dial, func(net.Conn) watcher { return faulty{n} })
	t.Cleanup(n.relay.close)
	return n
}

// Set sets the faults from now on.
func (n *Network) Set(f Faults) { n.faults.Store(&f) }

// Cut closes all connections.
func (n *Network) Cut() { n.relay.cut() }

// Dark ends, or begins again, all connections: as long as it is on, clients are
// hung up on as soon as they have connected.
func (n *Network) Dark(on bool) {
	n.dark.Store(on)
	if on {
		n.Cut()
	}
}

// Silent has, as long as it is on, clients connect and hear nothing: then nor later.
func (n *Network) Silent(on bool) { n.silent.Store(on) }

// Connections returns how many were made.
func (n *Network) Connections() int { return int(n.connections.Load()) }

// extraReply is what a [Network] adds to the replies of the server.
const extraReply = "$-1\r\n"

// extraReplies is a connection to the server on which more replies come than commands
// were sent. A reply too many comes by itself, right before what the server has written.
type extraReplies struct {
	net.Conn
	network *Network
	held    []byte // what the server has written
}

func (c *extraReplies) Read(b []byte) (int, error) {
	if len(c.held) > 0 {
		time.Sleep(time.Millisecond) // or TCP would deliver both together
		n := copy(b, c.held)
		c.held = c.held[n:]
		return n, nil
	}
	n, err := c.Conn.Read(b)
	if n > 0 && happens(c.network.faults.Load().Extra) {
		c.held = bytes.Clone(b[:n])
		return copy(b, extraReply), nil
	}
	return n, err
}

// faulty does the faults of a network to one connection.
type faulty struct{ *Network }

func (f faulty) request(data []byte) int {
	faults := f.faults.Load()
	corrupt(data, faults.Corrupt)
	return truncated(data, faults.Truncate)
}

func (f faulty) reply(data []byte) int {
	faults := f.faults.Load()
	switch {
	case happens(faults.Swallow):
		return 0
	case happens(faults.HalfClose):
		return halfClose
	}
	corrupt(data, faults.Corrupt)
	return truncated(data, faults.Truncate)
}

func (faulty) closed() {}

func happens(chance float64) bool {
	return chance > 0 && rand.Float64() < chance
}

func corrupt(data []byte, chance float64) {
	if happens(chance) {
		data[rand.IntN(len(data))] ^= byte(1 + rand.IntN(255))
	}
}

func truncated(data []byte, chance float64) int {
	if happens(chance) {
		return rand.IntN(len(data))
	}
	return len(data)
}
