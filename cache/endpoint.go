package cache

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// endpoint is one server of a connection string.
type endpoint struct {
	host string // "" for a Unix socket
	port uint16 // 0 when the string gives none: the default depends on other keywords
	path string // of a Unix socket
}

const (
	endpointForm = "an endpoint is host, host:port, [::1]:6379 or !/path of a Unix socket"
	endpointPort = "the port of an endpoint is a number from 1 to 65535"
)

// parseEndpoint reads a token that is not a keyword. The reason says what is
// wrong with it, without showing it.
func parseEndpoint(token string) (e endpoint, reason string) {
	if path, isSocket := strings.CutPrefix(token, "!"); isSocket {
		if !strings.HasPrefix(path, "/") { // which is how go-redis knows a socket
			return e, "the path of a Unix socket starts with /, as in !/run/redis.sock"
		}
		return endpoint{path: path}, ""
	}
	if strings.Contains(token, "://") || strings.Contains(token, "@") {
		return e, "an endpoint is no URL: write host:port, and user=, password= and ssl=true as keywords"
	}
	host, port, hasPort := token, "", false
	if inner, bracketed := strings.CutPrefix(token, "["); bracketed {
		inner, rest, closed := strings.Cut(inner, "]")
		ip, err := netip.ParseAddr(inner)
		if !closed || err != nil || !ip.Is6() {
			return e, endpointForm
		}
		host = inner
		if rest != "" {
			if port, hasPort = strings.CutPrefix(rest, ":"); !hasPort {
				return e, endpointForm
			}
		}
	} else if strings.Count(token, ":") == 1 { // with more of them it is a bare IPv6 address
		host, port, hasPort = strings.Cut(token, ":")
	}
	if ip, err := netip.ParseAddr(host); err == nil && !strings.ContainsFunc(ip.Zone(), isNoZone) {
		host = ip.String() // one spelling of an address, so that it is there once
	} else if host == "" || strings.ContainsAny(host, ":/\\?#[]!=%") || strings.ContainsFunc(host, isSpaceOrControl) {
		return e, endpointForm
	}
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return e, endpointPort
		}
		e.port = uint16(n)
	}
	e.host = host
	return e, ""
}

// isBareName says whether the endpoint is a name and nothing else, as many a word is.
func (e endpoint) isBareName() bool {
	_, err := netip.ParseAddr(e.host)
	return e.path == "" && e.port == 0 && err != nil
}

func isSpaceOrControl(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xa0 || r == 0xfffd }

func isNoZone(r rune) bool { return isSpaceOrControl(r) || strings.ContainsRune(":/\\?#[]!=%", r) }

// address is what go-redis takes; a path is a Unix socket to it.
func (e endpoint) address(defaultPort int) string {
	if e.path != "" {
		return e.path
	}
	port := int(e.port)
	if port == 0 {
		port = defaultPort
	}
	return net.JoinHostPort(e.host, strconv.Itoa(port))
}

// addresses returns the endpoints with their ports, each once: a second one
// would make a cluster of a single server.
func (c *ConnectionString) addresses() (addrs []string) {
	defaultPort := DefaultPort
	switch {
	case c.serviceName != "":
		defaultPort = DefaultSentinelPort
	case c.ssl:
		defaultPort = DefaultTLSPort
	}
	seen := map[string]bool{}
	for _, e := range c.endpoints {
		addr := e.address(defaultPort)
		same := addr
		if e.path == "" {
			same = strings.ToLower(addr)
		}
		if !seen[same] {
			seen[same] = true
			addrs = append(addrs, addr)
		}
	}
	return addrs
}
