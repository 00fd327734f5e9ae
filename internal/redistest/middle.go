package redistest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
)

// Middle is a man in the middle: it stands between clients and a server, hears
// all that they say, and may change it.
type Middle struct {
	Addr string // where clients connect

	change func(request, reply []byte)

	mu    sync.Mutex
	heard []*bytes.Buffer // what clients have sent, one buffer a connection
}

// StartMiddle starts one in front of the address, for this test only. change is
// called with each piece that passes, with request when it comes from a client and
// with reply when it comes from the server, and may overwrite it; nil: nothing is
// changed.
func StartMiddle(t testing.TB, addr string, change func(request, reply []byte)) *Middle {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if change == nil {
		change = func(_, _ []byte) {}
	}
	m := &Middle{Addr: listener.Addr().String(), change: change}
	dial := func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}
	relay := startRelay(listener, dial, m.watch)
	t.Cleanup(relay.close)
	return m
}

// Heard returns all that clients have sent, connection by connection.
func (m *Middle) Heard() (conns []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, heard := range m.heard {
		conns = append(conns, heard.String())
	}
	return conns
}

// overheard is a connection through a Middle.
type overheard struct {
	*Middle
	sent *bytes.Buffer // of mu
}

func (m *Middle) watch(net.Conn) watcher {
	m.mu.Lock()
	defer m.mu.Unlock()
	sent := new(bytes.Buffer)
	m.heard = append(m.heard, sent)
	return &overheard{m, sent}
}

func (o *overheard) request(data []byte) int {
	o.mu.Lock()
	o.sent.Write(data)
	o.mu.Unlock()
	o.change(data, nil)
	return len(data)
}

func (o *overheard) reply(data []byte) int {
	o.change(nil, data)
	return len(data)
}

func (*overheard) closed() {}

// OfferTLS changes what a client that offers TLS 1.3 and 1.2 offers in its first message:
// two versions, as bytes.
func OfferTLS(request []byte, versions string) {
	const offer = "\x00\x2b\x00\x05\x04" // the extension supported_versions, with two of them
	if at := bytes.Index(request, []byte(offer+"\x03\x04\x03\x03")); at > 0 {
		copy(request[at+len(offer):], versions)
	}
}
