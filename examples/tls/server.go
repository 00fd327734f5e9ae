package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// startRedis starts an embedded Redis that talks only to clients with a
// certificate of its own CA, and returns the metadata to connect to it.
func startRedis() (metadata map[string]string, stop func(), err error) {
	const name = "redis.example.com" // so serverName is needed: the address is 127.0.0.1

	ca, err := newCertificate("example CA", 0, nil)
	if err != nil {
		return nil, nil, err
	}
	server, err := newCertificate(name, x509.ExtKeyUsageServerAuth, ca)
	if err != nil {
		return nil, nil, err
	}
	client, err := newCertificate("example client", x509.ExtKeyUsageClientAuth, ca)
	if err != nil {
		return nil, nil, err
	}

	pair, err := tls.X509KeyPair(server.certPEM, server.keyPEM)
	if err != nil {
		return nil, nil, err
	}
	clientCAs := x509.NewCertPool()
	clientCAs.AddCert(ca.cert)
	redis, err := miniredis.RunTLS(&tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{pair},
		ClientCAs:    clientCAs,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	})
	if err != nil {
		return nil, nil, err
	}
	return map[string]string{
		"redisHost":  redis.Addr(),
		"enableTLS":  "true",
		"caCert":     string(ca.certPEM),
		"serverName": name,
		"clientCert": string(client.certPEM),
		"clientKey":  string(client.keyPEM),
	}, redis.Close, nil
}

type certificate struct {
	cert            *x509.Certificate
	key             *ecdsa.PrivateKey
	certPEM, keyPEM []byte
}

// newCertificate makes a certificate that the issuer signs; without an issuer
// it is a CA, which signs itself.
func newCertificate(name string, usage x509.ExtKeyUsage, issuer *certificate) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Minute), // for clocks that differ a little
		NotAfter:     time.Now().Add(time.Hour),
	}
	if issuer == nil {
		template.IsCA = true
		template.BasicConstraintsValid = true
		template.KeyUsage = x509.KeyUsageCertSign
		issuer = &certificate{cert: template, key: key}
	} else {
		template.DNSNames = []string{name}
		template.KeyUsage = x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	}

	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, &key.PublicKey, issuer.key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &certificate{
		cert:    cert,
		key:     key,
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}
