package cache

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// ConnectionString is a connection string of StackExchange.Redis, checked. Make
// it with [ParseConnectionString]. It does not change, and any number of
// goroutines may use it. Its passwords print as *** whatever prints it.
//
// These are the keywords, with the names they have as ConfigurationOptions, what
// they take and their defaults. Time-outs are in milliseconds. A boolean is
// true/false, 1/0, yes/no or on/off in any case.
//
//	user                User               text                      none: the user "default"
//	password            Password           text                      none
//	sentinelUser        -                  text                      user
//	sentinelPassword    -                  text                      password
//	name                ClientName         text, for CLIENT SETNAME  none
//	defaultDatabase     DefaultDatabase    0 or more                 0
//	serviceName         ServiceName        the sentinels' name       none: endpoints are no sentinels
//	                                       of the primary
//	protocol            Protocol           resp2, 2, resp3, 3        resp3
//	connectTimeout      ConnectTimeout     1 or more                 5000, syncTimeout if that is more
//	syncTimeout         SyncTimeout        1 or more, to read        5000
//	asyncTimeout        AsyncTimeout       1 or more, to write       syncTimeout
//	connectRetry        ConnectRetry       attempts to connect,      3
//	                                       0 or more; 0 is one, too
//	ssl                 Ssl                boolean                   false
//	sslHost             SslHost            the name to verify,       the host of each endpoint
//	                                       with ssl
//	sslProtocols        SslProtocols       Tls12, Tls13,             TLS 1.2 or later
//	                                       Tls12|Tls13, with ssl
//	setlib              SetClientLibrary   boolean, CLIENT SETINFO   true
//	-                   LibraryName        text, with setlib         none
//	abortConnect        AbortOnConnectFail boolean                   false
//	tunnel              -                  http:host:port            none
//	resolveDns          ResolveDns         boolean                   names are resolved when dialling
//	tcpKeepAlive        -                  boolean                   true
//
// These are checked and have no effect, see [ConnectionString.WithoutEffect]:
// allowAdmin, channelPrefix, checkCertificateRevocation, configChannel,
// configCheckSeconds, highIntegrity, keepAlive, proxy, tiebreaker, version; the
// options HeartbeatConsistencyChecks, HeartbeatInterval, IncludeDetailInExceptions,
// IncludePerformanceCountersInExceptions; the obsolete highPriorityThreads,
// preserveAsyncOrder, responseTimeout, writeBuffer; and $CMD= for any command.
type ConnectionString struct {
	endpoints []endpoint

	user, sentinelUser      string
	secrets                 func() *secrets
	clientName, libraryName string
	setLibrary              bool
	serviceName             string
	database                int
	protocol                int

	connectTimeout, syncTimeout, asyncTimeout int // milliseconds; 0: not given
	connectRetry                              int
	abortConnect                              bool

	ssl            bool
	sslHost        string
	minTLS, maxTLS uint16 // 0: not given
	tunnel         string // host:port of a proxy
	tcpKeepAlive   bool

	// given has what was given, by the name of its keyword in errors, as it is
	// printed: no password.
	given map[string]string
	// commands says that $CMD= was given for some command.
	commands bool
}

// secrets are behind a function as fmt shows the fields of a ConnectionString that
// somebody keeps in an unexported field, where it cannot call Format. It follows
// pointers.
type secrets struct{ password, sentinelPassword string }

// connectionStringPath is the Path of errors about a connection string.
const connectionStringPath = "connection string"

// ParseConnectionString reads a connection string of StackExchange.Redis: a list
// with commas of endpoints (host, host:port, an IPv6 address, !/path of a Unix
// socket) and of keywords (name=value). Names are matched without regard to
// case, and of two the last one wins. There is no quoting: no value can hold a
// comma. A string without any endpoint is none of its errors.
//
// Every mistake is reported, each as a *[ConfigurationError], joined with
// errors.Join in the order of the string. No error holds a password, or what may
// be a piece of one that had a comma in it.
//
// It follows ConfigurationOptions.cs and docs/Configuration.md of
// StackExchange.Redis, but for a bad port, which is dropped silently there and is
// an error here; for a name without a port right behind a password, which may be the
// rest of that password and is an error when there is an endpoint already; and for
// abortConnect, whose default is Aspire's.
func ParseConnectionString(s string) (*ConnectionString, error) {
	c, errs := parseConnectionString(s)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// parseConnectionString is ParseConnectionString with the errors in a list, and
// what could be read beside them.
func parseConnectionString(s string) (*ConnectionString, []error) {
	passwords := &secrets{}
	p := parser{c: &ConnectionString{
		secrets:      func() *secrets { return passwords },
		setLibrary:   DefaultSetLibrary,
		database:     DefaultDatabase,
		protocol:     DefaultProtocol,
		connectRetry: DefaultConnectRetry,
		abortConnect: DefaultAbortConnect,
		tcpKeepAlive: DefaultTCPKeepAlive,
		given:        map[string]string{},
	}}
	for token := range strings.SplitSeq(s, ",") {
		if token = strings.TrimSpace(token); token == "" {
			continue
		}
		if i := strings.Index(token, "="); i > 0 {
			p.keyword(strings.TrimSpace(token[:i]), strings.TrimSpace(token[i+1:]))
		} else {
			p.endpoint(token)
		}
	}
	return p.c, p.errs
}

// parser is one run of parseConnectionString.
type parser struct {
	c    *ConnectionString
	errs []error
	// exposed says that the next token may be the rest of a password that had a
	// comma in it. It must not be shown then.
	exposed bool
}

func (p *parser) fail(reason string) {
	p.errs = append(p.errs, &ConfigurationError{Path: connectionStringPath, Reason: reason})
}

// torn explains what cannot be shown.
const torn = " It stands behind a password, so it is not shown: if it is the rest of that password," +
	" choose one without a comma, which a connection string cannot hold."

var (
	// showable is what a mistyped keyword looks like; a piece of a URL does not.
	showable = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 _.-]{0,63}$`)
	// secretly is what has a password in it, or in what follows.
	secretly = regexp.MustCompile(`(?i)pass|pw|secret|token|key|auth|://|@`)
	disabled = regexp.MustCompile(`^\$\s*[A-Za-z]`)
)

