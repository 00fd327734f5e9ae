package cache

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/redisbinding/redisbinding/internal/wording"
)

const (
	settingsSection   = "Aspire:StackExchange:Redis"
	connectionStrings = "ConnectionStrings"
	optionsSection    = "ConfigurationOptions"

	connectionStringName = "ConnectionString"
)

// Defaults of [Settings].
const (
	// DefaultDisableHealthChecks is the default of DisableHealthChecks: there are some.
	DefaultDisableHealthChecks = false
	// DefaultDisableTracing is the default of DisableTracing: there are spans.
	DefaultDisableTracing = false
	// DefaultDisableAutoActivation is the default of DisableAutoActivation: the
	// first use connects.
	DefaultDisableAutoActivation = true
)

// Settings are the client settings of a cache, StackExchangeRedisSettings in
// .NET Aspire. They are read from the configuration, where later ones win: the
// section Aspire:StackExchange:Redis, Aspire:StackExchange:Redis:{name}, and for
// the connection string alone ConnectionStrings:{name}.
//
// Passwords print as ***, also with encoding/json.
type Settings struct {
	// ConnectionString is where Redis is, and how to connect to it: see
	// [ParseConnectionString]. Default empty. May hold passwords.
	ConnectionString string
	// InstanceName is put before every key. Default empty.
	InstanceName string
	// DisableHealthChecks leaves out the health check. Default false.
	DisableHealthChecks bool
	// DisableTracing leaves out the spans of OpenTelemetry. Default false.
	DisableTracing bool
	// DisableAutoActivation connects at the first use, and not at the start.
	// Default true.
	DisableAutoActivation bool
	// ConfigurationOptions are options of the connection by their names in
	// StackExchange.Redis, such as ConnectTimeout, without regard to case. They
	// win over the same keyword of ConnectionString. Default empty.
	ConfigurationOptions map[string]string

	// origins says where the ConfigurationOptions come from, by their names there, and
	// the ConnectionString.
	origins map[string]configured
	// endpointLater says that somebody may still set one.
	endpointLater bool
}

// settings reads the settings of the cache called name, those that could be read also
// when there is an error. Every mistake is reported, each as a *[ConfigurationError], joined
// with errors.Join.
func (c configuration) settings(name string) (*Settings, error) {
	r := settingsReader{c: c, s: &Settings{
		DisableHealthChecks:   DefaultDisableHealthChecks,
		DisableTracing:        DefaultDisableTracing,
		DisableAutoActivation: DefaultDisableAutoActivation,
		ConfigurationOptions:  map[string]string{},
		origins:               map[string]configured{},
	}}
	r.section(settingsSection)
	if name != "" {
		r.section(settingsSection + ":" + name)
		// An empty one, as an unset variable of a composed environment is, is none.
		if value, _ := c.get(connectionStrings + ":" + name); value != "" {
			r.connectionString(connectionStrings+":"+name, value)
		}
	}
	return r.s, errors.Join(r.errs...)
}

// settingsReader is one run of settings.
type settingsReader struct {
	c    configuration
	s    *Settings
	errs []error
}

func (r *settingsReader) fail(path, reason string) {
	r.errs = append(r.errs, &ConfigurationError{Path: path, Reason: reason})
}

// section reads the settings in one section. A section in it is another cache's,
// but for the options.
func (r *settingsReader) section(section string) {
	prefix := strings.ToLower(section) + ":"
	for _, key := range slices.Sorted(maps.Keys(r.c)) { // so that errors have an order
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		found := r.c[key]
		names := strings.Split(found.path, ":")[strings.Count(prefix, ":"):] // as they were written
		if len(names) == 1 {
			r.scalar(section, names[0], found.value)
		} else if strings.EqualFold(names[0], optionsSection) {
			r.option(section+":"+optionsSection, strings.Join(names[1:], ":"), found.value)
		}
	}
}

// scalarNames are the names of the settings that are one value.
var scalarNames = []string{
	connectionStringName, "InstanceName", "DisableHealthChecks", "DisableTracing", "DisableAutoActivation",
}

