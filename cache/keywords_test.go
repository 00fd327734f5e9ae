package cache

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// accepted is what every keyword and option takes, and what comes of it.
var accepted = []struct {
	keyword, option, value, more string
	get                          func(*redis.UniversalOptions) any // nil: it has no effect
	want                         any
}{
	{"user", "User", "app", "", func(o *redis.UniversalOptions) any { return o.Username }, "app"},
	{"password", "Password", "p=a==", "", func(o *redis.UniversalOptions) any { return o.Password }, "p=a=="},
	{"sentinelUser", "", "su", "serviceName=m,user=u", func(o *redis.UniversalOptions) any { return []string{o.SentinelUsername, o.Username} }, []string{"su", "u"}},
	{"sentinelPassword", "", "sp", "serviceName=m,password=p", func(o *redis.UniversalOptions) any { return []string{o.SentinelPassword, o.Password} }, []string{"sp", "p"}},
	{"name", "ClientName", "shop 1", "", func(o *redis.UniversalOptions) any { return o.ClientName }, "shop1"},
	{"defaultDatabase", "DefaultDatabase", "7", "", func(o *redis.UniversalOptions) any { return o.DB }, 7},
	{"serviceName", "ServiceName", "m", "user=u,password=p", func(o *redis.UniversalOptions) any {
		return []string{o.MasterName, o.SentinelUsername, o.SentinelPassword}
	}, []string{"m", "u", "p"}},
	{"protocol", "Protocol", "resp2", "", func(o *redis.UniversalOptions) any { return o.Protocol }, 2},
	{"protocol", "Protocol", "2", "", func(o *redis.UniversalOptions) any { return o.Protocol }, 2},
	{"protocol", "Protocol", "Resp3", "protocol=2", func(o *redis.UniversalOptions) any { return o.Protocol }, 3},
	{"protocol", "Protocol", "3", "protocol=2", func(o *redis.UniversalOptions) any { return o.Protocol }, 3},
	{"connectTimeout", "ConnectTimeout", "1500", "", func(o *redis.UniversalOptions) any { return o.DialTimeout }, 1500 * time.Millisecond},
	{"connectTimeout", "ConnectTimeout", "1500", "syncTimeout=9000", func(o *redis.UniversalOptions) any { return o.DialTimeout }, 1500 * time.Millisecond},
	{"syncTimeout", "SyncTimeout", "1000", "", timeouts, []time.Duration{5 * time.Second, time.Second, time.Second, 2 * time.Second}},
	{"syncTimeout", "SyncTimeout", "9000", "", timeouts, []time.Duration{9 * time.Second, 9 * time.Second, 9 * time.Second, 10 * time.Second}},
	{"syncTimeout", "SyncTimeout", "1", "asyncTimeout=2", timeouts, []time.Duration{5 * time.Second, time.Millisecond, 2 * time.Millisecond, 1001 * time.Millisecond}},
	{"asyncTimeout", "AsyncTimeout", "250", "", timeouts, []time.Duration{5 * time.Second, 5 * time.Second, 250 * time.Millisecond, 6 * time.Second}},
	{"connectRetry", "ConnectRetry", "5", "", func(o *redis.UniversalOptions) any { return o.DialerRetries }, 5},
	{"connectRetry", "ConnectRetry", "0", "", func(o *redis.UniversalOptions) any { return o.DialerRetries }, 1},
	{"ssl", "Ssl", "true", "", func(o *redis.UniversalOptions) any {
		return []any{o.TLSConfig.MinVersion, o.TLSConfig.MaxVersion, o.TLSConfig.ServerName, o.TLSConfig.InsecureSkipVerify}
	}, []any{uint16(0x303), uint16(0), "", false}},
	{"ssl", "Ssl", "OFF", "ssl=1", func(o *redis.UniversalOptions) any { return o.TLSConfig == nil }, true},
	{"sslHost", "SslHost", "redis.example", "ssl=yes", func(o *redis.UniversalOptions) any { return o.TLSConfig.ServerName }, "redis.example"},
	{"sslProtocols", "SslProtocols", "Tls12", "ssl=on", tlsVersions, []uint16{0x303, 0x303}},
	{"sslProtocols", "SslProtocols", "TLS13", "ssl=on", tlsVersions, []uint16{0x304, 0x304}},
	{"sslProtocols", "SslProtocols", "Tls13 | Tls12", "ssl=on", tlsVersions, []uint16{0x303, 0x304}},
	{"", "SslProtocols", "Tls12, Tls13", "ssl=on", tlsVersions, []uint16{0x303, 0x304}},
	{"setlib", "SetClientLibrary", "no", "", func(o *redis.UniversalOptions) any { return o.DisableIdentity }, true},
	{"setlib", "SetClientLibrary", "yes", "setlib=0", func(o *redis.UniversalOptions) any { return o.DisableIdentity }, false},
	{"", "LibraryName", "my lib", "", func(o *redis.UniversalOptions) any { return o.IdentitySuffix }, "mylib"},
	{"tunnel", "", "http:proxy:3128", "", func(o *redis.UniversalOptions) any { return o.Dialer != nil }, true},
	{"tunnel", "", "", "", func(o *redis.UniversalOptions) any { return o.Dialer == nil }, true},
	{"tcpKeepAlive", "", "false", "", func(o *redis.UniversalOptions) any { return o.Dialer != nil }, true},
	{"tcpKeepAlive", "", "true", "", func(o *redis.UniversalOptions) any { return o.Dialer == nil }, true},
	{"resolveDns", "ResolveDns", "true", "", func(o *redis.UniversalOptions) any { return o.Addrs }, []string{"localhost:6379"}},
	{"abortConnect", "AbortOnConnectFail", "false", "", func(*redis.UniversalOptions) any { return true }, true},

	{keyword: "sentinelUser", value: "x"}, {keyword: "sentinelPassword", value: "x"},
	{keyword: "sslHost", option: "SslHost", value: "x"}, {keyword: "sslProtocols", option: "SslProtocols", value: "Tls12"},
	{keyword: "", option: "LibraryName", value: "x", more: "setlib=false"},
	{keyword: "allowAdmin", option: "AllowAdmin", value: "true"},
	{keyword: "channelPrefix", option: "ChannelPrefix", value: "c"},
	{keyword: "checkCertificateRevocation", option: "CheckCertificateRevocation", value: "false"},
	{keyword: "configChannel", option: "ConfigurationChannel", value: "c"},
	{keyword: "configCheckSeconds", option: "ConfigCheckSeconds", value: "60"},
	{keyword: "highIntegrity", option: "HighIntegrity", value: "true"},
	{keyword: "keepAlive", option: "KeepAlive", value: "-1"},
	{keyword: "proxy", option: "Proxy", value: "twemproxy"},
	{keyword: "tiebreaker", option: "TieBreaker", value: ""},
	{keyword: "version", option: "DefaultVersion", value: "7.2.1"},
	{option: "HeartbeatConsistencyChecks", value: "true"},
	{option: "HeartbeatInterval", value: "00:00:01"}, {option: "HeartbeatInterval", value: "1.23:59:59.5"},
	{option: "IncludeDetailInExceptions", value: "true"},
	{option: "IncludePerformanceCountersInExceptions", value: "true"},
	{keyword: "highPriorityThreads", value: "x"}, {keyword: "preserveAsyncOrder", value: "x"},
	{keyword: "responseTimeout", value: "x"}, {keyword: "writeBuffer", value: "x"},
}

