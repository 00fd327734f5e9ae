package redistest

import "testing"

// startPlain starts a server without a password.
func startPlain(s *Setup, dir string) error {
	server, err := s.addServer(dir, options{})
	if err != nil {
		return err
	}
	s.Metadata = map[string]string{"redisHost": server.Addr}
	return nil
}

// mayOperate are the permissions of a user who may do nothing but the
// operations of the binding, on all keys.
var mayOperate = []string{"~*", "+get", "+set", "+del", "+incr", "+getdel", "+ping", "+eval"}

// startACL starts a server with a user that may do little.
func startACL(s *Setup, dir string) error {
	const user, password = "app", "app-password"
	server, err := s.addServer(dir, options{config: [][]string{
		{"requirepass", "default-password"},
		append([]string{"user", user, "on", ">" + password}, mayOperate...),
	}})
	if err != nil {
		return err
	}
	s.Metadata = map[string]string{
		"redisHost":     server.Addr,
		"redisUsername": user,
		"redisPassword": password,
	}
	return nil
}

// startTLS starts a server that speaks nothing but TLS.
func startTLS(s *Setup, dir string) error {
	certificates, err := newCertificates()
	if err != nil {
		return err
	}
	server, err := s.addServer(dir, options{certificates: certificates})
	if err != nil {
		return err
	}
	s.Metadata = map[string]string{
		"redisHost":  server.Addr,
		"enableTLS":  "true",
		"caCert":     string(certificates.CA),
		"clientCert": string(certificates.Cert),
		"clientKey":  string(certificates.Key),
	}
	return nil
}

// StartTLS starts a server that speaks nothing but TLS and asks for a client
// certificate, for this test only. args are as for [Start]:
// "--tls-auth-clients", "no" makes the client certificate unnecessary.
func StartTLS(t testing.TB, args ...string) (*Server, *Certificates) {
	t.Helper()
	certificates := NewCertificates(t)
	return startOwned(t, options{args: args, certificates: certificates}), certificates
}
