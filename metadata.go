package redisbinding

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/mitchellh/mapstructure"

	"github.com/redisbinding/redisbinding/internal/wording"
)

// The two values of redisType.
const (
	// TypeNode is one server, or with failover one primary that sentinels name.
	TypeNode = "node"
	// TypeCluster is a Redis Cluster.
	TypeCluster = "cluster"
)

// The two values of pipelining.
const (
	// PipeliningAuto lets calls that are made at the same time share round trips.
	PipeliningAuto = "auto"
	// PipeliningOff gives each call a round trip, and a connection, of its own.
	PipeliningOff = "off"
)

// Defaults of the metadata fields. A field that is absent or empty has its
// default; what is not listed here is empty, false or 0 (none).
const (
	// DefaultRedisPort is the port of an address in redisHost that has none,
	// when redisPort gives none either. It holds for sentinels too.
	DefaultRedisPort = 6379
	// DefaultRedisType is the default of redisType.
	DefaultRedisType = TypeNode
	// DefaultRedisDB is the default of redisDB.
	DefaultRedisDB = 0
	// DefaultRedisMaxRetries is the default of redisMaxRetries: a failed command is not sent again.
	DefaultRedisMaxRetries = 0
	// DefaultRedisMinRetryInterval is the default of redisMinRetryInterval.
	DefaultRedisMinRetryInterval = 8 * time.Millisecond
	// DefaultRedisMaxRetryInterval is the default of redisMaxRetryInterval.
	DefaultRedisMaxRetryInterval = 512 * time.Millisecond
	// DefaultDialTimeout is the default of dialTimeout.
	DefaultDialTimeout = 5 * time.Second
	// DefaultReadTimeout is the default of readTimeout. writeTimeout defaults to readTimeout.
	DefaultReadTimeout = 3 * time.Second
	// DefaultPoolSizePerCPU times runtime.NumCPU is the default of poolSize.
	DefaultPoolSizePerCPU = 10
	// DefaultPoolTimeoutMargin is added to readTimeout (to DefaultReadTimeout
	// when readTimeout is "-1") for the default of poolTimeout.
	DefaultPoolTimeoutMargin = time.Second
	// DefaultMaxConnAge is the default of maxConnAge: no maximum.
	DefaultMaxConnAge time.Duration = 0
	// DefaultMinIdleConns is the default of minIdleConns.
	DefaultMinIdleConns = 0
	// DefaultIdleCheckFrequency is the default of idleCheckFrequency.
	DefaultIdleCheckFrequency = time.Minute
	// DefaultIdleTimeout is the default of idleTimeout.
	DefaultIdleTimeout = 5 * time.Minute
	// DefaultPipelining is the default of pipelining.
	DefaultPipelining = PipeliningAuto
	// DefaultRedeliverInterval is the default of redeliverInterval.
	DefaultRedeliverInterval = 60 * time.Second
	// DefaultProcessingTimeout is the default of processingTimeout.
	DefaultProcessingTimeout = 15 * time.Second
	// DefaultAzureEnvironment is the default of azureEnvironment.
	DefaultAzureEnvironment = "AzurePublicCloud"
	// DefaultAzureRedisScope is the default of azureRedisScope.
	DefaultAzureRedisScope = "https://redis.azure.com/.default"
)

// Metadata is the metadata of a binding, checked and with its defaults in
// place. Make it with [ParseMetadata], which takes the fields as strings under
// the names in the tags.
//
// In the strings, a boolean is true/false, 1/0, yes/no, on/off, y/n or t/f in
// any case; a duration is a Go duration ("1m30s") or a bare number of
// milliseconds; "-1" means off only where it says so below; an empty value is
// an absent one. In this struct, 0 stands for off.
//
// Secrets print as ***.
type Metadata struct {
	// RedisHost is where Redis is: host or host:port, or a comma-separated list
	// of them: the sentinels with failover, some nodes with redisType cluster.
	// An IPv6 address is ::1, [::1] or [::1]:6379. Required.
	RedisHost string `mapstructure:"redisHost"`
	// RedisPort is the port of the addresses in redisHost that have none: 1 to
	// 65535, default 6379. An address with another port beside it is an error.
	RedisPort int `mapstructure:"redisPort"`
	// RedisUsername is the ACL user to authenticate as (Redis 6.0 or later).
	// Default empty: the user "default". Needs redisPassword.
	RedisUsername string `mapstructure:"redisUsername"`
	// RedisPassword is the password of the server or of the ACL user. Secret.
	RedisPassword Secret `mapstructure:"redisPassword"`

	// EnableTLS connects with TLS 1.2 or later, to sentinels too. The server's
	// certificate is verified for the host in redisHost, or serverName, against
	// the system's CAs, or caCert. Default false.
	EnableTLS bool `mapstructure:"enableTLS"`
	// CACert is the PEM of the CAs to trust instead of the system's. Needs enableTLS.
	CACert string `mapstructure:"caCert"`
	// ServerName is the name to verify in the server's certificate and to send
	// as SNI. Default: the host of each address. Needs enableTLS.
	ServerName string `mapstructure:"serverName"`
	// InsecureSkipTLSVerify accepts any certificate, so that anybody in the
	// middle can read and change everything. Default false. Needs enableTLS.
	InsecureSkipTLSVerify bool `mapstructure:"insecureSkipTLSVerify"`
	// ClientCert is the PEM of the client certificate, for servers that want
	// one. Needs clientKey and enableTLS. Treated as secret.
	ClientCert Secret `mapstructure:"clientCert"`
	// ClientKey is the PEM of the private key of clientCert. Needs clientCert
	// and enableTLS. Secret.
	ClientKey Secret `mapstructure:"clientKey"`

	// RedisType is "node" (the default) or "cluster", in any case. With failover
	// there is one primary either way; "cluster" then only means that redisDB is ignored.
	RedisType string `mapstructure:"redisType"`
	// RedisDB is the number of the database: 0 or more, default 0. It is
	// ignored when redisType is "cluster".
	RedisDB int `mapstructure:"redisDB"`
	// Failover asks the sentinels in redisHost for the primary and follows it
	// when it moves. Needs sentinelMasterName. Default false.
	Failover bool `mapstructure:"failover"`
	// SentinelMasterName is the name the sentinels know the primary by. Needs failover.
	SentinelMasterName string `mapstructure:"sentinelMasterName"`
	// SentinelUsername is the ACL user of the sentinels. Default empty: the user
	// "default". Needs failover and sentinelPassword.
	SentinelUsername string `mapstructure:"sentinelUsername"`
	// SentinelPassword is the password of the sentinels; redisPassword is not
	// sent to them. Needs failover. Secret.
	SentinelPassword Secret `mapstructure:"sentinelPassword"`

	// RedisMaxRetries is how many times a failed command is sent again, 0 or
	// more, default 0. A get with delete=true or an increment that may have
	// reached the server is never sent again. Connecting again counts as a retry.
	RedisMaxRetries int `mapstructure:"redisMaxRetries"`
	// RedisMinRetryInterval is about how long to pause before the first retry;
	// the pause doubles with each. 0 or more, default 8ms (redisMaxRetryInterval
	// when that is less); "-1" or "0": no pause.
	RedisMinRetryInterval time.Duration `mapstructure:"redisMinRetryInterval"`
	// RedisMaxRetryInterval is the longest pause before a retry. 0 or more,
	// default 512ms (redisMinRetryInterval when that is more); "-1" or "0": no pause.
	RedisMaxRetryInterval time.Duration `mapstructure:"redisMaxRetryInterval"`
	// DialTimeout bounds connecting, TLS included, waiting for a token of Entra
	// ID, and all of [NewRedisBinding] but the latter. 1ms or more, default 5s.
	DialTimeout time.Duration `mapstructure:"dialTimeout"`
	// ReadTimeout bounds waiting for a reply: how long the server may be silent, as
	// a long reply, or those to many commands, may take longer. 1ms or more,
	// default 3s; "-1": no bound.
	ReadTimeout time.Duration `mapstructure:"readTimeout"`
	// WriteTimeout bounds sending a command. 1ms or more, default readTimeout;
	// "-1": no bound.
	WriteTimeout time.Duration `mapstructure:"writeTimeout"`

	// PoolSize is the most connections to keep to a server (of a cluster, to
	// each node): 1 to 65535, default 10 for each CPU (runtime.NumCPU).
	PoolSize int `mapstructure:"poolSize"`
	// PoolTimeout bounds waiting to be sent when all connections are busy, and then
	// once more for a connection when others than Invoke have some. 1ms or more, default readTimeout + 1s (4s when readTimeout is "-1").
	PoolTimeout time.Duration `mapstructure:"poolTimeout"`
	// MaxConnAge is the age at which a connection is replaced, when it is next
	// asked for. 0 or more, default 0: no maximum.
	MaxConnAge time.Duration `mapstructure:"maxConnAge"`
	// MinIdleConns is how many idle connections to open ahead, and to keep for
	// however long they are idle (of a cluster, to each node): 0 to poolSize, default 0.
	MinIdleConns int `mapstructure:"minIdleConns"`
	// IdleCheckFrequency is how often idle connections are looked for and
	// closed while the application is quiet. 1ms or more, default 1m; "-1": never.
	IdleCheckFrequency time.Duration `mapstructure:"idleCheckFrequency"`
	// IdleTimeout is how long an unused connection is kept; it should be less
	// than the server's own timeout setting. 1ms or more, default 5m; "-1": for
	// ever. With useEntraID connections are used in turn, and so are idle only
	// when there are fewer calls than connections in this time.
	IdleTimeout time.Duration `mapstructure:"idleTimeout"`

	// Pipelining is "auto" (the default) or "off", in any case. With auto, calls
	// made at the same time share round trips: see the package documentation. With
	// off, or [WithoutPipelining], each has a connection to itself, of poolSize; and
	// with readTimeout or writeTimeout "-1", as nothing else would end a round trip
	// that all its callers have left.
	Pipelining string `mapstructure:"pipelining"`

	// TTL is how long a created key lives when the request does not
	// say: a whole number of seconds from 1 or a Go duration of at least 1ms,
	// as in a request. Default 0: for ever. It does not hold for increment.
	TTL time.Duration `mapstructure:"ttlInSeconds"`

	// RedeliverInterval is checked (0 or more, default 60s) and has no effect:
	// an output binding redelivers nothing.
	RedeliverInterval time.Duration `mapstructure:"redeliverInterval"`
	// ProcessingTimeout is checked (0 or more, default 15s) and has no effect:
	// an output binding redelivers nothing.
	ProcessingTimeout time.Duration `mapstructure:"processingTimeout"`

	// UseEntraID authenticates with tokens of Microsoft Entra ID, as Azure Cache
	// for Redis and Azure Managed Redis take them, and renews them. It needs
	// redisHost as host:port and enableTLS, and no redisUsername and
	// redisPassword. The alias useAzureAD means the same. Default false.
	//
	// Whose tokens: those of the application that azureClientSecret or a
	// certificate belongs to; without these, of the first that is there of the
	// environment variables AZURE_CLIENT_ID and so on, a workload identity, a managed
	// identity, and who is logged in to the Azure CLI. [WithTokenCredential]
	// overrides that.
	UseEntraID bool `mapstructure:"useEntraID"`
	// AzureTenantID is the Entra tenant: an ID or a domain. Needed with
	// azureClientSecret and a certificate; otherwise the tenant of the workload
	// identity and of the CLI, default theirs.
	AzureTenantID string `mapstructure:"azureTenantID"`
	// AzureClientID is the client ID of the application (needed with
	// azureClientSecret and a certificate), of the workload identity, or of the
	// user-assigned managed identity. Default: the workload identity's own, and
	// the system-assigned managed identity.
	AzureClientID string `mapstructure:"azureClientID"`
	// AzureClientSecret is a secret of the application. Needs useEntraID,
	// azureTenantID and azureClientID. Secret.
	AzureClientSecret Secret `mapstructure:"azureClientSecret"`
	// AzureCertificate is a certificate of the application with its RSA key: PEM,
	// or PKCS#12 in base64. Needs what azureClientSecret needs; give one of them. Secret.
	AzureCertificate Secret `mapstructure:"azureCertificate"`
	// AzureCertificateFile is the file with the certificate and its key, in PEM
	// or PKCS#12. It is read anew for each token. Needs what azureCertificate needs.
	AzureCertificateFile string `mapstructure:"azureCertificateFile"`
	// AzureCertificatePassword is the password of a PKCS#12 certificate.
	// Default empty: none. Needs azureCertificate or azureCertificateFile. Secret.
	AzureCertificatePassword Secret `mapstructure:"azureCertificatePassword"`
	// AzureEnvironment is the cloud: AzurePublicCloud (the default; the environment
	// variable AZURE_AUTHORITY_HOST may name another authority),
	// AzureChinaCloud or AzureUSGovernmentCloud.
	AzureEnvironment string `mapstructure:"azureEnvironment"`
	// AzureRedisScope is the scope of the tokens, for clouds with another one.
	// Default https://redis.azure.com/.default.
	AzureRedisScope string `mapstructure:"azureRedisScope"`
	// AzureObjectID is the user to authenticate as. Default: the token's claim
	// oid, the object ID of the identity.
	AzureObjectID string `mapstructure:"azureObjectID"`

	// Unknown holds the names of the fields that are none of the above, sorted.
	// [NewRedisBinding] logs them.
	Unknown []string `mapstructure:"-"`

	addrs []string    // redisHost, each address with its port
	tls   *tls.Config // nil without enableTLS
}

// Format writes the fields as %v does, or %+v or %#v, whatever the verb: of one that fits
// nothing, and behind a pointer in a list %s is one, fmt would show secrets as they are.
func (m Metadata) Format(f fmt.State, verb rune) {
	type fields Metadata // without this method
	format := "%v"
	if verb == 'v' {
		format = fmt.FormatString(f, verb)
	}
	_, _ = fmt.Fprintf(f, format, fields(m))
}

// aliases are other names of fields.
var aliases = map[string]string{"useAzureAD": "useEntraID"}

// bound says what a number or a duration may be, and how an error says so.
type bound struct {
	min, max int64
	off      bool // "-1" means 0, off
	takes    string
}

// Bounds of every field that is a number or a duration.
var (
	anyDuration      = bound{0, math.MaxInt64, false, `a duration of 0 or more such as "30s"`}
	pause            = bound{0, math.MaxInt64, true, `a duration of 0 or more such as "8ms", or "-1" for no pause`}
	timeout          = bound{int64(time.Millisecond), math.MaxInt64, false, `a duration of at least 1ms such as "3s"`}
	optionalTimeout  = bound{timeout.min, timeout.max, true, `a duration of at least 1ms such as "3s", or "-1" for none`}
	wholeNumber      = bound{0, math.MaxInt32 - 1, false, "a whole number of 0 or more"}
	portNumber       = bound{1, math.MaxUint16, false, "a port from 1 to 65535"}
	connectionNumber = bound{1, math.MaxUint16, false, "a number of connections from 1 to 65535 (one host has no more ports)"}

	bounds = map[string]bound{
		"redisPort":             portNumber,
		"redisDB":               wholeNumber,
		"redisMaxRetries":       wholeNumber,
		"redisMinRetryInterval": pause,
		"redisMaxRetryInterval": pause,
		"dialTimeout":           timeout,
		"readTimeout":           optionalTimeout,
		"writeTimeout":          optionalTimeout,
		"poolSize":              connectionNumber,
		"poolTimeout":           timeout,
		"maxConnAge":            anyDuration,
		"minIdleConns":          wholeNumber,
		"idleCheckFrequency":    optionalTimeout,
		"idleTimeout":           optionalTimeout,
		"redeliverInterval":     anyDuration,
		"processingTimeout":     anyDuration,
	}
)

// ParseMetadata reads and checks the metadata of a binding. Names are matched
// without regard to case; an empty value is an absent one. Every bad field is
// reported, each once, as a *[MetadataError], joined with errors.Join in the
// order of the struct. Names that are no field are no error: they are listed in
// Metadata.Unknown.
//
// Nothing is connected to. The result is the caller's own.
func ParseMetadata(properties map[string]string) (*Metadata, error) {
	m, errs := parseMetadata(properties)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// parseMetadata is ParseMetadata with the errors in a list, and with Unknown
// also when there are some: a misspelt name may be why another is missing.
func parseMetadata(properties map[string]string) (*Metadata, []error) {
	p := parser{
		m: &Metadata{
			RedisPort:             DefaultRedisPort,
			RedisType:             DefaultRedisType,
			Pipelining:            DefaultPipelining,
			RedisDB:               DefaultRedisDB,
			RedisMaxRetries:       DefaultRedisMaxRetries,
			RedisMinRetryInterval: DefaultRedisMinRetryInterval,
			RedisMaxRetryInterval: DefaultRedisMaxRetryInterval,
			DialTimeout:           DefaultDialTimeout,
			ReadTimeout:           DefaultReadTimeout,
			PoolSize:              DefaultPoolSizePerCPU * runtime.NumCPU(),
			MaxConnAge:            DefaultMaxConnAge,
			MinIdleConns:          DefaultMinIdleConns,
			IdleCheckFrequency:    DefaultIdleCheckFrequency,
			IdleTimeout:           DefaultIdleTimeout,
			RedeliverInterval:     DefaultRedeliverInterval,
			ProcessingTimeout:     DefaultProcessingTimeout,
			AzureEnvironment:      DefaultAzureEnvironment,
			AzureRedisScope:       DefaultAzureRedisScope,
		},
		given: map[string]string{},
		bad:   map[string]string{},
	}
	p.collect(properties)
	for _, name := range fieldNames {
		if value, ok := p.given[name]; ok {
			p.decode(name, value)
		}
	}
	p.dependentDefaults()
	p.validate()
	var errs []error
	for _, name := range fieldNames {
		if reason, bad := p.bad[name]; bad {
			errs = append(errs, &MetadataError{Field: name, Reason: reason})
		}
	}
	return p.m, errs
}

// fieldNames are the names of all fields, in the order of the struct.
var fieldNames = func() (names []string) {
	for field := range reflect.TypeFor[Metadata]().Fields() {
		if name := field.Tag.Get("mapstructure"); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}()

// canonicalName returns the field's name as the table spells it.
func canonicalName(name string) (string, bool) {
	for alias, field := range aliases {
		if strings.EqualFold(name, alias) {
			return field, true
		}
	}
	for _, field := range fieldNames {
		if strings.EqualFold(name, field) {
			return field, true
		}
	}
	return "", false
}

// parser is one run of parseMetadata.
type parser struct {
	m     *Metadata
	given map[string]string // what is not empty, by canonical name
	bad   map[string]string // what is wrong with fields, by canonical name
}

// fail reports a field. What was found first is what stays said of it.
func (p *parser) fail(field, reason string) {
	if !p.isBad(field) {
		p.bad[field] = reason
	}
}

// isBad says whether one of the fields has been reported.
func (p *parser) isBad(fields ...string) bool {
	return slices.ContainsFunc(fields, func(field string) bool {
		_, bad := p.bad[field]
		return bad
	})
}

// has says whether the field was given a value.
func (p *parser) has(field string) bool {
	_, ok := p.given[field]
	return ok
}

// collect fills given and Unknown.
func (p *parser) collect(properties map[string]string) {
	for name, value := range properties {
		field, known := canonicalName(name)
		switch {
		case !known:
			p.m.Unknown = append(p.m.Unknown, name)
		case value == "":
		case p.has(field) && p.given[field] != value:
			p.fail(field, "is given twice, under names that mean the same, with different values")
		default:
			p.given[field] = value
		}
	}
	slices.Sort(p.m.Unknown)
}

// decode puts one value into its field. One at a time, because mapstructure's
// own collected errors lose the field's name and the error's type.
func (p *parser) decode(name, value string) {
	var refused error // mapstructure keeps the text of it, in words of its own
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: p.m,
		DecodeHook: func(_, to reflect.Type, data any) (any, error) {
			text, ok := data.(string)
			if !ok {
				return data, nil
			}
			var v any = text
			switch {
			case to == reflect.TypeFor[time.Duration]() && name == "ttlInSeconds":
				v, refused = parseTTL(text)
			case to == reflect.TypeFor[time.Duration]():
				v, refused = bounds[name].duration(text)
			case to.Kind() == reflect.Int:
				v, refused = bounds[name].number(text)
			case to.Kind() == reflect.Bool:
				v, refused = parseBool(text)
			}
			return v, refused
		},
	})
	if err == nil {
		err = decoder.Decode(map[string]string{name: value})
	}
	switch {
	case refused != nil:
		p.fail(name, refused.Error())
	case err != nil: // cannot happen: every field is a string or handled by the hook
		p.fail(name, "cannot be decoded")
	}
}

