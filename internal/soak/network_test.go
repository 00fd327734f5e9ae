package soak

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/internal/history"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

const loopback = "127.0.0.1:0"

// cutting cuts all connections now and then.
func cutting(network *redistest.Network) func(context.Context, *scenario) string {
	return func(ctx context.Context, _ *scenario) string {
		cuts := repeat(ctx, func() {
			time.Sleep(100 * time.Millisecond)
			network.Cut()
		})
		return fmt.Sprintf("%d times", cuts)
	}
}

func testConnectionsAreCut(t *testing.T) {
	server := redistest.Start(t)
	network := redistest.StartNetwork(t, server, loopback)
	(&scenario{
		name:     "all connections cut every 100 ms; a third of the calls in a hurry",
		load:     load{ttl: hour, hurry: 5 * time.Millisecond},
		metadata: map[string]string{"redisHost": network.Addr},
		servers:  []*redistest.Server{server},
		sees:     []string{"connection lost", "hung up on", "deadline of the call"},
		fault:    cutting(network),
	}).run(t)
}

func testConnectionsAreCutWithRetries(t *testing.T) {
	server := redistest.Start(t)
	network := redistest.StartNetwork(t, server, loopback)
	(&scenario{
		name:     "all connections cut every 100 ms, redisMaxRetries 3",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": network.Addr, "redisMaxRetries": "3"},
		servers:  []*redistest.Server{server},
		sees:     []string{"connection lost", "hung up on"},
		fault:    cutting(network),
	}).run(t)
}

func testRepliesAreLost(t *testing.T) {
	server := redistest.Start(t)
	network := redistest.StartNetwork(t, server, loopback)
	(&scenario{
		name:     "1 % each of replies swallowed, requests or replies cut short, connections half closed",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": network.Addr},
		servers:  []*redistest.Server{server},
		sees:     []string{"connection lost", "hung up on"},
		fault: func(ctx context.Context, _ *scenario) string {
			network.Set(redistest.Faults{Swallow: 0.01, Truncate: 0.01, HalfClose: 0.01})
			<-ctx.Done()
			network.Set(redistest.Faults{})
			return ""
		},
	}).run(t)
}

func testBytesAreCorrupted(t *testing.T) {
	server, certificates := redistest.StartTLS(t, "--tls-auth-clients", "no")
	network := redistest.StartNetwork(t, server, loopback)
	(&scenario{
		name:     "a byte changed in 1 % of what is sent, TLS",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": network.Addr, "enableTLS": "true", "caCert": string(certificates.CA), "readTimeout": "300ms", "dialTimeout": "1s"},
		servers:  []*redistest.Server{server},
		sees:     []string{"connection lost", "hung up on", "TLS record", "time-out", "certificate", "dialTimeout", "deadline of the call"},
		fault: func(ctx context.Context, _ *scenario) string {
			network.Set(redistest.Faults{Corrupt: 0.01})
			<-ctx.Done()
			network.Set(redistest.Faults{})
			return ""
		},
	}).run(t)
}

func testCertificateIsReplaced(t *testing.T) {
	server, certificates := redistest.StartTLS(t, "--tls-auth-clients", "no")
	network := redistest.StartNetwork(t, server, loopback)
	(&scenario{
		name:     "TLS certificate renewed, connections cut; in between one of another CA",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": network.Addr, "enableTLS": "true", "caCert": string(certificates.CA)},
		servers:  []*redistest.Server{server},
		sees:     []string{"connection lost", "hung up on", "certificate"},
		must:     []string{"certificate"},
		fault: func(ctx context.Context, s *scenario) string {
			times := repeat(ctx, func() {
				server.SetCertificates(t, certificates.Renewed(t))
				network.Cut()
				s.load.back(time.Now())
				server.SetCertificates(t, redistest.NewCertificates(t))
				network.Cut()
				time.Sleep(100 * time.Millisecond)
				server.SetCertificates(t, certificates.Renewed(t))
				s.load.back(time.Now())
			})
			return fmt.Sprintf("%d times", times)
		},
	}).run(t)
}

func testNameChangesAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("where 127.0.0.2 is no address of the machine")
	}
	server := redistest.Start(t)
	names := serveNames(t)
	networks := []*redistest.Network{redistest.StartNetwork(t, server, "127.0.0.2:0")}
	_, port, err := net.SplitHostPort(networks[0].Addr)
	require.NoError(t, err)
	networks = append(networks, redistest.StartNetwork(t, server, "127.0.0.3:"+port))
	names.set("redis.test.", "127.0.0.2")
	networks[1].Dark(true)
	(&scenario{
		name:     "DNS name changes address, nobody at the old one",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": "redis.test.:" + port},
		servers:  []*redistest.Server{server},
		sees:     []string{"connection lost", "hung up on"},
		fault: func(ctx context.Context, s *scenario) string {
			now := 0
			changes := repeat(ctx, func() {
				networks[now].Dark(true)
				now = 1 - now
				networks[now].Dark(false)
				names.set("redis.test.", hostOf(networks[now].Addr))
				s.load.back(time.Now())
				time.Sleep(100 * time.Millisecond)
			})
			return fmt.Sprintf("%d times", changes)
		},
	}).run(t)
}

// A failover by DNS: the replica becomes the primary, and then the name leads to it.
// Connections to the old primary stay open, and answer writes with READONLY.
func testNameLeadsToAnotherPrimary(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("where 127.0.0.2 is no address of the machine")
	}
	servers := []*redistest.Server{redistest.Start(t), redistest.Start(t)}
	names := serveNames(t)
	networks := []*redistest.Network{redistest.StartNetwork(t, servers[0], "127.0.0.2:0")}
	_, port, err := net.SplitHostPort(networks[0].Addr)
	require.NoError(t, err)
	networks = append(networks, redistest.StartNetwork(t, servers[1], "127.0.0.3:"+port))
	names.set("primary.test.", "127.0.0.2")
	servers[1].Do(t, "REPLICAOF", servers[0].Host, servers[0].Port)
	replicates := func(replica *redistest.Server) {
		require.Eventually(t, func() bool {
			info, _ := replica.Do(t, "INFO", "replication").(string)
			return strings.Contains(info, "master_link_status:up")
		}, 30*time.Second, time.Millisecond)
	}
	replicates(servers[1])
	(&scenario{
		name:     "DNS name leads to another primary, connections to the old one stay open",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": "primary.test.:" + port},
		servers:  servers,
		keeps:    history.Forgetful, // the old primary answers gets until its connections are given up
		sees:     []string{"READONLY", "UNBLOCKED", "connection lost"},
		must:     []string{"READONLY"},
		fault: func(ctx context.Context, s *scenario) string {
			now, longest := 0, time.Duration(0)
			changes := repeat(ctx, func() {
				before := servers[now]
				now = 1 - now
				servers[now].Do(t, "REPLICAOF", "NO", "ONE")
				before.Do(t, "REPLICAOF", servers[now].Host, servers[now].Port)
				names.set("primary.test.", hostOf(networks[now].Addr))
				changed := time.Now()
				for _, binding := range []*redisbinding.RedisBinding{s.load.binding, s.load.plain} {
					writesAgain(t, binding)
				}
				longest = max(longest, time.Since(changed))
				s.load.back(time.Now())
				replicates(before)
				time.Sleep(100 * time.Millisecond)
			})
			return fmt.Sprintf("%d times; batches with writes worked again at most %d ms after the name had changed", changes, longest.Milliseconds())
		},
	}).run(t)
}

// writesAgain waits until a batch of a get and a create works on every connection.
func writesAgain(t *testing.T, binding *redisbinding.RedisBinding) {
	t.Helper()
	metadata := map[string]string{"key": "again", "ttlInSeconds": hour}
	reqs := []*redisbinding.InvokeRequest{{Operation: redisbinding.GetOperation, Metadata: metadata}, {Operation: redisbinding.CreateOperation, Metadata: metadata}}
	for row := 0; row < poolSize; row++ {
		if _, err := binding.InvokeBatch(t.Context(), reqs); err != nil {
			row = -1
		}
		if t.Failed() {
			return
		}
	}
}

func testSlowNetwork(t *testing.T) {
	server := redistest.Start(t)
	(&scenario{
		name:     "200 ms away, 1 % of packets lost; a third of the calls in a hurry",
		load:     load{ttl: hour, hurry: time.Second},
		metadata: map[string]string{"redisHost": redistest.StartLossy(t, server, 200*time.Millisecond, 0.01), "readTimeout": "5s"},
		servers:  []*redistest.Server{server},
		sees:     []string{"deadline of the call"},
		fault: func(ctx context.Context, _ *scenario) string {
			<-ctx.Done()
			return ""
		},
	}).run(t)
}
