package redisbinding

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// localhost is the least metadata there can be, with more fields as needed.
func localhost(more ...string) map[string]string {
	metadata := map[string]string{"redisHost": "localhost"}
	for i := 0; i < len(more); i += 2 {
		metadata[more[i]] = more[i+1]
	}
	return metadata
}

func mustParse(t *testing.T, metadata map[string]string) *Metadata {
	t.Helper()
	m, err := ParseMetadata(metadata)
	require.NoError(t, err)
	return m
}

func TestMetadataDefaults(t *testing.T) {
	t.Parallel()
	m := mustParse(t, localhost())
	assert.Equal(t, &Metadata{
		RedisHost:             "localhost",
		RedisPort:             6379,
		RedisType:             "node",
		Pipelining:            "auto",
		RedisMaxRetries:       0,
		RedisMinRetryInterval: 8 * time.Millisecond,
		RedisMaxRetryInterval: 512 * time.Millisecond,
		DialTimeout:           5 * time.Second,
		ReadTimeout:           3 * time.Second,
		WriteTimeout:          3 * time.Second,
		PoolSize:              10 * runtime.NumCPU(),
		PoolTimeout:           4 * time.Second,
		MinIdleConns:          0,
		IdleCheckFrequency:    time.Minute,
		IdleTimeout:           5 * time.Minute,
		RedeliverInterval:     60 * time.Second,
		ProcessingTimeout:     15 * time.Second,
		AzureEnvironment:      "AzurePublicCloud",
		AzureRedisScope:       "https://redis.azure.com/.default",
		addrs:                 []string{"localhost:6379"},
	}, m)
}

func TestUniversalOptionsDefaults(t *testing.T) {
	t.Parallel()
	assert.Equal(t, &redis.UniversalOptions{
		Addrs:                    []string{"localhost:6379"},
		Protocol:                 3,
		MaxRetries:               -1,
		MinRetryBackoff:          8 * time.Millisecond,
		MaxRetryBackoff:          512 * time.Millisecond,
		DialTimeout:              5 * time.Second,
		DialerRetries:            1,
		DialerRetryTimeout:       8 * time.Millisecond,
		ReadTimeout:              3 * time.Second,
		WriteTimeout:             3 * time.Second,
		ContextTimeoutEnabled:    true,
		PoolSize:                 10 * runtime.NumCPU(),
		PipelinePoolSize:         -1,
		PoolTimeout:              4 * time.Second,
		ConnMaxIdleTime:          5 * time.Minute,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}, mustParse(t, localhost()).UniversalOptions())
}

