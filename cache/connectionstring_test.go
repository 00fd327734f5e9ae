package cache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func mustParse(t *testing.T, s string) *ConnectionString {
	t.Helper()
	c, err := ParseConnectionString(s)
	require.NoError(t, err)
	return c
}

func TestConnectionStringDefaults(t *testing.T) {
	t.Parallel()
	c := mustParse(t, "localhost")
	assert.Equal(t, &redis.UniversalOptions{
		Addrs:                 []string{"localhost:6379"},
		Protocol:              3,
		MaxRetries:            1,
		MinRetryBackoff:       8 * time.Millisecond,
		MaxRetryBackoff:       512 * time.Millisecond,
		MaxRedirects:          3,
		DialTimeout:           5 * time.Second,
		DialerRetries:         3,
		DialerRetryTimeout:    100 * time.Millisecond,
		ReadTimeout:           5 * time.Second,
		WriteTimeout:          5 * time.Second,
		ContextTimeoutEnabled: true,
		ReadBufferSize:        32768,
		WriteBufferSize:       32768,
		PoolSize:              10 * runtime.GOMAXPROCS(0),
		MaxConcurrentDials:    10 * runtime.GOMAXPROCS(0),
		PipelinePoolSize:      -1,
		PoolTimeout:           6 * time.Second,
		ConnMaxIdleTime:       5 * time.Minute,
		FailingTimeoutSeconds: 15,

		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}, c.UniversalOptions())
	assert.False(t, c.AbortConnect())
	assert.Empty(t, c.WithoutEffect())
	assert.NotSame(t, c.UniversalOptions(), c.UniversalOptions())
	c.UniversalOptions().Addrs[0] = "other"
	assert.Equal(t, []string{"localhost:6379"}, c.UniversalOptions().Addrs)
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		s    string
		want []string
	}{
		{"", nil},
		{" , ,", nil},
		{"ssl=true", nil},
		{"localhost", []string{"localhost:6379"}},
		{" localhost , ", []string{"localhost:6379"}},
		{"localhost:7000", []string{"localhost:7000"}},
		{"1.2.3.4", []string{"1.2.3.4:6379"}},
		{"1.2.3.4:1", []string{"1.2.3.4:1"}},
		{"::1", []string{"[::1]:6379"}},
		{"[::1]", []string{"[::1]:6379"}},
		{"[::1]:7000", []string{"[::1]:7000"}},
		{"fe80::1%eth0", []string{"[fe80::1%eth0]:6379"}},
		{"!/run/redis.sock", []string{"/run/redis.sock"}},
		{"!/run/redis.sock,ssl=true", []string{"/run/redis.sock"}},
		{"a,b:1", []string{"a:6379", "b:1"}},
		{"password=x,a:1", []string{"a:1"}},
		{"password=x,1.2.3.4,::1,!/a", []string{"1.2.3.4:6379", "[::1]:6379", "/a"}},
		{"password=x,ssl=0,a", []string{"a:6379"}},
		{"password=x,a", []string{"a:6379"}},
		{"b,password=x,a:1", []string{"b:6379", "a:1"}},
		{"a,ssl=true,b:1", []string{"a:6380", "b:1"}},
		{"ssl=true,a", []string{"a:6380"}},
		{"a,serviceName=m", []string{"a:26379"}},
		{"serviceName=m,ssl=true,a", []string{"a:26379"}},
		{"a,ssl=true,serviceName=m", []string{"a:26379"}},
		{"a,a", []string{"a:6379"}},
		{"a,a:6379,A", []string{"a:6379"}},
		{"a,a:6379,ssl=true", []string{"a:6380", "a:6379"}},
		{"::1,0:0::1,[::1]:6379", []string{"[::1]:6379"}},
		{"!/a,!/A,!/a", []string{"/a", "/A"}},
	} {
		t.Run(test.s, func(t *testing.T) {
			assert.Equal(t, test.want, mustParse(t, test.s).UniversalOptions().Addrs)
		})
	}
}

