package redistest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const oid = "11112222-3333-4444-5555-666677778888"

// tokenOptions are what it takes to connect with a token.
func tokenOptions(t *testing.T, e *Entra, token string) *redis.UniversalOptions {
	t.Helper()
	require.Equal(t, "true", e.Metadata["enableTLS"])
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM([]byte(e.Metadata["caCert"])))
	return &redis.UniversalOptions{
		Addrs:                    strings.Split(e.Metadata["redisHost"], ","),
		Username:                 oid,
		Password:                 token,
		DisableIdentity:          true,
		MaxRetries:               -1,
		DialerRetries:            1,
		TLSConfig:                &tls.Config{RootCAs: roots},
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// connectWith returns a client that logs in with the token.
func connectWith(t *testing.T, e *Entra, token string) *redis.Client {
	t.Helper()
	client := redis.NewClient(tokenOptions(t, e, token).Simple())
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

// connectClusterWith does the same with a cluster, and collects the addresses
// of the nodes that the client connects to.
func connectClusterWith(t *testing.T, e *Entra, token string) (client *redis.ClusterClient, dialed *sync.Map) {
	t.Helper()
	require.Equal(t, "cluster", e.Metadata["redisType"])
	o := tokenOptions(t, e, token).Cluster()
	o.DisableRoutingPolicies = true
	dialer := &tls.Dialer{Config: o.TLSConfig}
	dialed = new(sync.Map)
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialed.Store(addr, nil)
		return dialer.DialContext(ctx, network, addr)
	}
	client = redis.NewClusterClient(o)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client, dialed
}

// connected returns the connections that the servers have, and that are
// described by the word in a CLIENT LIST.
func connected(t *testing.T, servers []*Server, word string) []string {
	t.Helper()
	var conns []string
	for _, server := range servers {
		list, _ := server.Do(t, "CLIENT", "LIST").(string)
		for line := range strings.Lines(list) {
			if words := strings.Fields(line); slices.Contains(words, word) {
				conns = append(conns, server.Addr+" "+words[0]) // its id
			}
		}
	}
	return conns
}

func assertConnections(t *testing.T, e *Entra, want int) {
	t.Helper()
	require.Eventually(t, func() bool { return e.Connections() == want }, readyTimeout, pollInterval,
		"%d connections are open", want)
}

func TestEntra(t *testing.T) {
	t.Parallel()
	e := StartEntra(t, oid)
	assert.ErrorContains(t, connectWith(t, e, "none").Ping(t.Context()).Err(), "WRONGPASS")

	require.NoError(t, e.AddToken("first"))
	client := connectWith(t, e, "first")
	require.NoError(t, client.Set(t.Context(), "key", "value", 0).Err())
	value, err := client.Eval(t.Context(), `return redis.call("GET", KEYS[1])`, []string{"key"}).Result()
	require.NoError(t, err)
	assert.Equal(t, "value", value)
	assert.Equal(t, "value", e.Servers[0].Do(t, "GET", "key"))
	assert.Equal(t, map[string]int{"first": 1}, e.Authentications(), "nothing that was refused")

	require.NoError(t, e.AddToken("second"))
	require.NoError(t, connectWith(t, e, "second").Ping(t.Context()).Err())
	require.NoError(t, connectWith(t, e, "first").Ping(t.Context()).Err(), "is valid still")

	require.NoError(t, e.RemoveToken("first"))
	assert.ErrorContains(t, connectWith(t, e, "first").Ping(t.Context()).Err(), "WRONGPASS")
	require.NoError(t, connectWith(t, e, "second").Ping(t.Context()).Err())
	assert.Equal(t, map[string]int{"first": 2, "second": 2}, e.Authentications())

	assert.Error(t, e.RemoveToken("first"), "twice")
}

func TestEntraNeedsToken(t *testing.T) {
	t.Parallel()
	e := StartEntra(t, oid)
	o := tokenOptions(t, e, "").Simple()
	o.Username = ""
	client := redis.NewClient(o)
	defer client.Close()
	assert.ErrorContains(t, client.Get(t.Context(), "key").Err(), "NOAUTH")

	o = tokenOptions(t, e, "").Simple()
	o.Addr = e.Servers[0].Addr
	direct := redis.NewClient(o)
	defer direct.Close()
	err := direct.Ping(t.Context()).Err()
	require.Error(t, err, "past the proxy")
	var reply redis.Error
	assert.NotErrorAs(t, err, &reply)
}

func TestEntraACLLog(t *testing.T) {
	t.Parallel()
	e := StartEntra(t, oid)
	require.NoError(t, e.AddToken("token"))
	client := connectWith(t, e, "token")
	require.NoError(t, client.Set(t.Context(), "key", "value", 0).Err())
	assert.Empty(t, e.ACLLog(t))

	assert.ErrorContains(t, client.FlushAll(t.Context()).Err(), "NOPERM")
	assert.Equal(t, []string{e.Servers[0].Addr + ": refused " + oid + " 1 times: command flushall"}, e.ACLLog(t))

	e.Servers[0].Do(t, "ACL", "LOG", "RESET")
	assert.ErrorContains(t, connectWith(t, e, "other").Ping(t.Context()).Err(), "WRONGPASS")
	log := e.ACLLog(t)
	require.NotEmpty(t, log)
	assert.Contains(t, log[0], "refused "+oid)
	assert.Contains(t, log[0], "auth ")
	assert.NotContains(t, log[0], "other")
}

func TestEntraCuts(t *testing.T) {
	t.Parallel()
	e := StartEntra(t, oid)
	require.NoError(t, e.AddToken("old"))
	client := connectWith(t, e, "old")
	stays, goes := client.Conn(), client.Conn()
	defer stays.Close()
	defer goes.Close()
	require.NoError(t, stays.Ping(t.Context()).Err())
	before := connected(t, e.Servers, "user="+oid)
	require.NoError(t, goes.Ping(t.Context()).Err())
	require.Len(t, connected(t, e.Servers, "user="+oid), 2)
	assert.Equal(t, 2, e.Connections())

	require.NoError(t, e.AddToken("new"))
	require.NoError(t, stays.AuthACL(t.Context(), oid, "new").Err())
	// What is refused changes nothing.
	require.ErrorContains(t, stays.AuthACL(t.Context(), oid, "none").Err(), "WRONGPASS")
	require.ErrorContains(t, goes.AuthACL(t.Context(), oid, "none").Err(), "WRONGPASS")
	assert.Zero(t, e.Cut())

	require.NoError(t, e.RemoveToken("old"))
	assert.Equal(t, 1, e.Cut())
	assert.Equal(t, before, connected(t, e.Servers, "user="+oid), "the other one is gone")
	assertConnections(t, e, 1)
	require.NoError(t, stays.Ping(t.Context()).Err())
	err := goes.Ping(t.Context()).Err()
	require.Error(t, err)
	var reply redis.Error
	assert.False(t, errors.As(err, &reply), "%v: lost, not refused", err)
	assert.Equal(t, map[string]int{"old": 2, "new": 1}, e.Authentications(), "nobody has come back")

	require.NoError(t, e.RemoveToken("new"))
	assert.Equal(t, 2, e.Cut())
	assertConnections(t, e, 0)
}

func TestEntraPassesAnything(t *testing.T) {
	t.Parallel()
	e := StartEntra(t, oid)
	require.NoError(t, e.AddToken("token"))
	require.NoError(t, e.AddToken("newer"))
	client := connectWith(t, e, "token").Conn()
	defer client.Close()

	// The value is made of what looks like a login.
	big := strings.Repeat(request("AUTH", oid, "newer"), 5<<20/len(request("AUTH", oid, "newer")))
	require.NoError(t, client.Set(t.Context(), "big", big, 0).Err())
	value, err := client.Get(t.Context(), "big").Result()
	require.NoError(t, err)
	assert.True(t, value == big, "%d bytes have become %d", len(big), len(value))
	assert.Equal(t, map[string]int{"token": 1}, e.Authentications())

	_, err = client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range 1000 {
			p.Incr(t.Context(), "number")
			if i == 500 {
				p.Do(t.Context(), "AUTH", oid, "newer")
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, "1000", e.Servers[0].Do(t, "GET", "number"))
	assert.Equal(t, map[string]int{"token": 1, "newer": 1}, e.Authentications())
}

// Tokens come from the handlers of an HTTP server, while clients connect.
func TestEntraFromManyGoroutines(t *testing.T) {
	t.Parallel()
	e := StartEntra(t, oid)
	var done sync.WaitGroup
	for i := range 4 {
		done.Go(func() {
			for j := range 5 {
				token := fmt.Sprint(i, j)
				if !assert.NoError(t, e.AddToken(token)) {
					return
				}
				client := redis.NewClient(tokenOptions(t, e, token).Simple())
				assert.NoError(t, client.Ping(t.Context()).Err())
				assert.NoError(t, e.RemoveToken(token))
				assert.NoError(t, client.Close())
			}
		})
	}
	done.Wait()
	assert.Equal(t, 20, e.Cut())
	assert.Len(t, e.Authentications(), 20)
	assert.Empty(t, e.ACLLog(t))
	assertConnections(t, e, 0)
}

func TestEntraServerKilled(t *testing.T) {
	t.Parallel()
	e := StartEntra(t, oid)
	require.NoError(t, e.AddToken("old"))
	require.NoError(t, connectWith(t, e, "old").Ping(t.Context()).Err())

	e.Servers[0].Kill()
	assert.Error(t, connectWith(t, e, "old").Ping(t.Context()).Err())
	assert.NoError(t, e.AddToken("new"))
	assert.NoError(t, e.RemoveToken("old"))
	assert.Zero(t, e.Cut())
	assert.Empty(t, e.ACLLog(t))

	e.Servers[0].Restart(t)
	assert.ErrorContains(t, connectWith(t, e, "new").Ping(t.Context()).Err(), "WRONGPASS")
	assert.NoError(t, e.AddToken("newer"))
	assert.NoError(t, connectWith(t, e, "new").Ping(t.Context()).Err())
}

func TestEntraErrorsHoldNoToken(t *testing.T) {
	t.Parallel()
	e := StartEntra(t, oid)
	// The server repeats what it does not understand.
	e.Servers[0].options.args = []string{"--rename-command", "ACL", ""}
	e.Servers[0].Restart(t)
	for _, err := range []error{e.AddToken("secret"), e.RemoveToken("secret"), e.RemoveToken("secret")} {
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "secret")
	}
	assert.ErrorContains(t, e.AddToken("secret"), "with args beginning with: ")
}

func TestEntraCluster(t *testing.T) {
	t.Parallel()
	e := StartEntraCluster(t, oid)
	primaries := e.Servers[:3]
	assert.Zero(t, e.Connections(), "of clients")
	require.NoError(t, e.AddToken("old"))

	client, dialed := connectClusterWith(t, e, "old")
	const keys = 100
	for i := range keys {
		require.NoError(t, client.Set(t.Context(), fmt.Sprint(i), i, 0).Err())
	}
	for i := range keys {
		value, err := client.Get(t.Context(), fmt.Sprint(i)).Int()
		require.NoError(t, err)
		assert.Equal(t, i, value)
	}
	var stored int64
	for _, primary := range primaries {
		size, _ := primary.Do(t, "DBSIZE").(int64)
		assert.Positive(t, size)
		stored += size
	}
	assert.EqualValues(t, keys, stored)
	for _, server := range e.Servers {
		_, found := dialed.Load(server.Addr)
		assert.False(t, found, "past the proxy")
	}
	open := e.Connections()
	assert.GreaterOrEqual(t, open, 3)
	assert.Equal(t, map[string]int{"old": open}, e.Authentications())

	replicas := connected(t, primaries, "flags=S")
	require.Len(t, replicas, 3)
	require.NoError(t, e.AddToken("new"))
	require.NoError(t, e.RemoveToken("old"))
	assert.Equal(t, open, e.Cut())
	assert.Empty(t, connected(t, e.Servers, "user="+oid))
	assert.Equal(t, replicas, connected(t, primaries, "flags=S"), "replicas must not be cut")
	assertConnections(t, e, 0)

	client, _ = connectClusterWith(t, e, "new")
	require.NoError(t, client.Get(t.Context(), "1").Err())
	assert.Empty(t, e.ACLLog(t), "a cluster client needs no other command")
	assert.ErrorContains(t, client.Command(t.Context()).Err(), "NOPERM")
	assert.Len(t, e.ACLLog(t), 1)

	e.Servers[0].Kill()
	require.NoError(t, e.AddToken("newest"))
	for _, server := range e.Servers[1:] {
		require.NoError(t, waitForFailover(server))
	}
	client, _ = connectClusterWith(t, e, "newest")
	for i := range keys {
		require.NoError(t, client.Get(t.Context(), fmt.Sprint(i)).Err(), "the replica that took over knows the token")
	}
}

// waitForFailover waits until the node knows that a primary has failed, and of
// another that has taken over.
func waitForFailover(node *Server) error {
	ctx := context.Background()
	return poll(func() error {
		nodes, err := node.Client().ClusterNodes(ctx).Result()
		if err != nil {
			return err
		}
		info, err := node.Client().ClusterInfo(ctx).Result()
		if err == nil && (!strings.Contains(nodes, "master,fail ") || !strings.Contains(info, "cluster_state:ok")) {
			err = fmt.Errorf("a node does not know of a failover:\n%s%s", info, nodes)
		}
		return err
	})
}

func TestRequireTLS(t *testing.T) {
	bin := t.TempDir()
	_, err := serverVersion() // of the real server
	require.NoError(t, err)
	script := "#!/bin/sh\necho 'Bad directive or wrong number of arguments'\nexit 1\n"
	for _, name := range []string{"redis-server", "redis-cli", "sh"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700))
	}
	t.Setenv("PATH", bin)
	t.Setenv(ProgramVariable, "")
	t.Setenv("CI", "")
	var skipped bool
	t.Run("without", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		requireTLS(t)
	})
	assert.True(t, skipped)
}