func TestUniversalOptionsOverrides(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		field, value string
		more         []string
		get          func(*redis.UniversalOptions) any
		want         any
	}{
		{field: "redisUsername", value: "app", more: []string{"redisPassword", "x"},
			get: func(o *redis.UniversalOptions) any { return o.Username }, want: "app"},
		{field: "redisPassword", value: "pässwörd, with=all", get: func(o *redis.UniversalOptions) any { return o.Password },
			want: "pässwörd, with=all"},
		{field: "redisDB", value: "7", get: func(o *redis.UniversalOptions) any { return o.DB }, want: 7},
		{field: "redisDB", value: "7", more: []string{"redisType", "cluster"},
			get: func(o *redis.UniversalOptions) any { return o.DB }, want: 0},
		{field: "redisType", value: "CLUSTER", get: func(o *redis.UniversalOptions) any { return o.IsClusterMode }, want: true},
		{field: "redisType", value: "Node", get: func(o *redis.UniversalOptions) any { return o.IsClusterMode }, want: false},
		{field: "failover", value: "on", more: []string{"sentinelMasterName", "m", "redisType", "cluster"},
			get:  func(o *redis.UniversalOptions) any { return []any{o.IsClusterMode, o.MasterName} },
			want: []any{false, "m"}},
		{field: "sentinelUsername", value: "s", more: []string{"failover", "1", "sentinelMasterName", "m", "sentinelPassword", "p"},
			get:  func(o *redis.UniversalOptions) any { return []string{o.SentinelUsername, o.SentinelPassword} },
			want: []string{"s", "p"}},
		{field: "redisMaxRetries", value: "5", get: func(o *redis.UniversalOptions) any { return o.MaxRetries }, want: 5},
		{field: "redisMaxRetries", value: "5", get: func(o *redis.UniversalOptions) any { return o.DialerRetries }, want: 6},
		{field: "redisMinRetryInterval", value: "-1", get: func(o *redis.UniversalOptions) any { return o.MinRetryBackoff },
			want: time.Duration(-1)},
		{field: "redisMinRetryInterval", value: "1s", get: func(o *redis.UniversalOptions) any { return o.MaxRetryBackoff },
			want: time.Second},
		{field: "redisMaxRetryInterval", value: "5s", get: func(o *redis.UniversalOptions) any { return o.MaxRetryBackoff },
			want: 5 * time.Second},
		{field: "redisMaxRetryInterval", value: "2ms", get: func(o *redis.UniversalOptions) any { return o.MinRetryBackoff },
			want: 2 * time.Millisecond},
		{field: "redisMaxRetryInterval", value: "-1", get: func(o *redis.UniversalOptions) any { return o.MinRetryBackoff },
			want: time.Duration(-1)},
		{field: "dialTimeout", value: "1500", get: func(o *redis.UniversalOptions) any { return o.DialTimeout },
			want: 1500 * time.Millisecond},
		{field: "readTimeout", value: "10s", get: func(o *redis.UniversalOptions) any {
			return []time.Duration{o.ReadTimeout, o.WriteTimeout, o.PoolTimeout}
		}, want: []time.Duration{10 * time.Second, 10 * time.Second, 11 * time.Second}},
		{field: "readTimeout", value: "-1", get: func(o *redis.UniversalOptions) any {
			return []time.Duration{o.ReadTimeout, o.WriteTimeout, o.PoolTimeout}
		}, want: []time.Duration{-1, -1, 4 * time.Second}},
		{field: "readTimeout", value: "9223372036854775807ns", get: func(o *redis.UniversalOptions) any { return o.PoolTimeout },
			want: time.Duration(math.MaxInt64)},
		{field: "writeTimeout", value: "1s", get: func(o *redis.UniversalOptions) any { return o.WriteTimeout }, want: time.Second},
		{field: "writeTimeout", value: "-1", get: func(o *redis.UniversalOptions) any { return o.WriteTimeout },
			want: time.Duration(-1)},
		{field: "poolSize", value: "20", get: func(o *redis.UniversalOptions) any { return o.PoolSize }, want: 20},
		{field: "poolTimeout", value: "5s", get: func(o *redis.UniversalOptions) any { return o.PoolTimeout }, want: 5 * time.Second},
		{field: "maxConnAge", value: "30m", get: func(o *redis.UniversalOptions) any { return o.ConnMaxLifetime },
			want: 30 * time.Minute},
		{field: "maxConnAge", value: "0", get: func(o *redis.UniversalOptions) any { return o.ConnMaxLifetime },
			want: time.Duration(0)},
		{field: "minIdleConns", value: "2", get: func(o *redis.UniversalOptions) any { return o.MinIdleConns }, want: 2},
		{field: "idleTimeout", value: "10m", get: func(o *redis.UniversalOptions) any { return o.ConnMaxIdleTime },
			want: 10 * time.Minute},
		{field: "idleTimeout", value: "-1", get: func(o *redis.UniversalOptions) any { return o.ConnMaxIdleTime },
			want: time.Duration(-1)},
	} {
		t.Run(test.field+"="+test.value, func(t *testing.T) {
			m := mustParse(t, localhost(append(test.more, test.field, test.value)...))
			assert.Equal(t, test.want, test.get(m.UniversalOptions()))
		})
	}
}

