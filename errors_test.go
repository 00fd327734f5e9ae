package redisbinding

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redact"
	"github.com/redisbinding/redisbinding/internal/redistest"
)

// assertNoSecret fails when any way of printing one of the values shows the secret.
func assertNoSecret(t *testing.T, secret string, values ...any) {
	t.Helper()
	for _, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
			assert.NotContains(t, fmt.Sprintf(verb, value), secret, "%T printed with %s", value, verb)
		}
		text, _ := json.Marshal(value)
		assert.NotContains(t, string(text), secret, "%T as JSON", value)
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("", "value", value)
		slog.New(slog.NewTextHandler(&log, nil)).Info("", "value", value)
		assert.NotContains(t, log.String(), secret, "%T logged", value)
		if err, ok := value.(error); ok {
			assertNoSecretInChain(t, secret, err)
		}
	}
}

// assertNoSecretInChain looks at what err wraps, too: callers print that as well.
func assertNoSecretInChain(t *testing.T, secret string, err error) {
	t.Helper()
	switch wrapped := err.(type) {
	case interface{ Unwrap() error }:
		if inner := wrapped.Unwrap(); inner != nil {
			assertNoSecret(t, secret, inner)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range wrapped.Unwrap() {
			assertNoSecret(t, secret, inner)
		}
	}
}

func TestRequestErrors(t *testing.T) {
	t.Parallel()
	fake := miniredis.RunT(t)
	binding := newBinding(t, map[string]string{"redisHost": fake.Addr()})
	for _, test := range []struct {
		req  *InvokeRequest
		is   error
		want string
	}{
		{nil, nil, "redisbinding: the request is nil"},
		{&InvokeRequest{}, ErrUnsupportedOperation,
			`redisbinding: unsupported operation: "" (supported: create, get, delete, increment)`},
		{request("list", "k"), ErrUnsupportedOperation,
			`redisbinding: unsupported operation: "list" (supported: create, get, delete, increment)`},
		{request("Get", "k"), ErrUnsupportedOperation,
			`redisbinding: unsupported operation: "Get" (supported: create, get, delete, increment)`},
		{&InvokeRequest{Operation: GetOperation}, ErrMissingKey, `redisbinding: request metadata "key" is missing or empty`},
		{request(DeleteOperation, ""), ErrMissingKey, `redisbinding: request metadata "key" is missing or empty`},
		{request(GetOperation, "k", "delete", "perhaps"), nil,
			`redisbinding: request metadata delete: takes true or false (or 1/0, yes/no, on/off, y/n, t/f), got "perhaps"`},
		{request(CreateOperation, "k", "ttlInSeconds", "0"), nil,
			`redisbinding: request metadata ttlInSeconds: takes a whole number of seconds from 1 to 9223372036, or a duration of at least 1ms such as "90s", got "0"`},
		{request(CreateOperation, "k", "TTLINSECONDS", "1", "ttlinseconds", "2"), nil,
			"redisbinding: request metadata ttlInSeconds: is given twice, with different values"},
		{request(GetOperation, "k", "DELETE", "1", "Delete", "0"), nil,
			"redisbinding: request metadata delete: is given twice, with different values"},
		{&InvokeRequest{Operation: GetOperation, Metadata: map[string]string{"KEY": "a", "Key": "b"}}, nil,
			"redisbinding: request metadata key: is given twice, with different values"},
	} {
		resp, err := binding.Invoke(t.Context(), test.req)
		assert.Nil(t, resp)
		assert.EqualError(t, err, test.want)
		if test.is != nil {
			assert.ErrorIs(t, err, test.is)
			continue
		}
		var bad *RequestError
		assert.ErrorAs(t, err, &bad)
	}
	assert.Empty(t, fake.Keys(), "nothing was written")
}

func TestServerErrorsPassThrough(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	binding := newBinding(t, map[string]string{"redisHost": srv.Addr})
	srv.Do(t, "rpush", "list", "a")
	srv.Do(t, "set", "text", "abc")
	srv.Do(t, "set", "full", "9223372036854775807")
	for _, test := range []struct {
		req  *InvokeRequest
		want string
	}{
		{request(GetOperation, "list"), "redisbinding: get: WRONGTYPE Operation against a key holding the wrong kind of value"},
		{request(GetOperation, "list", "delete", "true"), "redisbinding: get: WRONGTYPE Operation against a key holding the wrong kind of value"},
		{request(IncrementOperation, "list"), "redisbinding: increment: WRONGTYPE Operation against a key holding the wrong kind of value"},
		{request(IncrementOperation, "text"), "redisbinding: increment: ERR value is not an integer or out of range"},
		{request(IncrementOperation, "full"), "redisbinding: increment: ERR increment or decrement would overflow"},
		{request(IncrementOperation, "text", "ttlInSeconds", "5"), "redisbinding: increment: ERR value is not an integer or out of range"},
	} {
		resp, err := binding.Invoke(t.Context(), test.req)
		assert.Nil(t, resp)
		require.Error(t, err)
		assert.True(t, strings.HasPrefix(err.Error(), test.want), err.Error())
		var reply redis.Error
		assert.ErrorAs(t, err, &reply)
	}
	assert.EqualValues(t, -1, srv.Do(t, "pttl", "text"), "a failing increment sets no TTL")

	srv.Do(t, "config", "set", "maxmemory", "1")
	_, err := binding.Invoke(t.Context(), request(CreateOperation, "k"))
	assert.ErrorContains(t, err, "redisbinding: create: OOM command not allowed")
}

// What goes wrong at the start must name the address and what to check.
func TestStartErrors(t *testing.T) {
	t.Parallel()
	acl, secure, cluster, sentinel := redistest.ACL(t), redistest.TLS(t), redistest.Cluster(t), redistest.Sentinel(t)
	plain := redistest.Plain(t)
	certs := redistest.NewCertificates(t)
	for _, test := range []struct {
		name     string
		metadata map[string]string
		want     []string
		is       error
	}{
		{"refused", map[string]string{"redisHost": "127.0.0.1:1"}, []string{"connect to 127.0.0.1:1: ", "connection refused"}, syscall.ECONNREFUSED},
		{"cluster refused", map[string]string{"redisHost": "127.0.0.1:1,127.0.0.1:2", "redisType": "cluster"},
			[]string{"connect to 127.0.0.1:1,127.0.0.1:2: ", "connection refused"}, syscall.ECONNREFUSED},
		{"sentinels refused", map[string]string{"redisHost": "127.0.0.1:1,127.0.0.1:2", "failover": "true", "sentinelMasterName": "m"},
			[]string{"connect to 127.0.0.1:1,127.0.0.1:2: ", "sentinel 127.0.0.1:1: dial", "sentinel 127.0.0.1:2: dial"},
			syscall.ECONNREFUSED},
		{"no such host", map[string]string{"redisHost": "redis.invalid"}, []string{"connect to redis.invalid:6379: ", "lookup redis.invalid"}, nil},
		{"no password", acl.Fields("redisUsername", "", "redisPassword", ""), []string{"NOAUTH", "(set redisPassword, and redisUsername for an ACL user)"}, nil},
		{"wrong password", acl.Fields("redisPassword", "hunter2"), []string{"WRONGPASS", "(check redisUsername and redisPassword"}, nil},
		{"wrong sentinel password", sentinel.Fields("sentinelPassword", "hunter2"), []string{"WRONGPASS", "sentinelPassword"}, nil},
		{"wrong primary password", sentinel.Fields("redisPassword", "hunter2"), []string{"WRONGPASS"}, nil},
		{"wrong sentinelMasterName", sentinel.Fields("sentinelMasterName", "nobody"), []string{`does not know "nobody"`, "(check sentinelMasterName)"}, redis.Nil},
		{"no TLS to TLS", secure.Fields("enableTLS", "", "caCert", "", "clientCert", "", "clientKey", "", "serverName", ""),
			[]string{"set enableTLS to true"}, nil},
		{"TLS to no TLS", plain.Fields("enableTLS", "true", "dialTimeout", "200ms"), []string{"whether the server speaks TLS there"}, nil},
		{"unknown CA", secure.Fields("caCert", string(certs.OtherCA)), []string{"set caCert to the CA that signed the server's certificate"}, nil},
		{"wrong name", secure.Fields("serverName", "redis.example"), []string{"set serverName to a name in the server's certificate"}, nil},
		{"no client certificate", secure.Fields("clientCert", "", "clientKey", ""), []string{"clientCert and clientKey)"}, nil},
		{"no cluster", plain.Fields("redisType", "cluster"), []string{"cluster support disabled", "set redisType to node"}, nil},
		{"no sentinel", plain.Fields("failover", "true", "sentinelMasterName", "m"), []string{"is the server a sentinel?"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			binding, err := NewRedisBinding(test.metadata)
			require.Error(t, err)
			assert.Nil(t, binding)
			assert.True(t, strings.HasPrefix(err.Error(), "redisbinding: connect to "), err.Error())
			for _, part := range test.want {
				assert.ErrorContains(t, err, part)
			}
			if test.is != nil {
				assert.ErrorIs(t, err, test.is)
			}
			assertNoSecret(t, "hunter2", err)
		})
	}
	t.Run("node where the server is a cluster", func(t *testing.T) {
		// PING works there, so it is the first key of another node that shows it.
		binding := newBinding(t, cluster.Fields("redisType", "", "redisHost", cluster.Servers[0].Addr))
		var err error
		for i := 0; err == nil && i < 100; i++ {
			_, err = binding.Invoke(t.Context(), request(GetOperation, fmt.Sprint("k", i)))
		}
		assert.ErrorContains(t, err, "(the server is a cluster node: set redisType to cluster)")
	})
}

// What may work later is ErrUnavailable, and nothing else is.
func TestErrUnavailable(t *testing.T) {
	t.Parallel()
	fake := miniredis.RunT(t)
	metadata := map[string]string{"redisHost": fake.Addr()}
	binding := newBinding(t, metadata)
	get := func() error {
		_, err := binding.Invoke(t.Context(), request(GetOperation, "k"))
		return err
	}
	for reply, unavailable := range map[string]bool{
		"LOADING Redis is loading the dataset in memory": true, "READONLY You can't write against a read only replica.": true,
		"CLUSTERDOWN The cluster is down": true, "TRYAGAIN Multiple keys request during rehashing of slot": true,
		"MASTERDOWN Link with MASTER is down": true, "NOREPLICAS Not enough good replicas to write.": true,
		"ERR max number of clients reached": true, "WRONGTYPE Operation against a key": false, "NOAUTH Authentication required.": false,
		"OOM command not allowed": false, "NOPERM this user has no permissions": false,
	} {
		fake.SetError(reply)
		err := get()
		require.ErrorContains(t, err, reply)
		assert.Equal(t, unavailable, errors.Is(err, ErrUnavailable), reply)
		var isReply redis.Error
		assert.ErrorAs(t, err, &isReply)
	}
	fake.SetError("")
	_, err := binding.Invoke(t.Context(), request(GetOperation, ""))
	assert.NotErrorIs(t, err, ErrUnavailable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = binding.Invoke(ctx, request(GetOperation, "k"))
	assert.NotErrorIs(t, err, ErrUnavailable)

	fake.Close()
	err = get()
	assert.ErrorIs(t, err, ErrUnavailable)
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.ErrorIs(t, binding.Ping(t.Context()), ErrUnavailable)
	_, err = NewRedisBinding(metadata)
	assert.ErrorIs(t, err, ErrUnavailable)

	silent := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	_, err = NewRedisBinding(map[string]string{"redisHost": silent, "dialTimeout": "20ms"})
	assert.ErrorIs(t, err, ErrUnavailable)
	require.NoError(t, binding.Close())
	assert.NotErrorIs(t, get(), ErrUnavailable)
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	node, cluster := mustParse(t, localhost()), mustParse(t, localhost("redisType", "cluster"))
	for text, want := range map[string]string{
		"ERR AUTH <password> called without any password configured for the default user.": "leave redisPassword empty",
		"ERR Client sent AUTH, but no password is set":                                     "leave redisPassword empty",
		"ERR invalid password":                             "check redisUsername and redisPassword",
		"CROSSSLOT Keys in request don't hash to the same": "set redisType to cluster",
		"ERR unknown command 'SET'":                        "is the server a sentinel?",
	} {
		assert.Contains(t, node.advice(redact.ReplyError(text), false), want, text)
	}
	assert.Contains(t, cluster.advice(redact.ReplyError("ERR unknown command 'CLUSTER'"), false), "Redis Cluster nodes?")
	assert.Empty(t, cluster.advice(redact.ReplyError("MOVED 1 h:1"), true))
	assert.Contains(t, node.advice(redis.ErrPoolTimeout, false), "raise poolSize or poolTimeout")
	assert.Contains(t, node.advice(fmt.Errorf("read: %w", io.EOF), true), "set enableTLS to true")
	assert.Empty(t, node.advice(fmt.Errorf("read: %w", io.EOF), false))
	assert.Contains(t, node.advice(tls.RecordHeaderError{}, true), "does not speak TLS")
}

// A server that does not know a command repeats its arguments: a password, a value.
func TestErrorsRepeatNoArguments(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--rename-command", "SET", "", "--rename-command", "AUTH", "", "--rename-command", "HELLO", "")
	binding, err := NewRedisBinding(map[string]string{"redisHost": srv.Addr})
	require.NoError(t, err)
	defer func() { assert.NoError(t, binding.Close()) }()
	_, err = binding.Invoke(t.Context(), &InvokeRequest{Operation: CreateOperation, Data: []byte("hunter2"),
		Metadata: map[string]string{"key": "hunter2"}})
	assert.ErrorContains(t, err, "unknown command")
	var reply redis.Error
	assert.ErrorAs(t, err, &reply)
	assertNoSecret(t, "hunter2", err)

	_, err = NewRedisBinding(map[string]string{"redisHost": srv.Addr, "redisPassword": "hunter2"})
	assert.ErrorContains(t, err, "unknown command")
	assertNoSecret(t, "hunter2", err)

	// Of several sentinels, one may not, and another may: and it is all one error.
	refuses := redistest.Start(t, "--requirepass", "other")
	for range 10 {
		_, err = NewRedisBinding(map[string]string{"redisHost": srv.Addr + "," + refuses.Addr + ",127.0.0.1:1", "failover": "true",
			"sentinelMasterName": "m", "sentinelPassword": "hunter2"})
		assert.ErrorContains(t, err, "unknown command")
		assert.ErrorContains(t, err, redistest.WrongPassword())
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		assert.ErrorAs(t, err, &reply)
		assertNoSecret(t, "hunter2", err)
	}
}

// Every path that has secrets in its hands, with every error and log line it
// leaves, go-redis's included.
func TestNoSecretAnywhere(t *testing.T) {
	const secret = "hunter2-hunter2"
	var log lockedBuffer
	debug := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	LogRedisTo(debug)
	defer LogRedisTo(nil)

	acl, secure, sentinel := redistest.ACL(t), redistest.TLS(t), redistest.Sentinel(t)
	for name, metadata := range map[string]map[string]string{
		"wrong password":          acl.Fields("redisPassword", secret),
		"wrong sentinel password": sentinel.Fields("sentinelPassword", secret),
		"wrong primary password":  sentinel.Fields("redisPassword", secret),
		"refused":                 {"redisHost": "127.0.0.1:1", "redisPassword": secret},
		"URL":                     {"redisHost": "redis://user:" + secret + "@localhost"},
		"user and host":           {"redisHost": "user:" + secret + "@localhost"},
		"client key":              secure.Fields("clientKey", secret),
		"client certificate":      secure.Fields("clientCert", secret),
		"key without TLS":         {"redisHost": "h", "clientKey": secret},
		"azure":                   {"redisHost": "h", "azureClientSecret": secret, "azureCertificate": secret, "azureCertificatePassword": secret},
		"entra":                   {"redisHost": "h:1", "enableTLS": "1", "useEntraID": "1", "azureClientSecret": secret},
		"entra and password":      {"redisHost": "h:1", "enableTLS": "1", "useEntraID": "1", "redisPassword": secret},
		"given twice":             {"redisHost": "h", "redisPassword": secret, "REDISPASSWORD": secret + "2"},
		"user without password":   {"redisHost": "h", "sentinelPassword": secret},
		"misspelt":                {"redisHost": "127.0.0.1:1", "redisPasword": secret},
	} {
		_, err := NewRedisBinding(metadata, WithLogger(debug))
		require.Error(t, err, name)
		assertNoSecret(t, secret, err)
		_, err = NewRedisBinding(metadata, WithLogger(debug), WithStrictMetadata())
		assertNoSecret(t, secret, err)
	}

	// A binding in use: keys and values are nobody else's business either.
	srv := redistest.Start(t, "--requirepass", secret, "--rename-command", "GETDEL", "")
	binding, err := NewRedisBinding(map[string]string{"redisHost": srv.Addr, "redisPassword": secret}, WithLogger(debug))
	require.NoError(t, err)
	defer func() { assert.NoError(t, binding.Close()) }()
	for _, operation := range binding.Operations() {
		_, err := binding.Invoke(t.Context(), &InvokeRequest{Operation: operation, Data: []byte(secret),
			Metadata: map[string]string{"key": secret, "delete": "true"}})
		assertNoSecret(t, secret, err)
	}
	srv.Do(t, "rpush", secret+"list", secret)
	_, err = binding.Invoke(t.Context(), request(GetOperation, secret+"list"))
	assertNoSecret(t, secret, err, binding, binding.metadata)
	srv.Kill()
	_, err = binding.Invoke(t.Context(), request(GetOperation, secret))
	assertNoSecret(t, secret, err)

	makeRedisLog(t)
	assert.Contains(t, log.String(), "failed to dial", "go-redis's own log lines are among them")
	redisLogger{debug}.Printf(t.Context(), "failed: %v", "ERR unknown command 'AUTH', with args beginning with: '"+secret+"'")
	assert.Contains(t, log.String(), "failed: ERR unknown command 'AUTH'")
	assert.NotContains(t, log.String(), secret)
}

func TestPingWantsPong(t *testing.T) {
	t.Parallel()
	// Something that speaks the protocol and is no Redis.
	fake, err := server.NewServer("127.0.0.1:0")
	require.NoError(t, err)
	defer fake.Close()
	require.NoError(t, fake.Register("PING", func(c *server.Peer, _ string, _ []string) { c.WriteInline("HELLO THERE") }))
	_, err = NewRedisBinding(map[string]string{"redisHost": fake.Addr().String()})
	assert.ErrorContains(t, err, `answered PING with "HELLO THERE": is this Redis?`)
}

func TestReveal(t *testing.T) {
	t.Parallel()
	cause := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, err := range []error{
		&dialError{cause},
		&dialError{&dialError{cause}},
		fmt.Errorf("all unreachable: %w", errors.Join(&dialError{cause})),
		&dialError{fmt.Errorf("all unreachable: %w", errors.Join(&dialError{cause}))},
	} {
		assert.NotErrorIs(t, err, syscall.ECONNREFUSED)
		assert.ErrorIs(t, reveal(err), syscall.ECONNREFUSED)
		assert.EqualError(t, reveal(err), err.Error())
	}
	assert.Equal(t, context.Canceled, reveal(context.Canceled))
}
