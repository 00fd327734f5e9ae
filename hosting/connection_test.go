package hosting

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/cache"
)

func TestConnectionForms(t *testing.T) {
	t.Parallel()
	tls, err := keptCertificates(t.TempDir(), "cache")
	require.NoError(t, err)
	ca := string(tls.ca)
	tests := map[string]struct {
		spec             connectionSpec
		connectionString string
		metadata         map[string]string
		env              []string
		parse            func(uri string) (addrs []string, password string, err error)
	}{
		"one": {
			spec:             connectionSpec{addrs: []string{"127.0.0.1:7405"}, password: "s/e?c:r@t"},
			connectionString: "127.0.0.1:7405,password=s/e?c:r@t",
			metadata:         map[string]string{"redisHost": "127.0.0.1:7405", "redisType": "node", "redisPassword": "s/e?c:r@t"},
			env: []string{
				"ConnectionStrings__my-cache=127.0.0.1:7405,password=s/e?c:r@t",
				"MY_CACHE_HOST=127.0.0.1", "MY_CACHE_PORT=7405", "MY_CACHE_URI=redis://:s%2Fe%3Fc%3Ar%40t@127.0.0.1:7405", "MY_CACHE_PASSWORD=s/e?c:r@t",
			},
			parse: parseURL,
		},
		"without a password": {
			spec:             connectionSpec{addrs: []string{"127.0.0.1:7405"}},
			connectionString: "127.0.0.1:7405",
			metadata:         map[string]string{"redisHost": "127.0.0.1:7405", "redisType": "node"},
			env: []string{
				"ConnectionStrings__my-cache=127.0.0.1:7405", "MY_CACHE_HOST=127.0.0.1", "MY_CACHE_PORT=7405", "MY_CACHE_URI=redis://127.0.0.1:7405",
			},
			parse: parseURL,
		},
		"TLS": {
			spec:             connectionSpec{addrs: []string{"127.0.0.1:7405"}, password: "secret", tls: tls},
			connectionString: "127.0.0.1:7405,password=secret,ssl=true",
			metadata: map[string]string{
				"redisHost": "127.0.0.1:7405", "redisType": "node", "redisPassword": "secret", "enableTLS": "true", "caCert": ca,
			},
			env: []string{
				"ConnectionStrings__my-cache=127.0.0.1:7405,password=secret,ssl=true", "MY_CACHE_HOST=127.0.0.1", "MY_CACHE_PORT=7405",
				"MY_CACHE_URI=rediss://:secret@127.0.0.1:7405", "MY_CACHE_PASSWORD=secret", "MY_CACHE_CA_FILE=" + tls.caFile(),
			},
			parse: parseURL,
		},
		"cluster": {
			spec:             connectionSpec{addrs: []string{"127.0.0.1:7001", "127.0.0.1:7002"}, password: "secret", cluster: true},
			connectionString: "127.0.0.1:7001,127.0.0.1:7002,password=secret",
			metadata:         map[string]string{"redisHost": "127.0.0.1:7001,127.0.0.1:7002", "redisType": "cluster", "redisPassword": "secret"},
			env: []string{
				"ConnectionStrings__my-cache=127.0.0.1:7001,127.0.0.1:7002,password=secret", "MY_CACHE_HOST=127.0.0.1", "MY_CACHE_PORT=7001",
				"MY_CACHE_URI=redis://:secret@127.0.0.1:7001?addr=127.0.0.1%3A7002", "MY_CACHE_PASSWORD=secret",
			},
			parse: parseClusterURL,
		},
		"cluster of one": {
			spec:             connectionSpec{addrs: []string{"127.0.0.1:7001"}, cluster: true},
			connectionString: "127.0.0.1:7001",
			metadata:         map[string]string{"redisHost": "127.0.0.1:7001", "redisType": "cluster"},
			env: []string{
				"ConnectionStrings__my-cache=127.0.0.1:7001", "MY_CACHE_HOST=127.0.0.1", "MY_CACHE_PORT=7001", "MY_CACHE_URI=redis://127.0.0.1:7001",
			},
			parse: parseClusterURL,
		},
		"sentinel": {
			spec:             connectionSpec{addrs: []string{"127.0.0.1:7001", "127.0.0.1:7002"}, password: "secret", master: "mymaster"},
			connectionString: "127.0.0.1:7001,127.0.0.1:7002,password=secret,serviceName=mymaster",
			metadata: map[string]string{
				"redisHost": "127.0.0.1:7001,127.0.0.1:7002", "redisType": "node", "redisPassword": "secret", "failover": "true",
				"sentinelMasterName": "mymaster", "sentinelPassword": "secret",
			},
			env: []string{
				"ConnectionStrings__my-cache=127.0.0.1:7001,127.0.0.1:7002,password=secret,serviceName=mymaster", "MY_CACHE_HOST=127.0.0.1", "MY_CACHE_PORT=7001",
				"MY_CACHE_URI=redis://:secret@127.0.0.1:7001?addr=127.0.0.1%3A7002&master_name=mymaster&password=secret", "MY_CACHE_PASSWORD=secret",
			},
			parse: parseFailoverURL,
		},
		"existing": {
			spec:             connectionSpec{given: "redis.example:7405,user=me,password=secret,ssl=true,sslHost=other,defaultDatabase=3,abortConnect=false"},
			connectionString: "redis.example:7405,user=me,password=secret,ssl=true,sslHost=other,defaultDatabase=3,abortConnect=false",
			metadata: map[string]string{
				"redisHost": "redis.example:7405", "redisType": "node", "redisUsername": "me", "redisPassword": "secret", "redisDB": "3",
				"enableTLS": "true", "serverName": "other",
			},
			env: []string{
				"ConnectionStrings__my-cache=redis.example:7405,user=me,password=secret,ssl=true,sslHost=other,defaultDatabase=3,abortConnect=false",
				"MY_CACHE_HOST=redis.example", "MY_CACHE_PORT=7405", "MY_CACHE_URI=rediss://me:secret@redis.example:7405/3", "MY_CACHE_PASSWORD=secret",
			},
			parse: parseURL,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var c Connection
			test.spec.name = "my-cache"
			c.spec.set(test.spec)

			assert.Equal(t, test.connectionString, c.ConnectionString())
			_, err := cache.ParseConnectionString(c.ConnectionString())
			require.NoError(t, err)

			assert.Equal(t, test.metadata, c.Metadata())
			_, err = redisbinding.ParseMetadata(c.Metadata())
			require.NoError(t, err)

			env, err := test.spec.env()
			require.NoError(t, err)
			assert.Equal(t, test.env, env)

			o := c.UniversalOptions()
			addrs, password, err := test.parse(uri(o))
			require.NoError(t, err)
			assert.Equal(t, o.Addrs, addrs)
			assert.Equal(t, o.Password, password)
		})
	}
}

func parseURL(uri string) (addrs []string, password string, err error) {
	o, err := redis.ParseURL(uri)
	if err != nil {
		return nil, "", err
	}
	return []string{o.Addr}, o.Password, nil
}

func parseClusterURL(uri string) (addrs []string, password string, err error) {
	o, err := redis.ParseClusterURL(uri)
	if err != nil {
		return nil, "", err
	}
	return o.Addrs, o.Password, nil
}

func parseFailoverURL(uri string) (addrs []string, password string, err error) {
	o, err := redis.ParseFailoverURL(uri)
	if err != nil {
		return nil, "", err
	}
	return o.SentinelAddrs, o.Password, nil
}