func timeouts(o *redis.UniversalOptions) any {
	return []time.Duration{o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout}
}

func tlsVersions(o *redis.UniversalOptions) any {
	return []uint16{o.TLSConfig.MinVersion, o.TLSConfig.MaxVersion}
}

func TestKeywords(t *testing.T) {
	t.Parallel()
	tested := map[string]bool{}
	for _, test := range accepted {
		check := func(t *testing.T, c *ConnectionString, name string) {
			if test.get == nil {
				assert.Equal(t, []string{name}, c.WithoutEffect())
				return
			}
			assert.Equal(t, test.want, test.get(c.UniversalOptions()))
			assert.NotContains(t, c.WithoutEffect(), name)
		}
		tested[test.keyword], tested[test.option] = true, true
		if test.keyword != "" {
			for _, name := range []string{test.keyword, strings.ToUpper(test.keyword)} {
				t.Run(name+"="+test.value, func(t *testing.T) {
					check(t, mustParse(t, "localhost,"+test.more+", "+name+" = "+test.value+" "), test.keyword)
				})
			}
		}
		if test.option != "" {
			t.Run(test.option+"="+test.value, func(t *testing.T) {
				s := Settings{ConnectionString: "localhost," + test.more, ConfigurationOptions: map[string]string{test.option: test.value}}
				c, err := s.connection("cache")
				require.NoError(t, err)
				check(t, c, naming(inOptions).find(test.option).printedName())
			})
		}
	}
	for _, k := range keywords {
		assert.True(t, k.keyword == "" || tested[k.keyword], k.keyword)
		assert.True(t, k.option == "" || tested[k.option], k.option)
	}
}

func TestKeywordNamesDiffer(t *testing.T) {
	t.Parallel()
	var names []string
	for _, k := range keywords {
		names = append(names, strings.ToLower(k.name()))
	}
	slices.Sort(names)
	assert.Equal(t, names, slices.Compact(slices.Clone(names)))
}