func TestMetadataOverrides(t *testing.T) {
	t.Parallel()
	// What no go-redis option shows.
	m := mustParse(t, localhost(
		"idleCheckFrequency", "-1", "redeliverInterval", "0", "processingTimeout", "30s", "ttlInSeconds", "90",
		"caCert", "", "azureEnvironment", "AzureChinaCloud", "AZURETENANTID", "t", "azureClientID", "c"))
	assert.Zero(t, m.IdleCheckFrequency)
	assert.Zero(t, m.RedeliverInterval)
	assert.Equal(t, 30*time.Second, m.ProcessingTimeout)
	assert.Equal(t, 90*time.Second, m.TTL)
	assert.Equal(t, "AzureChinaCloud", m.AzureEnvironment)
	assert.Equal(t, []string{"t", "c"}, []string{m.AzureTenantID, m.AzureClientID})
	assert.Empty(t, m.Unknown)

	entra := mustParse(t, map[string]string{"redisHost": "a.redis.azure.net:10000", "enableTLS": "yes", "useAzureAD": "TRUE",
		"azureTenantID": "t", "azureClientID": "c", "azureClientSecret": "s", "azureRedisScope": "https://redis.example/.default", "azureObjectID": "o"})
	assert.True(t, entra.UseEntraID)
	assert.Equal(t, []any{Secret("s"), "https://redis.example/.default", "o"}, []any{
		entra.AzureClientSecret, entra.AzureRedisScope, entra.AzureObjectID})
}

func TestMetadataAzureCertificate(t *testing.T) {
	t.Parallel()
	pem, _ := newAzureCertificate(t)
	application := []string{"azureTenantID", "t", "azureClientID", "c"}
	for _, certificate := range []string{pem, strings.ReplaceAll(pem, "\n", `\n`), strings.ReplaceAll(pem, "\n", `\n`) + "\n",
		strings.ReplaceAll(pem, "\n", `\r\n`), "\n" + strings.ReplaceAll(pem, "\n", "\r\n")} {
		m := mustParse(t, entraFields(append(application, "azureCertificate", certificate)...))
		assert.Equal(t, Secret(certificate), m.AzureCertificate)
	}
	// A file is read when a token is needed: it may come later, and change.
	m := mustParse(t, entraFields(append(application, "azureCertificateFile", "/no/such/file", "azureCertificatePassword", "p")...))
	assert.Equal(t, []any{"/no/such/file", Secret("p")}, []any{m.AzureCertificateFile, m.AzureCertificatePassword})
}

func TestMetadataTLS(t *testing.T) {
	t.Parallel()
	certs := redistest.NewCertificates(t)
	// With line breaks written out, as environment variables and JSON have them.
	escaped := strings.ReplaceAll(string(certs.Cert), "\n", `\n`)
	m := mustParse(t, localhost("enableTLS", "true", "serverName", "redis.example", "caCert", string(certs.CA),
		"clientCert", escaped, "clientKey", string(certs.Key), "insecureSkipTLSVerify", "t"))
	config := m.UniversalOptions().TLSConfig
	require.NotNil(t, config)
	assert.Equal(t, "redis.example", config.ServerName)
	assert.NotNil(t, config.RootCAs)
	assert.Len(t, config.Certificates, 1)
	assert.True(t, config.InsecureSkipVerify)
	assert.EqualValues(t, 0x0303, config.MinVersion)
	assert.Nil(t, mustParse(t, localhost("enableTLS", "false")).UniversalOptions().TLSConfig)
}

func TestMetadataNames(t *testing.T) {
	t.Parallel()
	// Without regard to case; the same value under two spellings is no conflict.
	m := mustParse(t, map[string]string{"REDISHOST": "h", "redisHost": "h", "RedisDb": "3"})
	assert.Equal(t, 3, m.RedisDB)
	assert.Equal(t, []string{"h:6379"}, m.addrs)

	// What has no bounds is no number and no duration.
	for _, name := range fieldNames {
		_, err := ParseMetadata(localhost(name, "x"))
		var bad *MetadataError
		if _, bounded := bounds[name]; bounded {
			require.ErrorAs(t, err, &bad, name)
			assert.Equal(t, name, bad.Field)
		}
	}
	for name := range bounds {
		assert.Contains(t, fieldNames, name)
	}
}

func TestRedisHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"localhost":                "localhost:6379",
		"localhost:6380":           "localhost:6380",
		"10.0.0.1":                 "10.0.0.1:6379",
		"::1":                      "[::1]:6379",
		"[::1]":                    "[::1]:6379",
		"[::1]:7000":               "[::1]:7000",
		"fe80::1%eth0":             "[fe80::1%eth0]:6379",
		" a , b:1 ,, a:6379":       "",
		"a, b:1,a:6379":            "a:6379 b:1",
		"redis-0.redis.svc:006379": "redis-0.redis.svc:6379",
	} {
		m, err := ParseMetadata(map[string]string{"redisHost": host, "redisType": "cluster"})
		if want == "" {
			assert.Error(t, err, host)
			continue
		}
		require.NoError(t, err, host)
		assert.Equal(t, want, strings.Join(m.addrs, " "), host)
	}
	m := mustParse(t, map[string]string{"redisHost": "a,b:7000,::1", "redisPort": "7000", "redisType": "cluster"})
	assert.Equal(t, []string{"a:7000", "b:7000", "[::1]:7000"}, m.addrs)
}

func TestMetadataValidations(t *testing.T) {
	t.Parallel()
	certs := redistest.NewCertificates(t)
	other := redistest.NewCertificates(t)
	const (
		form   = `takes host or host:port, such as "localhost:6379" or "[::1]:6379", got `
		url    = "takes host or host:port, not a URL: put user and password into redisUsername and redisPassword, and set enableTLS for rediss"
		number = "takes a whole number of 0 or more, got "
		off    = `takes a duration of at least 1ms such as "3s", or "-1" for none, got `
		always = `takes a duration of at least 1ms such as "3s", got `
		pause  = `takes a duration of 0 or more such as "8ms", or "-1" for no pause, got `
		length = `takes a duration of 0 or more such as "30s", got `
		truth  = `takes true or false (or 1/0, yes/no, on/off, y/n, t/f), got `
		ttl    = `takes a whole number of seconds from 1 to 9223372036, or a duration of at least 1ms such as "90s", got `
	)
	for _, test := range []struct {
		metadata map[string]string
		want     []string // "field: reason"
	}{
		{nil, []string{`redisHost: is required: set it to host or host:port, such as "localhost:6379"`}},
		{map[string]string{"redisHost": ""}, []string{`redisHost: is required: set it to host or host:port, such as "localhost:6379"`}},
		{map[string]string{"redisHost": "rediss://user:hunter2@h:1"}, []string{"redisHost: " + url}},
		{map[string]string{"redisHost": "user:hunter2@h:1"}, []string{"redisHost: " + url}},
		{map[string]string{"redisHost": "h:"}, []string{"redisHost: " + form + `"h:"`}},
		{map[string]string{"redisHost": ":6379"}, []string{"redisHost: " + form + `":6379"`}},
		{map[string]string{"redisHost": "a:1:2"}, []string{"redisHost: " + form + `"a:1:2"`}},
		{map[string]string{"redisHost": "[::1"}, []string{"redisHost: " + form + `"[::1"`}},
		{map[string]string{"redisHost": "a,"}, []string{"redisHost: " + form + `""`}},
		{map[string]string{"redisHost": "/tmp/redis.sock"}, []string{"redisHost: " + form + `"/tmp/redis.sock"`}},
		{map[string]string{"redisHost": "h:0"}, []string{`redisHost: takes a port from 1 to 65535 behind the host, got "h:0"`}},
		{map[string]string{"redisHost": "h:redis"}, []string{`redisHost: takes a port from 1 to 65535 behind the host, got "h:redis"`}},
		{map[string]string{"redisHost": "a,b"}, []string{"redisHost: takes one address when redisType is node and failover is false: " +
			"set redisType to cluster, or failover to true when these are sentinels"}},
		{map[string]string{"redisHost": "a,b", "redisType": "NODE"}, []string{"redisHost: takes one address when redisType is node and failover is false: " +
			"set redisType to cluster, or failover to true when these are sentinels"}},
		{map[string]string{"redisHost": "h:6380", "redisPort": "6379"},
			[]string{"redisHost: says port 6380 and redisPort says 6379: set one of them"}},
		{map[string]string{"redisHost": "a", "redishost": "b"},
			[]string{"redisHost: is given twice, under names that mean the same, with different values"}},
		{localhost("redisPort", "65536"), []string{`redisPort: takes a port from 1 to 65535, got "65536"`}},
		{localhost("redisPort", "0"), []string{`redisPort: takes a port from 1 to 65535, got "0"`}},
		{localhost("redisUsername", "u"), []string{"redisUsername: needs redisPassword: without one the user is not sent"}},
		{localhost("redisType", "standalone"), []string{`redisType: takes node or cluster, got "standalone"`}},
		{localhost("redisDB", "-1"), []string{"redisDB: " + number + `"-1"`}},
		{localhost("redisDB", "1.5"), []string{"redisDB: " + number + `"1.5"`}},
		{localhost("redisDB", "99999999999"), []string{"redisDB: " + number + `"99999999999"`}},
		{localhost("redisMaxRetries", "-7"), []string{"redisMaxRetries: " + number + `"-7"`}},
		{localhost("redisMinRetryInterval", "-2"), []string{"redisMinRetryInterval: " + pause + `"-2"`}},
		{localhost("redisMaxRetryInterval", "-1s"), []string{"redisMaxRetryInterval: " + pause + `"-1s"`}},
		{localhost("redisMinRetryInterval", "2s", "redisMaxRetryInterval", "1s"),
			[]string{"redisMinRetryInterval: is longer than redisMaxRetryInterval"}},
		{localhost("dialTimeout", "-1"), []string{"dialTimeout: " + always + `"-1"`}},
		{localhost("dialTimeout", "0"), []string{"dialTimeout: " + always + `"0"`}},
		{localhost("readTimeout", "0"), []string{"readTimeout: " + off + `"0"`}},
		{localhost("readTimeout", "5 seconds"), []string{"readTimeout: " + off + `"5 seconds"`}},
		{localhost("readTimeout", "-1s"), []string{"readTimeout: " + off + `"-1s"`}},
		{localhost("readTimeout", "999us"), []string{"readTimeout: " + off + `"999us"`}},
		{localhost("writeTimeout", "99999999999999999999"), []string{"writeTimeout: " + off + `"99999999999999999999"`}},
		{localhost("writeTimeout", "9223372036854775807"), []string{"writeTimeout: " + off + `"9223372036854775807"`}},
		{localhost("poolSize", "-3"), []string{`poolSize: takes a number of connections from 1 to 65535 (one host has no more ports), got "-3"`}},
		{localhost("poolSize", "0"), []string{`poolSize: takes a number of connections from 1 to 65535 (one host has no more ports), got "0"`}},
		{localhost("poolTimeout", "-1"), []string{"poolTimeout: " + always + `"-1"`}},
		{localhost("maxConnAge", "-1"), []string{"maxConnAge: " + length + `"-1"`}},
		{localhost("minIdleConns", "two"), []string{"minIdleConns: " + number + `"two"`}},
		{localhost("minIdleConns", "3", "poolSize", "2"), []string{"minIdleConns: takes no more than poolSize, which is 2, got 3"}},
		{localhost("idleCheckFrequency", "0"), []string{"idleCheckFrequency: " + off + `"0"`}},
		{localhost("idleTimeout", "-2"), []string{"idleTimeout: " + off + `"-2"`}},
		{localhost("redeliverInterval", "-1"), []string{"redeliverInterval: " + length + `"-1"`}},
		{localhost("processingTimeout", "soon"), []string{"processingTimeout: " + length + `"soon"`}},
		{localhost("ttlInSeconds", "0"), []string{"ttlInSeconds: " + ttl + `"0"`}},
		{localhost("enableTLS", "maybe"), []string{"enableTLS: " + truth + `"maybe"`}},
		{localhost("enableTLS", strings.Repeat("x", 100)), []string{"enableTLS: " + truth + `"` + strings.Repeat("x", 64) + `"...`}},
		{localhost("failover", "yes"), []string{"sentinelMasterName: is required when failover is true"}},
		{localhost("sentinelMasterName", "m", "sentinelPassword", "hunter2", "sentinelUsername", "u"), []string{
			"sentinelMasterName: needs failover to be true", "sentinelUsername: needs failover to be true",
			"sentinelPassword: needs failover to be true"}},
		{localhost("failover", "1", "sentinelMasterName", "m", "sentinelUsername", "u"),
			[]string{"sentinelUsername: needs sentinelPassword: without one the user is not sent"}},
		{localhost("caCert", string(certs.CA), "clientCert", "c", "clientKey", "k", "serverName", "n", "insecureSkipTLSVerify", "1"),
			[]string{"caCert: needs enableTLS to be true", "serverName: needs enableTLS to be true",
				"insecureSkipTLSVerify: needs enableTLS to be true", "clientCert: needs enableTLS to be true", "clientKey: needs enableTLS to be true"}},
		{localhost("enableTLS", "1", "caCert", "hunter2"), []string{"caCert: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"}},
		{localhost("enableTLS", "1", "clientCert", string(certs.Cert)), []string{"clientCert: needs clientKey"}},
		{localhost("enableTLS", "1", "clientKey", string(certs.Key)), []string{"clientKey: needs clientCert"}},
		{localhost("enableTLS", "1", "clientCert", string(certs.Cert), "clientKey", string(other.Key)),
			[]string{"clientCert: and clientKey are no pair in PEM: tls: private key does not match public key"}},
		{localhost("azureEnvironment", "Mars"),
			[]string{`azureEnvironment: takes AzurePublicCloud, AzureChinaCloud or AzureUSGovernmentCloud, got "Mars"`}},
		{localhost("azureClientSecret", "hunter2", "azureCertificate", "hunter2"), []string{
			"azureClientSecret: needs useEntraID to be true", "azureCertificate: needs useEntraID to be true"}},
		{localhost("useEntraID", "1", "redisPassword", "hunter2", "redisUsername", "u"), []string{
			"redisHost: takes host:port when useEntraID is true",
			"redisUsername: must be empty when useEntraID is true: Entra ID brings user and password",
			"redisPassword: must be empty when useEntraID is true: Entra ID brings user and password",
			"enableTLS: must be true when useEntraID is"}},
		{entraFields("azureClientSecret", "hunter2"), []string{
			"azureTenantID: is required with azureClientSecret", "azureClientID: is required with azureClientSecret"}},
		{entraFields("azureTenantID", "t", "azureCertificateFile", "f"), []string{
			"azureClientID: is required with azureCertificateFile"}},
		{entraFields("azureTenantID", "t", "azureClientID", "c", "azureCertificate", "hunter2", "azureCertificatePassword", "hunter2"), []string{
			"azureCertificate: takes a certificate with its RSA key in PEM or PKCS#12: is neither"}},
		{entraFields("azureTenantID", "t", "azureClientID", "c", "azureCertificate", string(certs.Cert)), []string{
			"azureCertificate: takes a certificate with its RSA key in PEM or PKCS#12: found no private key"}},
		{entraFields("azureTenantID", "t", "azureClientID", "c", "azureClientSecret", "hunter2", "azureCertificateFile", "f"), []string{
			"azureCertificateFile: cannot be used together with azureClientSecret: set one of them"}},
		{entraFields("azureTenantID", "t", "azureClientID", "c", "azureClientSecret", "hunter2", "azureCertificatePassword", "hunter2"), []string{
			"azureCertificatePassword: needs azureCertificate or azureCertificateFile, not azureClientSecret"}},
		{entraFields("azureCertificatePassword", "hunter2"), []string{
			"azureCertificatePassword: needs azureCertificate or azureCertificateFile"}},
		{localhost("useAzureAD", "1", "useEntraID", "0", "enableTLS", "1"),
			[]string{"useEntraID: is given twice, under names that mean the same, with different values"}},
		// All at once, each field once, in the order of the table.
		{map[string]string{"poolSize": "x", "redisDB": "y", "enableTLS": "z", "redisType": "w", "redisPort": "v"}, []string{
			`redisHost: is required: set it to host or host:port, such as "localhost:6379"`,
			`redisPort: takes a port from 1 to 65535, got "v"`, "enableTLS: " + truth + `"z"`,
			`redisType: takes node or cluster, got "w"`, "redisDB: " + number + `"y"`,
			`poolSize: takes a number of connections from 1 to 65535 (one host has no more ports), got "x"`}},
	} {
		_, err := ParseMetadata(test.metadata)
		require.Error(t, err, "%v", test.metadata)
		var got []string
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			var bad *MetadataError
			require.ErrorAs(t, e, &bad)
			got = append(got, bad.Field+": "+bad.Reason)
		}
		assert.Equal(t, test.want, got)
		assert.NotContains(t, err.Error(), "hunter2")
		assert.True(t, strings.HasPrefix(err.Error(), "redisbinding: metadata field "), err.Error())
	}
}