func (r *settingsReader) scalar(section, name, value string) {
	var flag *bool
	switch strings.ToLower(name) {
	case "connectionstring":
		if value != "" {
			r.connectionString(section+":"+connectionStringName, value)
		}
		return
	case "instancename":
		r.s.InstanceName = value
		return
	case "disablehealthchecks":
		flag = &r.s.DisableHealthChecks
	case "disabletracing":
		flag = &r.s.DisableTracing
	case "disableautoactivation":
		flag = &r.s.DisableAutoActivation
	case strings.ToLower(optionsSection):
		r.fail(section+":"+optionsSection, "takes options by name, such as "+section+":"+optionsSection+":ConnectTimeout")
		return
	default:
		r.fail(section+":"+name, "is not known"+didYouMean(
			wording.Nearest(name, max(1, len(name)/4), append(scalarNames, optionsSection)...)))
		return
	}
	v, ok := parseBool(value)
	if !ok {
		for _, known := range scalarNames {
			if strings.EqualFold(name, known) {
				r.fail(section+":"+known, "takes true or false (or 1/0, yes/no, on/off), got "+wording.Quoted(value))
			}
		}
		return
	}
	*flag = v
}

func (r *settingsReader) connectionString(path, value string) {
	r.s.ConnectionString = value
	r.s.origins[connectionStringName] = configured{path, value}
}

func didYouMean(nearest string) string {
	if nearest == "" {
		return ""
	}
	return ": did you mean " + nearest + "?"
}

func (r *settingsReader) option(section, name, value string) {
	k := naming(inOptions).find(name)
	if k == nil {
		r.fail(section+":"+name, "is not known"+didYouMean(naming(inOptions).nearest(name)))
		return
	}
	r.s.ConfigurationOptions[k.option] = value
	r.s.origins[k.option] = configured{section + ":" + k.option, value}
}

// connection returns what the settings of the cache called name say about the
// connection: the connection string, with the ConfigurationOptions over it. Every
// mistake in them is reported, as [ParseConnectionString] does; no endpoint is one.
func (s *Settings) connection(name string) (*ConnectionString, error) {
	c, errs := parseConnectionString(s.ConnectionString)
	for _, err := range errs {
		var mistake *ConfigurationError
		if errors.As(err, &mistake) {
			mistake.Path = s.connectionPath()
		}
	}
	missing := len(c.endpoints) == 0 && len(errs) == 0 && !s.endpointLater // and not just misspelt
	fail := func(path, reason string) {
		errs = append(errs, &ConfigurationError{Path: path, Reason: reason})
	}
	given := map[string]string{} // by the option's own name
	for _, option := range slices.Sorted(maps.Keys(s.ConfigurationOptions)) {
		value := s.ConfigurationOptions[option]
		path := optionsSection + ":" + option
		k := naming(inOptions).find(option)
		if k == nil {
			fail(path, "is not known"+didYouMean(naming(inOptions).nearest(option)))
			continue
		}
		if origin := s.origins[k.option]; origin.path != "" && origin.value == value {
			path = origin.path // and not the application's
		}
		if before, twice := given[k.option]; twice && before != value {
			fail(path, "is given twice, in spellings that mean the same, with different values")
			continue
		}
		given[k.option] = value
		if reason := k.apply(c, value); reason != "" {
			fail(path, reason)
		}
	}
	if missing {
		fail(connectionStrings+":"+name, noEndpoint(name))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// connectionPath says where the connection string comes from.
func (s *Settings) connectionPath() string {
	if origin := s.origins[connectionStringName]; origin.path != "" && origin.value == s.ConnectionString {
		return origin.path
	}
	return connectionStringName // the application's
}

// noEndpoint names both places where a connection string may be.
func noEndpoint(name string) string {
	section := settingsSection + ":" + name + ":ConnectionString"
	variable := func(path string) string { return strings.ReplaceAll(path, ":", "__") }
	return "there is no connection string with an endpoint such as localhost:6379: set " +
		connectionStrings + ":" + name + " (environment variable " + variable(connectionStrings+":"+name) + ") or " +
		section + " (environment variable " + variable(section) + ")"
}

// String shows the settings on one line. Passwords are ***, and all of a
// connection string with mistakes in it is.
func (s Settings) String() string {
	var options []string
	for _, option := range slices.Sorted(maps.Keys(s.ConfigurationOptions)) {
		value := "***" // also of an option that nobody knows
		if k := naming(inOptions).find(option); k != nil && !k.isSecret() {
			value = s.ConfigurationOptions[option]
		}
		options = append(options, option+"="+value)
	}
	connection := "***"
	if c, err := ParseConnectionString(s.ConnectionString); err == nil {
		connection = c.String()
	}
	return fmt.Sprintf("{ConnectionString:%s InstanceName:%s DisableHealthChecks:%t DisableTracing:%t DisableAutoActivation:%t "+
		"ConfigurationOptions:[%s]}", connection, s.InstanceName, s.DisableHealthChecks, s.DisableTracing, s.DisableAutoActivation,
		strings.Join(options, " "))
}

// Format writes what String returns, whatever the verb.
func (s Settings) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText does what String does, for encoding/json and its like.
func (s Settings) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue does what String does, for log/slog.
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }
