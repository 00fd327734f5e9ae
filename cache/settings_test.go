package cache

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// configurationOf makes a configuration of environment variables.
func configurationOf(t *testing.T, environ ...string) configuration {
	t.Helper()
	c, err := loadConfiguration("", false, environ)
	require.NoError(t, err)
	return c
}

const inSection, inNamed = "Aspire__StackExchange__Redis__", "ASPIRE__STACKEXCHANGE__REDIS__CACHE__"

func TestSettingsDefaults(t *testing.T) {
	t.Parallel()
	s, err := configurationOf(t).settings("cache")
	require.NoError(t, err)
	assert.Equal(t, &Settings{DisableAutoActivation: true, ConfigurationOptions: map[string]string{},
		origins: map[string]configured{}}, s)
}

func TestSettingsFromFile(t *testing.T) {
	t.Parallel()
	file := writeFiles(t, map[string]string{"appsettings.json": `{
	  "ConnectionStrings": {"cache": "localhost:6379"},
	  "Aspire": {"StackExchange": {"Redis": {
	    "ConfigurationOptions": {"ConnectTimeout": 3000, "ConnectRetry": 2},
	    "DisableHealthChecks": true, "DisableTracing": false
	  }}}}`})
	c, err := loadConfiguration(file, true, nil)
	require.NoError(t, err)
	s, err := c.settings("cache")
	require.NoError(t, err)
	assert.Equal(t, "{ConnectionString:localhost:6379 InstanceName: DisableHealthChecks:true DisableTracing:false "+
		"DisableAutoActivation:true ConfigurationOptions:[ConnectRetry=2 ConnectTimeout=3000]}", s.String())
	connection, err := s.connection("cache")
	require.NoError(t, err)
	assert.Equal(t, "localhost:6379,connectTimeout=3000,connectRetry=2", connection.String())
}

func TestSettingsPrecedence(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		environ []string
		get     func(*Settings) any
		want    any
	}{
		{"section", []string{inSection + "ConnectionString=a"}, connectionString, "a"},
		{"named section", []string{inSection + "ConnectionString=a", inNamed + "ConnectionString=b"}, connectionString, "b"},
		{"ConnectionStrings", []string{"CONNECTIONSTRINGS__CACHE=c", inSection + "ConnectionString=a", inNamed + "ConnectionString=b"},
			connectionString, "c"},
		{"an empty one is none", []string{"ConnectionStrings__cache=", inSection + "ConnectionString=a", inNamed + "ConnectionString="},
			connectionString, "a"},
		{"another name", []string{"ConnectionStrings__other=c", inSection + "other__ConnectionString=b"}, connectionString, ""},
		{"InstanceName", []string{inSection + "InstanceName=a"}, func(s *Settings) any { return s.InstanceName }, "a"},
		{"InstanceName, named", []string{inNamed + "InstanceName=b", inSection + "InstanceName=a"},
			func(s *Settings) any { return s.InstanceName }, "b"},
		{"flags", []string{inSection + "DisableHealthChecks=true", inSection + "DISABLETRACING=1", inSection + "DisableAutoActivation=no"},
			flags, []bool{true, true, false}},
		{"flags, named", []string{inSection + "DisableHealthChecks=true", inNamed + "DisableHealthChecks=False", inNamed + "DisableTracing=on"},
			flags, []bool{false, true, true}},
		{"options", []string{inSection + "ConfigurationOptions__ConnectTimeout=1", inSection + "ConfigurationOptions__SyncTimeout=1",
			inNamed + "CONFIGURATIONOPTIONS__SYNCTIMEOUT=2"},
			func(s *Settings) any { return s.ConfigurationOptions }, map[string]string{"ConnectTimeout": "1", "SyncTimeout": "2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := configurationOf(t, test.environ...).settings("Cache")
			require.NoError(t, err)
			assert.Equal(t, test.want, test.get(s))
		})
	}
}

func connectionString(s *Settings) any { return s.ConnectionString }

func flags(s *Settings) any {
	return []bool{s.DisableHealthChecks, s.DisableTracing, s.DisableAutoActivation}
}