func TestAbortConnect(t *testing.T) {
	t.Parallel()
	assert.True(t, mustParse(t, "localhost,abortConnect=True").AbortConnect())
	assert.False(t, mustParse(t, "localhost,abortConnect=True,abortConnect=0").AbortConnect())
}

func TestLastKeywordWins(t *testing.T) {
	t.Parallel()
	c := mustParse(t, "localhost,syncTimeout=1,SYNCTIMEOUT=2000,password=a,password=b")
	assert.Equal(t, 2*time.Second, c.UniversalOptions().ReadTimeout)
	assert.Equal(t, "b", c.UniversalOptions().Password)
	assert.Equal(t, "localhost:6379,password=***,syncTimeout=2000", c.String())
}

func TestWithoutEffect(t *testing.T) {
	t.Parallel()
	c := mustParse(t, "$CONFIG=,localhost,proxy=None,$FLUSHDB=x,sslHost=h,allowAdmin=1,ssl=false")
	assert.Equal(t, []string{"sslHost", "allowAdmin", "proxy", "$CMD"}, c.WithoutEffect())
	assert.Nil(t, c.UniversalOptions().TLSConfig)
	assert.Equal(t, "localhost:6379,ssl=false,sslHost=h,allowAdmin=true,proxy=None,$CMD=", c.String())
}

const endpointTaken = "an endpoint is host, host:port, [::1]:6379 or !/path of a Unix socket."