// dependentDefaults fills the defaults that depend on other fields.
func (p *parser) dependentDefaults() {
	m := p.m
	if !p.has("writeTimeout") {
		m.WriteTimeout = m.ReadTimeout
	}
	if !p.has("poolTimeout") {
		read := m.ReadTimeout
		if read == 0 {
			read = DefaultReadTimeout
		}
		m.PoolTimeout = read + DefaultPoolTimeoutMargin
		if m.PoolTimeout < 0 { // readTimeout is as good as none
			m.PoolTimeout = math.MaxInt64
		}
	}
	if !p.has("redisMinRetryInterval") {
		m.RedisMinRetryInterval = min(m.RedisMinRetryInterval, m.RedisMaxRetryInterval)
	}
	if !p.has("redisMaxRetryInterval") {
		m.RedisMaxRetryInterval = max(m.RedisMinRetryInterval, m.RedisMaxRetryInterval)
	}
}

// checkUnknown logs the fields nobody knows, or refuses them when strict: the first
// of them, as whoever sends thousands is not misspelling.
func (m *Metadata) checkUnknown(strict bool, logger *slog.Logger) (errs []error) {
	const most = 100
	for _, name := range m.Unknown[:min(most, len(m.Unknown))] {
		nearest := nearestName(name)
		if !strict {
			logger.Warn("redisbinding: unknown metadata field", "field", name, "nearest", nearest)
			continue
		}
		reason := "is not known"
		if nearest != "" {
			reason += ": did you mean " + nearest + "?"
		}
		errs = append(errs, &MetadataError{Field: name, Reason: reason})
	}
	if more := len(m.Unknown) - most; more > 0 && !strict {
		logger.Warn("redisbinding: more unknown metadata fields", "count", more)
	}
	return errs
}

// nearestName returns the field that name is probably a misspelling of, or "".
func nearestName(name string) string {
	return wording.Nearest(name, max(3, len(name)/4), slices.AppendSeq(slices.Clone(fieldNames), maps.Keys(aliases))...)
}