func (p *parser) keyword(name, value string) {
	if k := naming(inString).find(name); k != nil {
		if reason := k.apply(p.c, value); reason != "" {
			p.fail(reason)
		}
		p.exposed = k.isSecret()
		return
	}
	if disabled.MatchString(name) { // disables or renames a command, of which there are none to choose from here
		p.c.commands = true
		return
	}
	nearest := naming(inString).nearest(name)
	suggestion := ""
	if nearest != "" {
		suggestion = " Did you mean '" + nearest + "'?"
	}
	switch {
	case p.exposed:
		p.fail("A keyword is not supported." + suggestion + torn)
	case !showable.MatchString(name):
		p.fail("A keyword that is not made of letters is not supported." + suggestion)
	default:
		p.fail("Keyword '" + name + "' is not supported." + suggestion)
	}
	p.exposed = p.exposed || secretly.MatchString(name+"="+value) || strings.HasSuffix(strings.ToLower(nearest), "password")
}

func (p *parser) endpoint(token string) {
	e, reason := parseEndpoint(token)
	if p.exposed && reason == "" && e.isBareName() && len(p.c.endpoints) > 0 { // or else it would be dialled, and be in errors
		reason = "behind a password, and not the first, it needs a port"
	}
	secretive := secretly.MatchString(token) // a URL, or password:x
	switch {
	case reason == "":
		p.c.endpoints = append(p.c.endpoints, e)
		return
	case p.exposed:
		p.fail("What is no keyword is an endpoint, and " + reason + "." + torn)
	case secretive:
		p.fail("An endpoint is not recognised: " + reason + ".")
	default:
		p.fail("Endpoint " + quoted(token) + " is not recognised: " + reason + ".")
	}
	p.exposed = p.exposed || secretive
}

// AbortConnect says whether opening is to fail when nothing answers. Default
// [DefaultAbortConnect]; an explicit abortConnect=true makes it true.
func (c *ConnectionString) AbortConnect() bool { return c.abortConnect }

// WithoutEffect returns the names of what was given and has no effect here, for
// the caller to log once: what go-redis has nothing like, what is obsolete, and
// what needs ssl, serviceName or setlib when that is not set. They are spelled as
// in a connection string (as an option where it has no keyword), in an order that
// does not depend on the string.
func (c *ConnectionString) WithoutEffect() (names []string) {
	for i := range keywords {
		k := &keywords[i]
		if _, given := c.given[k.name()]; given && k.idle != nil && k.idle(c) {
			names = append(names, k.printedName())
		}
	}
	if c.commands {
		names = append(names, "$CMD")
	}
	return names
}

// printedName is the name in a connection string, if there is one.
func (k *keyword) printedName() string {
	if k.keyword != "" {
		return k.keyword
	}
	return k.option
}

// String returns the connection string in one spelling: the endpoints with their
// ports, then what was given, in an order that does not depend on the string.
// Passwords are ***; which commands $CMD= was given for is not said.
func (c ConnectionString) String() string {
	tokens := make([]string, 0, len(c.endpoints)+len(c.given)+1)
	for _, addr := range c.addresses() {
		if strings.HasPrefix(addr, "/") {
			addr = "!" + addr
		}
		tokens = append(tokens, addr)
	}
	for i := range keywords {
		k := &keywords[i]
		if printed, given := c.given[k.name()]; given {
			tokens = append(tokens, k.printedName()+"="+printed)
		}
	}
	if c.commands {
		tokens = append(tokens, "$CMD=")
	}
	return strings.Join(tokens, ",")
}

// Format writes what String returns, whatever the verb.
func (c ConnectionString) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue does what String does, for log/slog.
func (c ConnectionString) LogValue() slog.Value { return slog.StringValue(c.String()) }
