package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The admin client logs in as a user of its own, so that it may run
// everything whatever a test does to the default user.
const (
	adminUser     = "redistest"
	adminPassword = "redistest-admin"
)

// options say what kind of server to start.
type options struct {
	config       [][]string    // lines of redis.conf, word by word
	args         []string      // command-line arguments, which win over the lines
	under        []string      // the command, with its arguments, that executes the server
	cluster      bool          // a node of a cluster
	certificates *Certificates // serve TLS with these, and nothing but TLS
}

// writeConfig writes redis.conf and the files it names into dir.
func writeConfig(dir, port string, o options) error {
	lines := [][]string{
		{"bind", "127.0.0.1"},
		{"protected-mode", "no"},
		{"daemonize", "no"},
		{"dir", dir},
		{"save", ""},
		{"appendonly", "no"},
		{"loglevel", "notice"},
		{"repl-diskless-sync-delay", "0"}, // The default makes a new replica wait 5 s.
	}
	switch {
	case supports(versionOfGetDel):
		lines = append(lines, []string{"user", adminUser, "on", ">" + adminPassword, "~*", "&*", "+@all"})
	case supports(versionOfACL):
		lines = append(lines, []string{"user", adminUser, "on", ">" + adminPassword, "~*", "+@all"})
	}

	if o.certificates == nil {
		lines = append(lines, []string{"port", port})
	} else {
		ca, cert, key, err := o.certificates.write(dir)
		if err != nil {
			return err
		}
		lines = append(lines,
			[]string{"port", "0"},
			[]string{"tls-port", port},
			[]string{"tls-ca-cert-file", ca},
			[]string{"tls-cert-file", cert},
			[]string{"tls-key-file", key},
			[]string{"tls-auth-clients", "yes"},
		)
	}

	if o.cluster {
		lines = append(lines, []string{"cluster-enabled", "yes"}, []string{"cluster-node-timeout", "2000"})
		if supports(versionOfClusterPort) {
			busPort, err := freePort()
			if err != nil {
				return err
			}
			lines = append(lines, []string{"cluster-port", busPort})
		}
	}

	var text strings.Builder
	for _, line := range append(lines, o.config...) {
		for _, word := range line {
			fmt.Fprintf(&text, "%q ", word)
		}
		text.WriteByte('\n')
	}
	return os.WriteFile(filepath.Join(dir, "redis.conf"), []byte(text.String()), 0o600)
}

// withoutRenames returns the arguments without those that rename a command which the
// server does not have: it would not start.
func withoutRenames(args []string) []string {
	since := map[string]version{"GETDEL": versionOfGetDel, "HELLO": versionOfACL}
	var kept []string
	for len(args) > 0 {
		if len(args) >= 3 && args[0] == "--rename-command" && !supports(since[args[1]]) {
			args = args[3:]
			continue
		}
		kept = append(kept, args[0])
		args = args[1:]
	}
	return kept
}

// adminLogin returns the user and password of the admin client. Before Redis 6.0, and
// before 6.2 on sentinels, the only user is the default one. The options have its password.
func (o *options) adminLogin() (user, password string) {
	since := versionOfACL
	if slices.Contains(o.args, "--sentinel") {
		since = versionOfGetDel
	}
	if supports(since) {
		return adminUser, adminPassword
	}
	for _, line := range o.config {
		if line[0] == "requirepass" {
			password = line[1]
		}
	}
	if i := slices.Index(o.args, "--requirepass"); i >= 0 {
		password = o.args[i+1]
	}
	return "", password
}

// freeNodePort finds a port for a node of a cluster. Before Redis 7.0 the node also
// listens on the port that is 10000 higher.
func freeNodePort() (string, error) {
	for {
		port, err := freePort()
		if err != nil || supports(versionOfClusterPort) {
			return port, err
		}
		number, _ := strconv.Atoi(port)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(number+10000)))
		if err == nil {
			return port, listener.Close()
		}
	}
}

// freePort finds a port that nothing listens on. It may be taken before it is
// used, so starting a server must be tried more than once.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), nil
}