func TestUnknownFields(t *testing.T) {
	t.Parallel()
	metadata := localhost("redisHots", "h", "pool_size", "5", "direction", "output", "UseAzureADD", "x")
	m := mustParse(t, metadata)
	assert.Equal(t, []string{"UseAzureADD", "direction", "pool_size", "redisHots"}, m.Unknown)

	var log bytes.Buffer
	binding, err := NewRedisBinding(metadata, WithLazyConnect(), WithLogger(slog.New(slog.NewTextHandler(&log, nil))), WithLogger(nil))
	require.NoError(t, err)
	require.NoError(t, binding.Close())
	var lines []string
	for line := range strings.Lines(log.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), "level=")
		lines = append(lines, line)
	}
	const warning = `WARN msg="redisbinding: unknown metadata field" field=`
	assert.Equal(t, []string{warning + "UseAzureADD nearest=useAzureAD", warning + `direction nearest=""`,
		warning + "pool_size nearest=poolSize", warning + "redisHots nearest=redisHost"}, lines)

	// Together with what else is wrong.
	metadata["poolTimeout"] = "x"
	_, err = NewRedisBinding(metadata, WithLazyConnect(), WithStrictMetadata())
	assert.EqualError(t, err, "redisbinding: metadata field poolTimeout: "+timeout.refuse("x").Error()+"\n"+
		"redisbinding: metadata field UseAzureADD: is not known: did you mean useAzureAD?\n"+
		"redisbinding: metadata field direction: is not known\n"+
		"redisbinding: metadata field pool_size: is not known: did you mean poolSize?\n"+
		"redisbinding: metadata field redisHots: is not known: did you mean redisHost?")
}

// Whoever sends hundreds of fields is not misspelling, and does not fill the log.
func TestManyUnknownFields(t *testing.T) {
	t.Parallel()
	metadata := localhost()
	for i := range 201 {
		metadata["field"+strconv.Itoa(i)] = "x"
	}
	var log bytes.Buffer
	binding, err := NewRedisBinding(metadata, WithLazyConnect(), WithLogger(testLogger(&log)))
	require.NoError(t, err)
	require.NoError(t, binding.Close())
	assert.Equal(t, 100, strings.Count(log.String(), `"redisbinding: unknown metadata field"`))
	assert.Contains(t, log.String(), `"redisbinding: more unknown metadata fields" count=101`)

	_, err = NewRedisBinding(metadata, WithLazyConnect(), WithStrictMetadata())
	assert.Len(t, err.(interface{ Unwrap() []error }).Unwrap(), 100)
}

func TestMetadataPrintsNoSecret(t *testing.T) {
	t.Parallel()
	m := mustParse(t, localhost("redisPassword", "hunter2", "redisUsername", "app"))
	assertNoSecret(t, "hunter2", m, *m, m.RedisPassword, &m.RedisPassword)
	assert.Equal(t, "", Secret("").String())
	assert.Equal(t, "hunter2", string(m.RedisPassword))
}

func TestUniversalOptionsAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	m := mustParse(t, localhost("enableTLS", "1"))
	o := m.UniversalOptions()
	o.Addrs[0], o.TLSConfig.ServerName = "changed", "changed"
	again := m.UniversalOptions()
	assert.Equal(t, "localhost:6379", again.Addrs[0])
	assert.Empty(t, again.TLSConfig.ServerName)
}

// The client follows from redisType and failover also when go-redis picks it.
func TestUniversalOptionsPickTheSameClient(t *testing.T) {
	t.Parallel()
	for want, metadata := range map[string]map[string]string{
		"node":     localhost(),
		"cluster":  localhost("redisType", "cluster"),
		"failover": localhost("failover", "1", "sentinelMasterName", "m", "redisType", "cluster"),
	} {
		client := redis.NewUniversalClient(mustParse(t, metadata).UniversalOptions())
		_, isCluster := client.(*redis.ClusterClient)
		assert.Equal(t, want == "cluster", isCluster, want)
		if node, ok := client.(*redis.Client); ok {
			assert.Equal(t, want == "failover", node.Options().Addr == "FailoverClient", want)
		}
		require.NoError(t, client.Close())
	}
}

func TestParseBool(t *testing.T) {
	t.Parallel()
	for want, values := range map[bool][]string{
		true:  {"true", "True", "TRUE", "t", "1", "yes", "Y", "on", " on\n"},
		false: {"false", "F", "0", "no", "n", "OFF"},
	} {
		for _, value := range values {
			got, err := parseBool(value)
			assert.NoError(t, err, value)
			assert.Equal(t, want, got, value)
		}
	}
	for _, value := range []string{"", "2", "tru", "ja", "-1", "yes please"} {
		_, err := parseBool(value)
		assert.Error(t, err, value)
	}
}

