package cache

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// tunnelTo reads the value of the keyword tunnel. It is not shown when it is
// refused, as somebody may have written a proxy's password into it.
func tunnelTo(c *ConnectionString, value string) (printed, refused string) {
	const takes = "requires the value http:host:port of a proxy that takes CONNECT; other tunnels are not supported."
	if value == "" { // no tunnel, upstream too
		c.tunnel = ""
		return "", ""
	}
	scheme, addr, _ := strings.Cut(value, ":")
	proxy, reason := parseEndpoint(addr)
	if !strings.EqualFold(scheme, "http") || reason != "" || proxy.host == "" || proxy.port == 0 {
		return "", takes
	}
	c.tunnel = proxy.address(0)
	return "http:" + c.tunnel, ""
}

// newDialer returns the Dialer of options that need one of their own: to go
// through a proxy, or without TCP keep-alive. Otherwise it does what the one of
// go-redis does, which leaves TLS to a Dialer as well; it reads the options when it
// dials, as their owner may change them.
func newDialer(o *redis.UniversalOptions, proxy string, keepAlive bool) func(context.Context, string, string) (net.Conn, error) {
	dialer := &net.Dialer{KeepAlive: -1} // none
	if keepAlive {
		// Notices a peer that vanished without a word within 45 s.
		dialer = &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}}
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if o.DialTimeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, o.DialTimeout)
			defer cancel()
		}
		var (
			conn net.Conn
			err  error
		)
		if proxy == "" || network == "unix" {
			conn, err = dialer.DialContext(ctx, network, addr)
		} else {
			conn, err = dialThrough(ctx, dialer, proxy, addr)
		}
		if err != nil || o.TLSConfig == nil {
			return conn, err
		}
		return handshake(ctx, conn, o.TLSConfig, addr)
	}
}

// handshake makes a TLS connection of one to addr.
func handshake(ctx context.Context, conn net.Conn, config *tls.Config, addr string) (net.Conn, error) {
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = addr
		if host, _, err := net.SplitHostPort(addr); err == nil {
			config.ServerName = host
		}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// dialThrough asks an HTTP proxy for a connection to addr.
func dialThrough(ctx context.Context, dialer *net.Dialer, proxy, addr string) (net.Conn, error) {
	conn, err := dialer.DialContext(ctx, "tcp", proxy)
	if err != nil {
		return nil, tunnelError(proxy, err)
	}
	// Ends the wait for the proxy with the context.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = connect(conn, addr)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return nil, tunnelError(proxy, err)
	}
	return conn, nil
}

func connect(conn net.Conn, addr string) error {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if err := request.Write(conn); err != nil {
		return err
	}
	const most = 64 << 10 // of a head
	reader := bufio.NewReader(io.LimitReader(conn, most))
	response, err := http.ReadResponse(reader, request) //nolint:bodyclose // the connection is the body
	if err != nil {
		return err
	}
	switch {
	case response.StatusCode != http.StatusOK:
		return errors.New("the proxy refuses to connect: " + response.Status)
	case reader.Buffered() > 0: // neither Redis nor TLS lets the server speak first
		return errors.New("the proxy sends data that nobody has asked for")
	}
	return nil
}

// tunnelError says that the proxy is where it went wrong.
func tunnelError(proxy string, err error) error {
	return &net.OpError{Op: "dial", Net: "tunnel", Addr: proxyAddr(proxy), Err: err}
}

// proxyAddr is the address of a proxy, for errors.
type proxyAddr string

func (proxyAddr) Network() string  { return "tcp" }
func (a proxyAddr) String() string { return string(a) }
