package telemetry

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// defaultPort is the one of Redis, which the conventions leave out.
const defaultPort = "6379"

// server is what the conventions call the server: everything a client is
// configured to connect to.
type server struct {
	address string
	port    int // 0: the default one, or the address has them
}

// serverOf follows the conventions' section on the database server address.
// Without a master in the addresses' order there is no meaning, and sorted they
// are the same wherever they come from.
func serverOf(addrs []string, master string) server {
	addrs = slices.Compact(slices.Sorted(slices.Values(addrs)))
	if master != "" {
		return server{address: strings.Join(addrs, ",") + "/" + master}
	}
	var (
		hosts []string
		port  string
	)
	for i, addr := range addrs {
		host, p, err := net.SplitHostPort(addr)
		if err != nil { // no port in it
			host, p = addr, defaultPort
		}
		if i > 0 && p != port {
			return server{address: strings.Join(addrs, ",")}
		}
		hosts, port = append(hosts, host), p
	}
	s := server{address: strings.Join(hosts, ",")}
	if port != defaultPort {
		s.port, _ = strconv.Atoi(port) // what is no number is left out
	}
	return s
}

// String returns the address with the port, if there is one to tell.
func (s server) String() string {
	if s.port == 0 {
		return s.address
	}
	return net.JoinHostPort(s.address, strconv.Itoa(s.port))
}

func (s server) attributes() []attribute.KeyValue {
	var attributes []attribute.KeyValue
	if s.address != "" {
		attributes = append(attributes, semconv.ServerAddress(s.address))
	}
	if s.port != 0 {
		attributes = append(attributes, semconv.ServerPort(s.port))
	}
	return attributes
}
