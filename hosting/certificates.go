package hosting

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	certificateLife = 365 * 24 * time.Hour
	// certificateRest is how long a certificate that was kept has to be good for.
	certificateRest = 30 * 24 * time.Hour
)

// certificates are what one server needs for TLS, and its clients, as PEM text. The CA
// has signed nothing else, and its key is thrown away.
type certificates struct {
	folder        string // has them as ca.pem, cert.pem and key.pem
	ca, cert, key []byte
}

func (c *certificates) caFile() string   { return filepath.Join(c.folder, "ca.pem") }
func (c *certificates) certFile() string { return filepath.Join(c.folder, "cert.pem") }
func (c *certificates) keyFile() string  { return filepath.Join(c.folder, "key.pem") }

func (c *certificates) caBase64() string { return base64.StdEncoding.EncodeToString(c.ca) }

// clientConfig are the TLS settings of a client that trusts this server alone.
func (c *certificates) clientConfig() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.ca)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// serverConfig are the TLS settings of a server that is no redis-server.
func (c *certificates) serverConfig() (*tls.Config, error) {
	pair, err := tls.X509KeyPair(c.cert, c.key)
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, err
}

// keptCertificates returns those in the folder, and makes new ones when there are none,
// or none that are good for long enough. They are kept for the clients that were told to
// trust them.
func keptCertificates(folder, name string) (*certificates, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	// Of two first runs at the same time one makes them.
	lock := flock.New(filepath.Join(folder, ".lock"))
	if err := lock.Lock(); err != nil {
		return nil, err
	}
	defer func() { _ = lock.Unlock() }()
	c := &certificates{folder: folder}
	if c.read() == nil && c.good() {
		return c, nil
	}
	if err := c.make(name); err != nil {
		return nil, fmt.Errorf("making certificates: %w", err)
	}
	return c, c.write()
}

func (c *certificates) read() (err error) {
	for file, text := range map[string]*[]byte{c.caFile(): &c.ca, c.certFile(): &c.cert, c.keyFile(): &c.key} {
		if *text, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	return nil
}

func (c *certificates) write() error {
	for file, text := range map[string][]byte{c.caFile(): c.ca, c.certFile(): c.cert, c.keyFile(): c.key} {
		if err := writeFile(file, text); err != nil {
			return err
		}
	}
	return nil
}

// good tells whether the certificate is for the key, was signed by the CA, and will
// live.
func (c *certificates) good() bool {
	pair, err := tls.X509KeyPair(c.cert, c.key)
	if err != nil {
		return false
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{
		Roots:       c.clientConfig().RootCAs,
		DNSName:     loopback,
		CurrentTime: time.Now().Add(certificateRest),
	})
	return err == nil
}

// make makes a CA and a certificate for the server of that name.
func (c *certificates) make(name string) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := certificateTemplate("redisbinding hosting: CA of " + name)
	ca.IsCA, ca.BasicConstraintsValid, ca.MaxPathLenZero = true, true, true
	ca.KeyUsage = x509.KeyUsageCertSign
	caBytes, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert := certificateTemplate(name)
	cert.KeyUsage = x509.KeyUsageDigitalSignature
	// Servers of a cluster, and replicas, are clients of each other.
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	cert.DNSNames = []string{"localhost", name}
	cert.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	certBytes, err := x509.CreateCertificate(rand.Reader, cert, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	c.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caBytes})
	c.cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certBytes})
	c.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes})
	return nil
}

func certificateTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(certificateLife),
	}
}
