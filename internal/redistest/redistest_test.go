package redistest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

// connect returns a client made from nothing but the metadata of the set-up.
func connect(t *testing.T, s *Setup) redis.UniversalClient {
	t.Helper()
	o := &redis.UniversalOptions{
		Addrs:            strings.Split(s.Metadata["redisHost"], ","),
		Username:         s.Metadata["redisUsername"],
		Password:         s.Metadata["redisPassword"],
		MasterName:       s.Metadata["sentinelMasterName"],
		SentinelPassword: s.Metadata["sentinelPassword"],
		IsClusterMode:    s.Metadata["redisType"] == "cluster",
		DisableIdentity:  true,
	}
	if s.Metadata["enableTLS"] == "true" {
		pair, err := tls.X509KeyPair([]byte(s.Metadata["clientCert"]), []byte(s.Metadata["clientKey"]))
		require.NoError(t, err)
		roots := x509.NewCertPool()
		require.True(t, roots.AppendCertsFromPEM([]byte(s.Metadata["caCert"])))
		o.TLSConfig = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
	}
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func TestSetups(t *testing.T) {
	t.Parallel()
	var names []string
	for _, s := range Setups(t) {
		names = append(names, s.Name)
		t.Run(s.Name, func(t *testing.T) {
			client := connect(t, s)
			for _, key := range []string{"a", "b", "c", "d"} {
				require.NoError(t, client.Set(t.Context(), key, "1", 0).Err())
				value, err := client.Get(t.Context(), key).Result()
				require.NoError(t, err)
				assert.Equal(t, "1", value)
			}
			s.FlushAll(t)
			assert.ErrorIs(t, client.Get(t.Context(), "a").Err(), redis.Nil)
		})
	}
	want := []string{"plain"}
	if supports(versionOfGetDel) {
		want = append(want, "acl")
	}
	if supports(versionOfACL) {
		want = append(want, "tls")
	}
	assert.Equal(t, append(want, "sentinel", "cluster"), names)
}

func TestSetupsAreReused(t *testing.T) {
	t.Parallel()
	p := &pool{name: "plain", start: startPlain}
	t.Cleanup(p.stop)
	var first *Setup
	t.Run("one test, one set-up", func(t *testing.T) {
		first = p.get(t)
		first.Metadata["redisDB"] = "1"
		assert.Equal(t, map[string]string{"redisHost": first.Servers[0].Addr}, p.get(t).Metadata)
		first.Servers[0].Do(t, "set", "key", "value")
	})
	t.Run("the next test gets it empty", func(t *testing.T) {
		assert.Equal(t, first.Servers[0], p.get(t).Servers[0])
		assert.Nil(t, first.Servers[0].Do(t, "get", "key"))
	})
	t.Run("two tests at a time have two", func(t *testing.T) {
		p.get(t)
		other, err := p.take(namedTest{t, "TestOther"})
		require.NoError(t, err)
		assert.NotEqual(t, first.Servers[0].Addr, other.setup.Servers[0].Addr)
	})
}

// namedTest is a test with another name.
type namedTest struct {
	*testing.T
	name string
}

func (n namedTest) Name() string { return n.name }

func TestFields(t *testing.T) {
	t.Parallel()
	s := &Setup{Metadata: map[string]string{"redisHost": "h", "redisPassword": "p"}}
	assert.Equal(t, map[string]string{"redisHost": "h", "redisDB": "1"}, s.Fields("redisDB", "1", "redisPassword", ""))
	assert.Equal(t, map[string]string{"redisHost": "h", "redisPassword": "p"}, s.Metadata)
}

func TestACLUserMayDoLittle(t *testing.T) {
	t.Parallel()
	client := connect(t, ACL(t))
	require.NoError(t, client.Eval(t.Context(), `return redis.call("GET", KEYS[1]) or "none"`, []string{"none"}).Err())
	assert.ErrorContains(t, client.FlushAll(t.Context()).Err(), "NOPERM")
	assert.ErrorContains(t, client.Info(t.Context()).Err(), "NOPERM")
}

func TestStart(t *testing.T) {
	t.Parallel()
	s := Start(t, "--requirepass", "a b", "--rename-command", "GETDEL", "",
		"--user", "app", "on", ">pw", "~*", "-@all", "+get")

	assert.ErrorContains(t, s.Client().GetDel(t.Context(), "key").Err(), "unknown command")
	assert.Nil(t, s.Do(t, "GET", "key"))
	assert.Equal(t, "OK", s.Do(t, "SET", "key", "value"))
	assert.Equal(t, "value", s.Do(t, "GET", "key"))
	assert.Contains(t, s.Log(), "Ready to accept connections")

	app := redis.NewClient(&redis.Options{Addr: s.Addr, Username: "app", Password: "pw", DisableIdentity: true})
	defer app.Close()
	assert.NoError(t, app.Get(t.Context(), "key").Err())
	assert.ErrorContains(t, app.Set(t.Context(), "key", "value", 0).Err(), "NOPERM")
}

func TestStartReportsTheLog(t *testing.T) {
	t.Parallel()
	requirePrograms(t)
	_, err := startServer(t.TempDir(), options{args: []string{"--no-such-directive", "1"}})
	assert.ErrorContains(t, err, "redis-server has ended")
	assert.ErrorContains(t, err, "Bad directive or wrong number of arguments")
}

func TestLaunchOnTakenPort(t *testing.T) {
	t.Parallel()
	taken := Start(t)
	s := Start(t)
	s.Kill()
	require.NoError(t, writeConfig(s.dir, taken.Port, options{}))
	assert.ErrorIs(t, s.launch(), errPortTaken)
}

func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	s := Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s.Do(t, "SET", "key", "value")

	pid := s.process.pid
	s.Kill()
	assert.False(t, alive(pid))
	assert.Error(t, s.Client().Ping(t.Context()).Err())
	s.Kill() // does nothing

	s.Restart(t)
	assert.Equal(t, "value", s.Do(t, "GET", "key"))
	s.Restart(t) // while it runs
	assert.Equal(t, "value", s.Do(t, "GET", "key"))
}