var refused = []struct {
	s    string
	want []string // without the prefix
}{
	{"localhost,flibble=1", []string{"Keyword 'flibble' is not supported."}},
	{"localhost,conectTimeout=1", []string{"Keyword 'conectTimeout' is not supported. Did you mean 'connectTimeout'?"}},
	{"localhost,AbortOnConnectFail=1", []string{"Keyword 'AbortOnConnectFail' is not supported. Did you mean 'abortConnect'?"}},
	{"localhost,$=1", []string{"A keyword that is not made of letters is not supported."}},
	{"syncTimeout=ten", []string{"Keyword 'SyncTimeout' requires an integer value; the value 'ten' is not recognised."}},
	{"syncTimeout=3000000000", []string{"Keyword 'SyncTimeout' requires an integer value; the value '3000000000' is not recognised."}},
	{"synctimeout=0", []string{"Keyword 'SyncTimeout' has a minimum value of '1'; the value '0' is not permitted."}},
	{"asyncTimeout=0", []string{"Keyword 'AsyncTimeout' has a minimum value of '1'; the value '0' is not permitted."}},
	{"connectTimeout=0", []string{"Keyword 'ConnectTimeout' has a minimum value of '1'; the value '0' is not permitted."}},
	{"connectTimeout=", []string{"Keyword 'ConnectTimeout' requires an integer value; the value '' is not recognised."}},
	{"connectRetry=-1", []string{"Keyword 'ConnectRetry' has a minimum value of '0'; the value '-1' is not permitted."}},
	{"defaultDatabase=-1", []string{"Keyword 'DefaultDatabase' has a minimum value of '0'; the value '-1' is not permitted."}},
	{"configCheckSeconds=x", []string{"Keyword 'ConfigCheckSeconds' requires an integer value; the value 'x' is not recognised."}},
	{"keepAlive=x", []string{"Keyword 'KeepAlive' requires an integer value; the value 'x' is not recognised."}},
	{"ssl=maybe", []string{"Keyword 'Ssl' requires a boolean value; the value 'maybe' is not recognised."}},
	{"ssl=it's \"on\"", []string{`Keyword 'Ssl' requires a boolean value; the value 'it's "on"' is not recognised.`}},
	{"ssl=" + strings.Repeat("x", 99), []string{"Keyword 'Ssl' requires a boolean value; the value '" + strings.Repeat("x", 64) + "'... is not recognised."}},
	{"tcpKeepAlive=x", []string{"Keyword 'tcpKeepAlive' requires a boolean value; the value 'x' is not recognised."}},
	{"protocol=4", []string{"Keyword 'Protocol' requires resp2 or resp3 as its value; the value '4' is not recognised."}},
	{"proxy=x", []string{"Keyword 'Proxy' requires None, Twemproxy or Envoyproxy as its value; the value 'x' is not recognised."}},
	{"version=x", []string{"Keyword 'DefaultVersion' requires a version such as 7.2 as its value; the value 'x' is not recognised."}},
	{"sslProtocols=Tls11", []string{"Keyword 'SslProtocols' requires Tls12, Tls13 or Tls12|Tls13 as its value; the value 'Tls11' is not recognised."}},
	{"sslProtocols=", []string{"Keyword 'SslProtocols' requires Tls12, Tls13 or Tls12|Tls13 as its value; the value '' is not recognised."}},
	{"tunnel=socks:h:1", []string{"Keyword 'tunnel' requires the value http:host:port of a proxy that takes CONNECT; other tunnels are not supported."}},
	{"tunnel=http:h", []string{"Keyword 'tunnel' requires the value http:host:port of a proxy that takes CONNECT; other tunnels are not supported."}},
	{"localhost:xx", []string{"Endpoint 'localhost:xx' is not recognised: the port of an endpoint is a number from 1 to 65535."}},
	{"localhost:", []string{"Endpoint 'localhost:' is not recognised: the port of an endpoint is a number from 1 to 65535."}},
	{"localhost:0", []string{"Endpoint 'localhost:0' is not recognised: the port of an endpoint is a number from 1 to 65535."}},
	{"localhost:65536", []string{"Endpoint 'localhost:65536' is not recognised: the port of an endpoint is a number from 1 to 65535."}},
	{"[::1]:+1", []string{"Endpoint '[::1]:+1' is not recognised: the port of an endpoint is a number from 1 to 65535."}},
	{"[::1]1", []string{"Endpoint '[::1]1' is not recognised: " + endpointTaken}},
	{"[::1", []string{"Endpoint '[::1' is not recognised: " + endpointTaken}},
	{"[localhost]:1", []string{"Endpoint '[localhost]:1' is not recognised: " + endpointTaken}},
	{"a:b:1", []string{"Endpoint 'a:b:1' is not recognised: " + endpointTaken}},
	{"a b", []string{"Endpoint 'a b' is not recognised: " + endpointTaken}},
	{"=x", []string{"Endpoint '=x' is not recognised: " + endpointTaken}},
	{"!run/x", []string{"Endpoint '!run/x' is not recognised: the path of a Unix socket starts with /, as in !/run/redis.sock."}},
	{"ssl=x,syncTimeout=0,y=1,a:b", []string{
		"Keyword 'Ssl' requires a boolean value; the value 'x' is not recognised.",
		"Keyword 'SyncTimeout' has a minimum value of '1'; the value '0' is not permitted.",
		"Keyword 'y' is not supported.",
		"Endpoint 'a:b' is not recognised: the port of an endpoint is a number from 1 to 65535.",
	}},
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, test := range refused {
		t.Run(test.s, func(t *testing.T) {
			c, err := ParseConnectionString(test.s)
			assert.Nil(t, c)
			var lines []string
			for _, reason := range test.want {
				lines = append(lines, "cache: connection string: "+reason)
			}
			assert.EqualError(t, err, strings.Join(lines, "\n"))
			var first *ConfigurationError
			require.ErrorAs(t, err, &first)
			assert.Equal(t, &ConfigurationError{"connection string", test.want[0]}, first)
		})
	}
	c := Settings{ConnectionString: "localhost", ConfigurationOptions: map[string]string{"HeartbeatInterval": "24:00:00"}}
	_, err := c.connection("cache")
	assert.EqualError(t, err, "cache: ConfigurationOptions:HeartbeatInterval: Keyword 'HeartbeatInterval' requires an interval hh:mm:ss"+
		" as its value; the value '24:00:00' is not recognised.")
}

