package hosting

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/cache"
)

// Connection is how to reach a Redis of an app, in the forms that Go programs want it
// in; it is part of [Redis], [Cluster], [Sentinel] and [ExistingRedis]. It is there from when the
// resource has started until it is stopped: before and after, its methods return zero values. Any
// number of goroutines may call them. What they return holds the password in the clear.
type Connection struct {
	spec published[connectionSpec]
}

// connectionSpec is what a connection is made of.
type connectionSpec struct {
	name     string // of the resource
	addrs    []string
	password string
	tls      *certificates
	cluster  bool
	master   string // the name of the primary at sentinels, which addrs are then

	// given is the connection string of one that exists; the fields above, but for name and
	// cluster, are empty then.
	given string
}

// published is a value that is set while others read it.
type published[T any] struct{ value atomic.Pointer[T] }

func (p *published[T]) set(value T) { p.value.Store(&value) }

func (p *published[T]) get() (value T) {
	if v := p.value.Load(); v != nil {
		value = *v
	}
	return value
}

// ConnectionString returns the connection string of StackExchange.Redis, which cache.Open
// of this library reads too: host:port, or several of them, then password, ssl=true and
// serviceName where they are needed. A CA made by WithTLS cannot be in it.
func (c *Connection) ConnectionString() string {
	spec := c.spec.get()
	return spec.connectionString()
}

// UniversalOptions returns the options of go-redis, for redis.NewUniversalClient: with the
// password, with TLS settings that trust the CA made by WithTLS, with the time-outs of
// cache.ConnectionString. They are the caller's own. nil when there is no connection.
func (c *Connection) UniversalOptions() *redis.UniversalOptions {
	spec := c.spec.get()
	if spec.name == "" {
		return nil
	}
	o, err := spec.universalOptions()
	if err != nil {
		return nil // it was parsed before it was published
	}
	return o
}

// Metadata returns the metadata for redisbinding.NewRedisBinding. The map is the caller's
// own. nil when there is no connection.
func (c *Connection) Metadata() map[string]string {
	o := c.UniversalOptions()
	if o == nil {
		return nil
	}
	m := map[string]string{"redisHost": strings.Join(o.Addrs, ","), "redisType": "node"}
	set := func(field, value string) {
		if value != "" {
			m[field] = value
		}
	}
	set("redisUsername", o.Username)
	set("redisPassword", o.Password)
	if o.DB != 0 {
		m["redisDB"] = strconv.Itoa(o.DB)
	}
	switch {
	case o.MasterName != "":
		m["failover"] = "true"
		m["sentinelMasterName"] = o.MasterName
		set("sentinelUsername", o.SentinelUsername)
		set("sentinelPassword", o.SentinelPassword)
	case o.IsClusterMode:
		m["redisType"] = "cluster"
	}
	if o.TLSConfig != nil {
		m["enableTLS"] = "true"
		set("serverName", o.TLSConfig.ServerName)
		if tls := c.spec.get().tls; tls != nil {
			m["caCert"] = string(tls.ca)
		}
	}
	return m
}

// reference makes a Connection a [Reference].
func (c *Connection) reference() *Connection { return c }

func (s *connectionSpec) connectionString() string {
	if s.given != "" {
		return s.given
	}
	parts := append([]string(nil), s.addrs...)
	if s.password != "" {
		parts = append(parts, "password="+s.password)
	}
	if s.tls != nil {
		parts = append(parts, "ssl=true")
	}
	if s.master != "" {
		parts = append(parts, "serviceName="+s.master)
	}
	return strings.Join(parts, ",")
}

func (s *connectionSpec) universalOptions() (*redis.UniversalOptions, error) {
	parsed, err := cache.ParseConnectionString(s.connectionString())
	if err != nil {
		return nil, err
	}
	o := parsed.UniversalOptions()
	if len(o.Addrs) == 0 {
		return nil, errors.New("the connection string has no endpoint, such as localhost:6379")
	}
	if o.MasterName == "" {
		o.IsClusterMode = s.cluster || len(o.Addrs) > 1
	}
	if s.tls != nil {
		o.TLSConfig.RootCAs = s.tls.clientConfig().RootCAs
	}
	return o, nil
}

// env are the environment variables of a command that references the connection,
// name=value.
func (s *connectionSpec) env() ([]string, error) {
	o, err := s.universalOptions()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(o.Addrs[0])
	if err != nil { // a Unix socket has none
		host, port = o.Addrs[0], ""
	}
	prefix := variablePrefix(s.name)
	env := []string{
		"ConnectionStrings__" + s.name + "=" + s.connectionString(),
		prefix + "_HOST=" + host,
		prefix + "_PORT=" + port,
		prefix + "_URI=" + uri(o),
	}
	if o.Password != "" {
		env = append(env, prefix+"_PASSWORD="+o.Password)
	}
	if s.tls != nil {
		env = append(env, prefix+"_CA_FILE="+s.tls.caFile())
	}
	return env, nil
}

// variablesOf are the names of all variables that a resource of that name may have, in capitals:
// what .NET reads has no regard to case.
func variablesOf(name string) []string {
	names := []string{"CONNECTIONSTRINGS__" + strings.ToUpper(name)}
	for _, suffix := range []string{"HOST", "PORT", "URI", "PASSWORD", "CA_FILE"} {
		names = append(names, variablePrefix(name)+"_"+suffix)
	}
	return names
}

// variablePrefix is what the names of environment variables of a resource begin with.
func variablePrefix(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// uri is the URI of the connection as ParseURL, ParseClusterURL and ParseFailoverURL of go-redis
// read it: that of a primary behind sentinels has their user and password in front, and
// Redis's behind.
func uri(o *redis.UniversalOptions) string {
	u := url.URL{Scheme: "redis", Host: o.Addrs[0], User: userinfo(o.Username, o.Password)}
	if o.TLSConfig != nil {
		u.Scheme = "rediss"
	}
	query := url.Values{}
	for _, addr := range o.Addrs[1:] {
		query.Add("addr", addr)
	}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	if o.MasterName != "" {
		u.User = userinfo(o.SentinelUsername, o.SentinelPassword)
		set("master_name", o.MasterName)
		set("username", o.Username)
		set("password", o.Password)
	}
	if socket := o.Addrs[0]; strings.HasPrefix(socket, "/") {
		u.Scheme, u.Host, u.Path = "unix", "", socket
		if o.DB != 0 {
			set("db", strconv.Itoa(o.DB))
		}
	} else if o.DB != 0 {
		u.Path = "/" + strconv.Itoa(o.DB)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

func userinfo(user, password string) *url.Userinfo {
	if user == "" && password == "" {
		return nil
	}
	return url.UserPassword(user, password)
}

// secrets are what must not be in the output of a command.
func (s *connectionSpec) secrets() []string {
	o, err := s.universalOptions()
	if err != nil {
		return nil
	}
	return []string{o.Password, o.SentinelPassword}
}
