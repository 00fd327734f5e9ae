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
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are what both sides of a TLS connection need, as PEM text.
type Certificates struct {
	CA      []byte // signed Cert
	Cert    []byte // for a client, and for a server at localhost, 127.0.0.1 or ::1
	Key     []byte // of Cert
	OtherCA []byte // signed nothing

	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey
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

	c := &Certificates{
		CA:      encodePEM("CERTIFICATE", ca.Raw),
		OtherCA: encodePEM("CERTIFICATE", otherCA.Raw),
		ca:      ca,
		caKey:   caKey,
	}
	return c.renewed()
}

// Renewed returns certificates of the same CA, with a new key.
func (c *Certificates) Renewed(t testing.TB) *Certificates {
	t.Helper()
	renewed, err := c.renewed()
	if err != nil {
		t.Fatal(err)
	}
	return renewed
}

func (c *Certificates) renewed() (*Certificates, error) {
	cert, key, err := c.sign(c.ca, func(*x509.Certificate) {})
	if err != nil {
		return nil, err
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	renewed := *c
	renewed.Cert, renewed.Key = encodePEM("CERTIFICATE", cert), encodePEM("PRIVATE KEY", keyBytes)
	return &renewed, nil
}

// sign returns a certificate like Cert, after change, with a new key. It is signed by
// itself when there is no parent.
func (c *Certificates) sign(parent *x509.Certificate, change func(*x509.Certificate)) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := newTemplate("redistest")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	change(template)
	signer := c.caKey
	if parent == nil {
		parent, signer = template, key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	return cert, key, err
}

// Issue returns a certificate that the CA has signed: one like Cert, after change.
func (c *Certificates) Issue(t testing.TB, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	return c.issue(t, c.ca, change)
}

// SelfSigned returns a certificate like Cert that no CA has signed.
func (c *Certificates) SelfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	return c.issue(t, nil, func(*x509.Certificate) {})
}

func (c *Certificates) issue(t testing.TB, parent *x509.Certificate, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	cert, key, err := c.sign(parent, change)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: key}
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

// write puts them into files in dir.
func (c *Certificates) write(dir string) (ca, cert, key string, err error) {
	ca, cert, key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, pem := range map[string][]byte{ca: c.CA, cert: c.Cert, key: c.Key} {
		if err := os.WriteFile(name, pem, 0o600); err != nil {
			return "", "", "", err
		}
	}
	return ca, cert, key, nil
}

// SetCertificates has a server that speaks TLS show another certificate from now on.
// Its CA and that of clients stay.
func (s *Server) SetCertificates(t testing.TB, c *Certificates) {
	t.Helper()
	dir, err := os.MkdirTemp(s.dir, "certificates-") // redis-server reads files only whose names are new
	if err != nil {
		t.Fatal(err)
	}
	_, cert, key, err := c.write(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Do(t, "CONFIG", "SET", "tls-cert-file", cert, "tls-key-file", key)
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
