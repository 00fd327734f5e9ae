package cache

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/redact"
	"github.com/redisbinding/redisbinding/internal/tlsfault"
)

// explain returns err without what a server repeats of a command in it, and with what
// to check when that is known.
func explain(err error) error {
	if err = redact.Error(err); err == nil {
		return nil
	}
	advice := adviceOnTLS[tlsfault.Of(err)]
	if mayNot(err) {
		advice = "allow the ACL user what the package documentation lists under Permissions"
	}
	if advice == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, advice)
}

// mayNot says whether err is a server's answer that the user has no permission. When it is
// a command in a script that is refused, servers say so in their own words.
func mayNot(err error) bool {
	return redis.IsPermissionError(err) || redis.HasErrorPrefix(err, "ACL failure in script") ||
		redis.HasErrorPrefix(err, "The user executing the script can't run this command")
}

// adviceOnTLS is what to check when a TLS connection has failed. A TLSConfig is that of
// the client's options, which WithRedisOptions changes.
var adviceOnTLS = map[tlsfault.Fault]string{
	tlsfault.UnknownCA:    "put the CA that signed the server's certificate into TLSConfig.RootCAs, or among the system's",
	tlsfault.OtherName:    "set sslHost, or TLSConfig.ServerName, to a name in the server's certificate",
	tlsfault.OtherTime:    "the server needs a new certificate, unless the clock here is wrong",
	tlsfault.OtherUse:     "the server needs a certificate for servers, with the extended key usage serverAuth",
	tlsfault.Certificate:  "check the server's certificate",
	tlsfault.NotTLS:       "the server does not speak TLS: use its TLS port or, where it has none, leave ssl out",
	tlsfault.OldVersion:   "the server has to speak TLS 1.2 or later, or what sslProtocols says",
	tlsfault.Downgrade:    "check what stands between here and the server: it has changed the TLS handshake",
	tlsfault.NoClientCert: "the server wants a client certificate: set TLSConfig.Certificates",
	tlsfault.Refused:      "the server refused the TLS connection: check TLSConfig.Certificates",
}
