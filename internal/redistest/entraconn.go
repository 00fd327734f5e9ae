package redistest

// entraConn is a connection through one of the proxies of an Entra.
type entraConn struct {
	entra  *Entra
	server *Server
	addr   string // where the server sees it come from
	logins logins

	// Of entra.mu:
	token string // the last one the user has authenticated with here
	admin bool   // it is no client's, but a replica's or redis-cli's
}

// watch returns a new connection, which comes to the server from addr.
func (e *Entra) watch(server *Server, addr string) *entraConn {
	c := &entraConn{entra: e, server: server, addr: addr}
	c.logins.tell = c.login
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conns[c] = struct{}{}
	return c
}

// login takes note of an attempt to authenticate, before the server hears of
// it. The server lets in whoever has a token that lives. If the token ends
// between here and there, its removal finds the connection, and cuts it.
func (c *entraConn) login(user, password string) {
	e := c.entra
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case user == adminUser:
		c.admin = true
	case user == e.oid && e.living[password]:
		c.token = password
		e.logins[password]++
	}
}

func (c *entraConn) request(data []byte) int {
	c.logins.read(data)
	return len(data)
}

func (*entraConn) reply(data []byte) int { return len(data) }

func (c *entraConn) closed() {
	c.entra.mu.Lock()
	defer c.entra.mu.Unlock()
	delete(c.entra.conns, c)
}
