package benchmarks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// target is the Redis the peers connect to, as metadata of the binding.
type target map[string]string

func (t target) addrs() []string { return strings.Split(t["redisHost"], ",") }

func (t target) cluster() bool { return t["redisType"] == "cluster" }

// tls returns how to connect, or nil without TLS.
func (t target) tls() (*tls.Config, error) {
	if t["enableTLS"] != "true" {
		return nil, nil
	}
	pair, err := tls.X509KeyPair([]byte(t["clientCert"]), []byte(t["clientKey"]))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(t["caCert"]))
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// fill stores the value at every key.
func (t target) fill(tb testing.TB, value []byte) {
	tb.Helper()
	config, err := t.tls()
	require.NoError(tb, err)
	client := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:         t.addrs(),
		IsClusterMode: t.cluster(),
		TLSConfig:     config,
		ReadTimeout:   time.Minute,
	})
	defer client.Close()

	ctx := context.Background()
	for batch := range slices.Chunk(keys, 500) {
		_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, key := range batch {
				pipe.Set(ctx, key, value, 0)
			}
			return nil
		})
		require.NoError(tb, err)
	}
}
