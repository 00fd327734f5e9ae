package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/redisbinding/redisbinding/internal/entratest"
)

// standIn is what there is of Azure here: Entra, and a Redis that takes its
// tokens. Unlike a cache in Azure this one does not hang up on a connection
// whose token has expired.
type standIn struct {
	authority  *entratest.Authority
	redis      *miniredis.Miniredis
	caCert     string
	credential azcore.TokenCredential // the service's
	used       atomic.Int64
}

// startAzure starts both; stop ends them.
func startAzure() (_ *standIn, err error) {
	azure := &standIn{}
	defer func() {
		if err != nil {
			azure.stop()
		}
	}()

	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	azure.caCert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
	azure.redis, err = miniredis.RunTLS(&tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
	})
	if err != nil {
		return nil, err
	}
	azure.redis.RequireAuth(rand.Text()) // nobody gets in without a user

	config := entratest.Config{
		TenantID:     "6f1d2a3b-0c4e-4d5f-8a9b-1c2d3e4f5a6b",
		ClientID:     "a1b2c3d4-e5f6-4789-8abc-def012345678",
		ClientSecret: rand.Text(),
		ObjectID:     "0b5e9d1c-7a42-4f6e-9c83-2d1f0a6b7e54",
		Lifetime:     2 * time.Second,
	}
	config.Issue = func(token string, _ time.Time) error {
		azure.redis.RequireUserAuth(config.ObjectID, token) // in place of the one before
		return nil
	}
	if azure.authority, err = entratest.Start(config); err != nil {
		return nil, err
	}
	azure.redis.Server().SetPreHook(azure.watch)

	// A private cloud needs this, too: an authority to ask in place of
	// Microsoft's, a client that trusts it, and not to ask Microsoft about it.
	// The binding asks again when that is due: azidentity's own retries would
	// only hold back the reason, for up to ten seconds.
	azure.credential, err = azidentity.NewClientSecretCredential(config.TenantID, config.ClientID, config.ClientSecret,
		&azidentity.ClientSecretCredentialOptions{
			ClientOptions: azcore.ClientOptions{
				Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: azure.authority.Host()},
				Transport: azure.authority.HTTPClient(),
				Retry:     policy.RetryOptions{MaxRetries: -1},
			},
			DisableInstanceDiscovery: true,
		})
	return azure, err
}

func (s *standIn) stop() {
	if s.redis != nil {
		s.redis.Close()
	}
	if s.authority != nil {
		s.authority.Close()
	}
}

// watch sees every command before Redis does, and notes which token a
// connection authenticates with.
func (s *standIn) watch(_ *server.Peer, command string, args ...string) (done bool) {
	if command == "HELLO" || command == "AUTH" {
		tokens := s.authority.Tokens()
		if n := len(tokens); n > 0 && slices.Contains(args, tokens[n-1].Value) {
			s.used.Store(int64(n))
		}
	}
	return false
}

// tokensUsed returns how many tokens there were up to the newest one that a
// connection has authenticated with.
func (s *standIn) tokensUsed() int { return int(s.used.Load()) }

// newCertificate makes a certificate for 127.0.0.1 that is its own CA.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore:    time.Now().Add(-time.Minute), // for clocks that differ a little
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