func TestKillAfterServerEndedByItself(t *testing.T) {
	t.Parallel()
	s := Start(t)
	pid := s.process.pid
	s.Client().ShutdownNoSave(t.Context())
	require.Eventually(t, func() bool { return !alive(pid) }, 5*time.Second, pollInterval)
	require.NoError(t, s.process.guard.Wait(), "the guard ends with the server")
	s.Restart(t)
	assert.Equal(t, "PONG", s.Do(t, "PING"))
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := Start(t)
	client := redis.NewClient(&redis.Options{
		Addr: s.Addr, DisableIdentity: true, MaxRetries: -1, ReadTimeout: 50 * time.Millisecond,
	})
	defer client.Close()

	s.Pause()
	assert.ErrorContains(t, client.Ping(t.Context()).Err(), "timeout")
	s.Resume()
	assert.NoError(t, s.Client().Ping(t.Context()).Err())

	s.Pause()
	s.Kill()
	assert.Panics(t, s.Pause)
}

func TestStartTLS(t *testing.T) {
	t.Parallel()
	s, certificates := StartTLS(t, "--tls-auth-clients", "no")
	assert.Equal(t, "PONG", s.Do(t, "PING"))

	for _, test := range []struct {
		name, host string
		ca         []byte
		wantErr    string
	}{
		{"address", "127.0.0.1", certificates.CA, ""},
		{"name", "localhost", certificates.CA, ""},
		{"unrelated CA", "127.0.0.1", certificates.OtherCA, "certificate signed by unknown authority"},
		{"other name", "example.com", certificates.CA, "certificate is valid for localhost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			roots := x509.NewCertPool()
			require.True(t, roots.AppendCertsFromPEM(test.ca))
			conn, err := tls.Dial("tcp", s.Addr, &tls.Config{RootCAs: roots, ServerName: test.host})
			if test.wantErr != "" {
				assert.ErrorContains(t, err, test.wantErr)
				return
			}
			require.NoError(t, err)
			assert.NoError(t, conn.Close())
		})
	}
}

func TestStartSentinelFailsOver(t *testing.T) {
	t.Parallel()
	s := StartSentinel(t)
	client := connect(t, s)
	s.Servers[0].Kill()
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NoError(c, client.Set(t.Context(), "key", "value", 0).Err())
	}, readyTimeout, 10*time.Millisecond)
}

func TestStartClusterFailsOver(t *testing.T) {
	t.Parallel()
	s := StartCluster(t)
	s.Servers[0].Kill()
	assert.NoError(t, poll(func() error {
		for _, replica := range s.Servers[3:] {
			role, err := replica.Client().Do(context.Background(), "ROLE").Slice()
			if err == nil && role[0] == "master" {
				return nil
			}
		}
		return assert.AnError
	}))
}
