package main

import (
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// patience is how long a client may take to send a request.
const patience = time.Minute

// newServer is a server that no client can keep busy by being slow: each may take no longer
// than patience to send a request, and as long again until it has its answer.
func newServer(handler http.Handler, patience time.Duration) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: patience / 6,
		ReadTimeout:       patience,
		WriteTimeout:      2 * patience,
		IdleTimeout:       2 * patience,
		MaxHeaderBytes:    64 << 10,
	}
}

// guard lets other programs call, on this machine or wherever the address is reached from, and
// no pages in browsers.
func guard(handler http.Handler, address net.Addr, token string) http.Handler {
	local := isLocal(address.String())
	switch {
	case token != "":
	case local:
		handler = localHost(handler)
	default:
		slog.Warn("whoever reaches the address can use the bindings: set DAPR_API_TOKEN", "address", address.String())
	}
	return http.NewCrossOriginProtection().Handler(handler)
}

// localHost refuses requests to another host than this machine. A page can have its own
// name lead here (DNS rebinding), and then is of the same origin; but that name is what the
// request says.
func localHost(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r.Host) {
			http.Error(w, "this host is localhost; for other names set DAPR_API_TOKEN", http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// isLocal says whether a host, with or without a port, is the loopback interface's.
func isLocal(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	name = strings.TrimSuffix(name, ".") // a name may be written with the root's dot
	return strings.EqualFold(name, "localhost") || net.ParseIP(name).IsLoopback()
}
