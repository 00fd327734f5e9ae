package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// Certificates are what both sides of a TLS connection need, as PEM text.
type Certificates struct {
	CA      []byte // signed Cert
	Cert    []byte // for a client, and for a server at localhost, 127.0.0.1 or ::1
	Key     []byte // of Cert
	OtherCA []byte // signed nothing
}

// NewCertificates makes certificates with new keys, valid for a day.
func NewCertificates(t testing.TB) *Certificates {
	t.Helper()
	c, err := newCertificates()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newCertificates() (*Certificates, error) {
	ca, caKey, err := newCA("redistest CA")
	if err != nil {
		return nil, err
	}
	otherCA, _, err := newCA("redistest other CA")
	if err != nil {
		return nil, err
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := newTemplate("redistest")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	cert, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}

	return &Certificates{
		CA:      encodePEM("CERTIFICATE", ca.Raw),
		Cert:    encodePEM("CERTIFICATE", cert),
		Key:     encodePEM("PRIVATE KEY", keyBytes),
		OtherCA: encodePEM("CERTIFICATE", otherCA.Raw),
	}, nil
}

func newCA(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := newTemplate(name)
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(der)
	return ca, key, err
}

func newTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}

func encodePEM(kind string, bytes []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
}

// clientConfig returns the TLS settings of the admin client.
func (c *Certificates) clientConfig() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.CA)
	config := c.serverConfig()
	config.RootCAs = roots
	return config
}

// serverConfig returns the TLS settings of a server that asks for no client
// certificate.
func (c *Certificates) serverConfig() *tls.Config {
	pair, err := tls.X509KeyPair(c.Cert, c.Key)
	if err != nil {
		panic("redistest: " + err.Error()) // The pair was made above.
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}
