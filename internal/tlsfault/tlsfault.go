// Package tlsfault tells why a TLS connection has failed, so that an error can say
// what to check.
package tlsfault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
)

// Fault is what is wrong with a TLS connection.
type Fault int

// What can be wrong.
const (
	None         Fault = iota // it is no error of TLS
	UnknownCA                 // the server's certificate is of a CA that is not trusted, or of none
	OtherName                 // the server's certificate is for another name
	OtherTime                 // the server's certificate has expired, or is not valid yet
	OtherUse                  // the server's certificate is not for servers
	Certificate               // the server's certificate is wrong in another way
	NotTLS                    // the server does not speak TLS
	OldVersion                // the server speaks no version of TLS that is new enough
	Downgrade                 // something in between has changed the handshake
	NoClientCert              // the server wants a client certificate
	Refused                   // the server has ended the connection, most likely for the client certificate
)

// Of tells what err says is wrong.
func Of(err error) Fault {
	var (
		unknownCA x509.UnknownAuthorityError
		otherName x509.HostnameError
		invalid   x509.CertificateInvalidError
		refused   *tls.CertificateVerificationError
		notTLS    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknownCA):
		return UnknownCA
	case errors.As(err, &otherName):
		return OtherName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return OtherTime
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return OtherUse
	case errors.As(err, &refused):
		return Certificate
	case errors.As(err, &notTLS):
		return NotTLS
	}
	return ofText(err)
}

// ofText tells what crypto/tls says in words only. An alert, which is what the other
// side has to say, is a "remote error".
func ofText(err error) Fault {
	if err == nil {
		return None
	}
	text := err.Error()
	for _, known := range []struct {
		text string
		is   Fault
	}{
		{"tls: server selected unsupported protocol version", OldVersion},
		{"remote error: tls: protocol version not supported", OldVersion},
		{"tls: downgrade attempt detected", Downgrade},
		{"remote error: tls: certificate required", NoClientCert},
		{"remote error: tls", Refused},
	} {
		if strings.Contains(text, known.text) {
			return known.is
		}
	}
	return None
}
