package redistest

import (
	"context"
	"net"
	"strings"
	"testing"
)

// Proxied is a set-up without replicas whose clients come to every data node
// through a proxy. Nothing fails over when a server is silent for a while.
type Proxied struct {
	*Setup
	Proxies []*Proxy // of the Servers, in their order
}

// StartProxied starts a set-up for this test only: "plain", one server; "sentinel",
// one primary and one sentinel; or "cluster", three primaries.
func StartProxied(t testing.TB, kind string) *Proxied {
	t.Helper()
	p := new(Proxied)
	t.Cleanup(func() {
		for _, proxy := range p.Proxies {
			proxy.relay.close()
		}
	})
	p.Setup = startSetup(t, kind, func(s *Setup, dir string) error {
		switch kind {
		case "cluster":
			return p.startCluster(s, dir)
		case "sentinel":
			return p.startSentinel(s, dir)
		}
		addr, err := p.addNode(s, dir, false)
		s.Metadata = map[string]string{"redisHost": addr}
		return err
	})
	return p
}

// addNode starts a server and the proxy in front of it, and returns the proxy's
// address, which a cluster's node announces.
func (p *Proxied) addNode(s *Setup, dir string, cluster bool) (addr string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr = listener.Addr().String()
	o := options{cluster: cluster}
	if cluster {
		_, port, _ := net.SplitHostPort(addr)
		o.config = [][]string{{"cluster-announce-port", port}}
	}
	server, err := s.addServer(dir, o)
	if err != nil {
		_ = listener.Close()
		return "", err
	}
	p.Proxies = append(p.Proxies, newProxy(listener, server))
	return addr, nil
}

func (p *Proxied) startCluster(s *Setup, dir string) error {
	var addrs []string
	for range 3 {
		addr, err := p.addNode(s, dir, true)
		if err != nil {
			return err
		}
		addrs = append(addrs, addr)
	}
	if err := s.makeCluster(addrs); err != nil {
		return err
	}
	for _, node := range s.Servers {
		if err := node.Client().ConfigSet(context.Background(), "cluster-node-timeout", "60000").Err(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Proxied) startSentinel(s *Setup, dir string) error {
	addr, err := p.addNode(s, dir, false)
	if err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(addr)
	sentinel, err := startServer(dir, options{
		args: []string{"--sentinel"},
		config: [][]string{
			{"sentinel", "monitor", sentinelMaster, host, port, "1"},
			{"sentinel", "down-after-milliseconds", sentinelMaster, "60000"},
		},
	})
	if err != nil {
		return err
	}
	s.Sentinels = []*Server{sentinel}
	s.Metadata = map[string]string{"redisHost": sentinel.Addr, "failover": "true", "sentinelMasterName": sentinelMaster}
	return nil
}

// Sent counts how many times clients have sent the command, to any of the servers.
func (p *Proxied) Sent(command string) (n int) {
	for _, proxy := range p.Proxies {
		n += proxy.Sent(command)
	}
	return n
}

// CutAfterLines is [Proxy.CutAfterLines] for each of the proxies. It returns the
// sum of what was left.
func (p *Proxied) CutAfterLines(n int) (left int) {
	for _, proxy := range p.Proxies {
		left += proxy.CutAfterLines(n)
	}
	return left
}

// Get returns the value of the key, from the server that has it; nil: none has.
func (p *Proxied) Get(t testing.TB, key string) any {
	t.Helper()
	for _, s := range p.Servers {
		value, err := s.Client().Get(t.Context(), key).Result()
		switch {
		case err == nil:
			return value
		case strings.HasPrefix(err.Error(), "MOVED "), err.Error() == "redis: nil":
		default:
			t.Fatal(err)
		}
	}
	return nil
}