// withSecrets are strings with errors in them that would like to show hunter2.
var withSecrets = []string{
	"localhost,password=abc,hunter2=1",
	"localhost,password=abc,hunter2:x",
	"localhost,password=abc,hunter2=1,hunter2=2,hunter2:y",
	"localhost,password=abc,hunter2",
	"localhost,password=abc,ok:1,hunter2",
	"localhost,password=abc,ok,hunter2=1",
	"localhost,password=abc,$x=,hunter2=1",
	"localhost,sentinelPassword=abc,hunter2=1",
	"localhost,pasword=hunter2",
	"localhost,pasword=abc,hunter2=1",
	"localhost,pwd=abc,hunter2:x",
	"localhost,password:hunter2",
	"redis://user:hunter2@localhost:6379",
	"redis://user:hunter2=x@localhost:6379",
	"redis://user:abc,hunter2@localhost:6379",
	"redis://user:abc,hunter2=x",
	"user:hunter2@localhost",
	"localhost,tunnel=http://user:hunter2@proxy:1",
	"flibble=1,password=hunter2",
	"Server=tcp:h;User=u;Password=a,hunter2=1",
}

func TestNoSecretInErrors(t *testing.T) {
	t.Parallel()
	for _, s := range withSecrets {
		t.Run(s, func(t *testing.T) {
			_, err := ParseConnectionString(s)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := ParseConnectionString("localhost,password=abc,abortConect=1")
	assert.EqualError(t, err, "cache: connection string: A keyword is not supported. Did you mean 'abortConnect'?"+
		" It stands behind a password, so it is not shown: if it is the rest of that password,"+
		" choose one without a comma, which a connection string cannot hold.")
	_, err = ParseConnectionString("localhost,password=abc,d:e")
	assert.EqualError(t, err, "cache: connection string: What is no keyword is an endpoint, and"+
		" the port of an endpoint is a number from 1 to 65535."+
		" It stands behind a password, so it is not shown: if it is the rest of that password,"+
		" choose one without a comma, which a connection string cannot hold.")
	_, err = ParseConnectionString("localhost,password=abc,def")
	assert.EqualError(t, err, "cache: connection string: What is no keyword is an endpoint, and behind a password, and not the first, it needs a port."+
		" It stands behind a password, so it is not shown: if it is the rest of that password,"+
		" choose one without a comma, which a connection string cannot hold.")
	// Behind another keyword, nothing can be the rest of a password.
	_, err = ParseConnectionString("localhost,password=abc,ssl=true,flibble=1")
	assert.EqualError(t, err, "cache: connection string: Keyword 'flibble' is not supported.")
}

// printed is how v looks whatever prints it.
func printed(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", []any{v, errors.New("x")})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return out.String() + string(text)
}

func TestConnectionStringPrintsNoSecret(t *testing.T) {
	t.Parallel()
	c := mustParse(t, "localhost,password=hunter2,sentinelPassword=hunter2,user=app,serviceName=m")
	assert.Equal(t, "localhost:26379,user=app,password=***,sentinelPassword=***,serviceName=m", c.String())
	assert.Equal(t, c.String(), fmt.Sprintf("%+v", *c))
	inside := struct{ c ConnectionString }{*c} // where fmt cannot call Format
	for _, out := range []string{printed(t, c), printed(t, *c), printed(t, inside), printed(t, &inside)} {
		assert.NotContains(t, out, "hunter2")
		assert.NotContains(t, out, "68756e74657232") // in hexadecimal
	}
	assert.Equal(t, "hunter2", c.UniversalOptions().Password)
	assert.Equal(t, "localhost:6379,password=", mustParse(t, "localhost,password=").String())
}