func TestParseTTL(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"1":                     time.Second,
		"+60":                   time.Minute,
		"1ms":                   time.Millisecond,
		"1.5s":                  1500 * time.Millisecond,
		"1999us":                time.Millisecond,
		"24h":                   24 * time.Hour,
		"9223372036":            9223372036 * time.Second,
		"2562047h47m16.854775s": 2562047*time.Hour + 47*time.Minute + 16854*time.Millisecond,
	} {
		got, err := parseTTL(value)
		assert.NoError(t, err, value)
		assert.Equal(t, want, got, value)
	}
	trimmed, err := parseTTL(" 5 ")
	assert.NoError(t, err)
	assert.Equal(t, 5*time.Second, trimmed)
	for _, value := range badTTLs {
		_, err := parseTTL(value)
		assert.Error(t, err, value)
	}
}

// badTTLs are TTLs that must be refused, "" (an absent one) apart.
var badTTLs = []string{"0", "0s", "-5s", "-1", "500us", "abc", "18446744074", "99999999999999999999", "1.5", "1e3", "NaN", "5 s", "0x10"}

func FuzzParseMetadata(f *testing.F) {
	for _, seed := range []string{
		"redisHost=localhost:6379", "redisHost=[::1]:6379,::1\nredisType=cluster", "REDISHOST=a\nredishost=b",
		"redisHost=h\nreadTimeout=-1\npoolSize=20\nidleTimeout=10m", "redisHost=redis://u:p@h", "redisHost=h\nenableTLS=1\ncaCert=x",
		"redisHost=h\nfailover=true\nsentinelMasterName=m", "redisHost=h:1\nredisPort=2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		metadata := map[string]string{}
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, "=")
			metadata[name] = value
		}
		m, err := ParseMetadata(metadata)
		if (m == nil) == (err == nil) {
			t.Fatalf("metadata %v and error %v", m, err)
		}
		if err != nil {
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				var bad *MetadataError
				if !errors.As(e, &bad) || !slices.Contains(fieldNames, bad.Field) || bad.Reason == "" {
					t.Fatalf("%#v is no MetadataError of a field", e)
				}
			}
			return
		}
		// What is accepted makes a client, and closes again.
		opts := m.UniversalOptions()
		opts.MinIdleConns = 0 // connects to nothing
		if len(opts.Addrs) == 0 {
			t.Fatal("accepted without an address")
		}
		if err := redis.NewUniversalClient(opts).Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, seed := range append([]string{"5s", "100", "-1", "1h30m", " 7 ", "9223372036854775807"}, badTTLs...) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if ttl, err := parseTTL(value); err == nil && (ttl < time.Millisecond || ttl%time.Millisecond != 0) {
			t.Errorf("TTL %q is %d", value, ttl)
		}
		for name, b := range bounds {
			d, err := b.duration(value)
			if within := int64(d) >= b.min && int64(d) <= b.max; err == nil && !within && (!b.off || d != 0) {
				t.Errorf("%s %q is %d", name, value, d)
			}
		}
	})
}

func FuzzBool(f *testing.F) {
	for _, seed := range []string{"true", "OFF", "y", "", "2", " t "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if v, err := parseBool(value); err != nil && v {
			t.Errorf("%q is true and an error", value)
		}
	})
}