func TestSettingsErrors(t *testing.T) {
	t.Parallel()
	_, err := configurationOf(t,
		inSection+"DisableTracng=1", inSection+"Flibble=1", inSection+"DISABLETRACING=maybe", inSection+"ConfigurationOptions=x",
		inSection+"other__Flibble=1", // somebody else's
		inSection+"ConfigurationOptions__SyncTimout=1",
		inSection+"ConfigurationOptions__connectTimeOut=ten",
		inNamed+"ConfigurationOptions__tunnel__x=1",
		inNamed+"DisableHealthChecks=",
	).settings("cache")
	assert.EqualError(t, err, strings.Join([]string{
		"cache: Aspire:StackExchange:Redis:ConfigurationOptions: takes options by name, such as Aspire:StackExchange:Redis:ConfigurationOptions:ConnectTimeout",
		"cache: Aspire:StackExchange:Redis:ConfigurationOptions:SyncTimout: is not known: did you mean SyncTimeout?",
		`cache: Aspire:StackExchange:Redis:DisableTracing: takes true or false (or 1/0, yes/no, on/off), got "maybe"`,
		"cache: Aspire:StackExchange:Redis:DisableTracng: is not known: did you mean DisableTracing?",
		"cache: Aspire:StackExchange:Redis:Flibble: is not known",
		"cache: Aspire:StackExchange:Redis:cache:ConfigurationOptions:tunnel:x: is not known",
		`cache: Aspire:StackExchange:Redis:cache:DisableHealthChecks: takes true or false (or 1/0, yes/no, on/off), got ""`,
	}, "\n"))
	var first *ConfigurationError
	assert.ErrorAs(t, err, &first)
}

func TestConnectionOptionsWin(t *testing.T) {
	t.Parallel()
	s, err := configurationOf(t, "ConnectionStrings__cache=localhost,syncTimeout=1000,abortConnect=false,password=a",
		inSection+"ConfigurationOptions__SyncTimeout=2000", inSection+"ConfigurationOptions__Password=hunter2",
		inNamed+"ConfigurationOptions__AbortOnConnectFail=true").settings("cache")
	require.NoError(t, err)
	c, err := s.connection("cache")
	require.NoError(t, err)
	assert.Equal(t, "localhost:6379,password=***,syncTimeout=2000,abortConnect=true", c.String())
	assert.True(t, c.AbortConnect())
	assert.Equal(t, "hunter2", c.UniversalOptions().Password)
}

func TestConnectionErrors(t *testing.T) {
	t.Parallel()
	s, err := configurationOf(t, "ConnectionStrings__cache=localhost:x,flibble=1",
		inSection+"ConfigurationOptions__synctimeout=ten", inSection+"ConfigurationOptions__AsyncTimeout=1",
		inNamed+"ConfigurationOptions__ConnectTimeout=0").settings("cache")
	require.NoError(t, err)
	s.ConfigurationOptions["AsyncTimeout"] = "0" // by the application
	s.ConfigurationOptions["SSLHost"] = "a"
	s.ConfigurationOptions["SslHost"] = "b"
	s.ConfigurationOptions["Flibble"] = "hunter2"
	_, err = s.connection("cache")
	assert.EqualError(t, err, strings.Join([]string{
		"cache: ConnectionStrings:cache: Endpoint 'localhost:x' is not recognised: the port of an endpoint is a number from 1 to 65535.",
		"cache: ConnectionStrings:cache: Keyword 'flibble' is not supported.",
		"cache: ConfigurationOptions:AsyncTimeout: Keyword 'AsyncTimeout' has a minimum value of '1'; the value '0' is not permitted.",
		"cache: Aspire:StackExchange:Redis:cache:ConfigurationOptions:ConnectTimeout: Keyword 'ConnectTimeout' has a minimum value of '1'; the value '0' is not permitted.",
		"cache: ConfigurationOptions:Flibble: is not known",
		"cache: ConfigurationOptions:SslHost: is given twice, in spellings that mean the same, with different values",
		"cache: Aspire:StackExchange:Redis:ConfigurationOptions:SyncTimeout: Keyword 'SyncTimeout' requires an integer value; the value 'ten' is not recognised.",
	}, "\n"))
}

func TestNoEndpoint(t *testing.T) {
	t.Parallel()
	want := "cache: ConnectionStrings:shop: there is no connection string with an endpoint such as localhost:6379: " +
		"set ConnectionStrings:shop (environment variable ConnectionStrings__shop) or Aspire:StackExchange:Redis:shop:ConnectionString " +
		"(environment variable Aspire__StackExchange__Redis__shop__ConnectionString)"
	for _, connectionString := range []string{"", "password=hunter2,ssl=true"} {
		_, err := (&Settings{ConnectionString: connectionString}).connection("shop")
		assert.EqualError(t, err, want)
	}
}

func TestSettingsPrintNoSecret(t *testing.T) {
	t.Parallel()
	for _, connectionString := range []string{"localhost,password=hunter2", "localhost,ssl=x,password=hunter2"} {
		s := Settings{ConnectionString: connectionString,
			ConfigurationOptions: map[string]string{"PASSWORD": "hunter2", "Passwort": "hunter2", "SslHost": "h"}}
		for _, out := range []string{printed(t, s), printed(t, &s)} {
			assert.NotContains(t, out, "hunter2")
			assert.NotContains(t, out, "68756e74657232")
			assert.Contains(t, out, "SslHost=h")
		}
	}
}
