package redistest

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Entra is a Redis with a user who authenticates with tokens of Microsoft
// Entra ID, as Azure's have. To redis-server the tokens that live are the
// user's passwords. What Azure adds, that a connection does not outlive the
// token it has authenticated with, is done here: clients come through proxies,
// which see the tokens, and redis-server is told which connections to kill.
//
// The servers themselves, the Servers of the Setup, refuse who comes without a
// client certificate; the Metadata leads to the proxies. It lacks what has to
// do with Entra ID. A server that is killed is left out, and after a Restart
// knows no token until one is added or removed.
type Entra struct {
	*Setup

	oid          string
	certificates *Certificates
	proxies      []*relay

	// mu is held while the servers learn of a change, too, so that they and
	// living agree on the tokens whenever it is free.
	mu     sync.Mutex
	living map[string]bool // the tokens
	conns  map[*entraConn]struct{}
	logins map[string]int // how many, by token
	cut    int
}

// StartEntra starts a server with TLS for this test only. Its one user is the
// object ID oid, who has no token yet and may do what the user of [ACL] may.
func StartEntra(t testing.TB, oid string) *Entra {
	t.Helper()
	return startEntra(t, "entra", oid, func(e *Entra, dir string) error {
		addr, err := e.addNode(dir, false)
		e.Metadata = map[string]string{"redisHost": addr}
		return err
	})
}

// StartEntraCluster starts a cluster like that of [StartCluster] whose nodes
// are as the server of [StartEntra] is. The user may run CLUSTER SLOTS, too.
func StartEntraCluster(t testing.TB, oid string) *Entra {
	t.Helper()
	return startEntra(t, "entra cluster", oid, func(e *Entra, dir string) error {
		var addrs []string
		for range 6 {
			addr, err := e.addNode(dir, true)
			if err != nil {
				return err
			}
			addrs = append(addrs, addr)
		}
		e.Metadata = map[string]string{"redisHost": strings.Join(addrs[:3], ","), "redisType": "cluster"}
		return e.makeCluster(addrs, "--tls", "--cacert", filepath.Join(e.Servers[0].dir, "ca.pem"),
			"--user", adminUser, "--pass", adminPassword, "--no-auth-warning")
	})
}

func startEntra(t testing.TB, name, oid string, start func(e *Entra, dir string) error) *Entra {
	t.Helper()
	requireTLS(t)
	requireVersion(t, versionOfGetDel, "the set-up "+name)

	e := &Entra{
		oid:          oid,
		certificates: NewCertificates(t),
		living:       map[string]bool{},
		conns:        map[*entraConn]struct{}{},
		logins:       map[string]int{},
	}
	t.Cleanup(func() {
		for _, proxy := range e.proxies {
			proxy.close()
		}
	})
	startSetup(t, name, func(s *Setup, dir string) error {
		e.Setup = s
		if err := start(e, dir); err != nil {
			return err
		}
		e.Metadata["enableTLS"] = "true"
		e.Metadata["caCert"] = string(e.certificates.CA)
		return nil
	})
	return e
}

// addNode starts a server and the proxy in front of it, and returns the
// proxy's address.
func (e *Entra) addNode(dir string, cluster bool) (addr string, err error) {
	// A node of a cluster has to know the proxy's port when it starts.
	listener, err := tls.Listen("tcp", "127.0.0.1:0", e.certificates.serverConfig())
	if err != nil {
		return "", err
	}
	addr = listener.Addr().String()

	user := append([]string{"user", e.oid, "on"}, mayOperate...)
	config := [][]string{{"user", "default", "off"}}
	if cluster {
		_, port, _ := net.SplitHostPort(addr)
		user = append(user, "+cluster|slots")
		config = append(config,
			[]string{"tls-cluster", "yes"},
			[]string{"cluster-announce-tls-port", port},
			// The port announced is where replicas find their primary, too.
			[]string{"tls-replication", "yes"},
			[]string{"masteruser", adminUser},
			[]string{"masterauth", adminPassword},
		)
	}
	server, err := e.addServer(dir, options{
		config:       append(config, user),
		cluster:      cluster,
		certificates: e.certificates,
	})
	if err != nil {
		_ = listener.Close()
		return "", err
	}

	dialer := &tls.Dialer{Config: e.certificates.clientConfig()}
	dial := func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", server.Addr) }
	watch := func(conn net.Conn) watcher { return e.watch(server, conn.LocalAddr().String()) }
	e.proxies = append(e.proxies, startRelay(listener, dial, watch))
	return addr, nil
}

// AddToken makes the token one that the user can authenticate with.
func (e *Entra) AddToken(token string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.living[token] = true
	return e.setTokens()
}

// RemoveToken ends the life of the token, and with it the connections of the
// user whose last authentication was not with a token that lives still.
func (e *Entra) RemoveToken(token string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.living[token] {
		return errors.New("redistest: there is no such token to remove")
	}
	delete(e.living, token)
	return errors.Join(e.setTokens(), e.killConnections())
}

// setTokens makes the tokens that live the user's only passwords on all servers.
func (e *Entra) setTokens() error {
	command := []any{"ACL", "SETUSER", e.oid, "resetpass"}
	for token := range e.living {
		// By their hashes, so that no error and no log can hold a token.
		command = append(command, fmt.Sprintf("#%x", sha256.Sum256([]byte(token))))
	}
	var errs []error
	for _, server := range e.Servers {
		if !server.running() {
			continue
		}
		if err := server.Client().Do(context.Background(), command...).Err(); err != nil {
			errs = append(errs, fmt.Errorf("redistest: setting the tokens on %s: %w", server.Addr, err))
		}
	}
	return errors.Join(errs...)
}

// killConnections makes the servers close the user's connections that have
// outlived their tokens.
func (e *Entra) killConnections() error {
	var errs []error
	for c := range e.conns {
		if c.token == "" || e.living[c.token] || !c.server.running() {
			continue
		}
		killed, err := c.server.Client().ClientKillByFilter(context.Background(), "ADDR", c.addr).Result()
		if err != nil {
			errs = append(errs, fmt.Errorf("redistest: killing a connection of %s: %w", c.server.Addr, err))
		}
		e.cut += int(killed) // 0 when the client was faster
		c.token = ""         // Its address may soon be another's.
	}
	return errors.Join(errs...)
}

// Cut returns how many connections RemoveToken has cut.
func (e *Entra) Cut() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cut
}

// Connections returns how many connections clients have open.
func (e *Entra) Connections() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for c := range e.conns {
		if !c.admin {
			n++
		}
	}
	return n
}

// Authentications returns how many times connections have authenticated with
// each token, in an AUTH or a HELLO. It counts no attempt that was refused.
func (e *Entra) Authentications() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.logins)
}

// ACLLog returns what is in the ACL LOG of the servers: whom they have refused
// to authenticate, or to carry out a command for. It is empty when that is nobody.
func (e *Entra) ACLLog(t testing.TB) []string {
	t.Helper()
	var log []string
	for _, server := range e.Servers {
		if !server.running() {
			continue
		}
		entries, err := server.Client().ACLLog(context.Background(), 1000).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range slices.Backward(entries) { // the oldest first
			log = append(log, fmt.Sprintf("%s: refused %s %d times: %s %s",
				server.Addr, entry.Username, entry.Count, entry.Reason, entry.Object))
		}
	}
	return log
}
