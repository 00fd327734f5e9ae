package cache

import (
	"crypto/tls"
	"regexp"
	"strconv"
	"strings"

	"github.com/redisbinding/redisbinding/internal/wording"
)

// keyword is a setting of the connection: under one name in a connection
// string, and under another among the ConfigurationOptions.
type keyword struct {
	keyword string // "" when there is none in a connection string
	option  string // "" when there is none among the ConfigurationOptions
	read    reader
	idle    condition // when it has no effect; nil: never
}

// reader puts a value in its place, and returns it in one spelling, for
// printing. When it refuses the value, it says what it takes instead.
type reader func(c *ConnectionString, value string) (text, refused string)

type condition func(c *ConnectionString) bool

// keywords are all of them, in the order of [ConnectionString.String].
var keywords = []keyword{
	{"user", "User", text(func(c *ConnectionString) *string { return &c.user }), nil},
	{"password", "Password", hidden(func(c *ConnectionString) *string { return &c.secrets().password }), nil},
	{"sentinelUser", "", text(func(c *ConnectionString) *string { return &c.sentinelUser }), withoutSentinel},
	{"sentinelPassword", "", hidden(func(c *ConnectionString) *string { return &c.secrets().sentinelPassword }), withoutSentinel},
	{"name", "ClientName", text(func(c *ConnectionString) *string { return &c.clientName }), nil},
	{"defaultDatabase", "DefaultDatabase", number(0, func(c *ConnectionString) *int { return &c.database }), nil},
	{"serviceName", "ServiceName", text(func(c *ConnectionString) *string { return &c.serviceName }), nil},
	{"protocol", "Protocol", protocol, nil},
	{"connectTimeout", "ConnectTimeout", number(1, func(c *ConnectionString) *int { return &c.connectTimeout }), nil},
	{"syncTimeout", "SyncTimeout", number(1, func(c *ConnectionString) *int { return &c.syncTimeout }), nil},
	{"asyncTimeout", "AsyncTimeout", number(1, func(c *ConnectionString) *int { return &c.asyncTimeout }), nil},
	{"connectRetry", "ConnectRetry", number(0, func(c *ConnectionString) *int { return &c.connectRetry }), nil},
	{"ssl", "Ssl", boolean(func(c *ConnectionString) *bool { return &c.ssl }), nil},
	{"sslHost", "SslHost", text(func(c *ConnectionString) *string { return &c.sslHost }), withoutTLS},
	{"sslProtocols", "SslProtocols", sslProtocols, withoutTLS},
	{"setlib", "SetClientLibrary", boolean(func(c *ConnectionString) *bool { return &c.setLibrary }), nil},
	{"", "LibraryName", text(func(c *ConnectionString) *string { return &c.libraryName }), withoutLibrary},
	{"abortConnect", "AbortOnConnectFail", boolean(func(c *ConnectionString) *bool { return &c.abortConnect }), nil},
	{"tunnel", "", tunnelTo, nil},
	{"resolveDns", "ResolveDns", boolean(nil), nil}, // Go resolves a name whenever it dials: it does what is asked
	{"tcpKeepAlive", "", boolean(func(c *ConnectionString) *bool { return &c.tcpKeepAlive }), nil},

	// Nothing in go-redis does these. A value that upstream refuses is refused all the same.
	{"allowAdmin", "AllowAdmin", boolean(nil), always},
	{"channelPrefix", "ChannelPrefix", text(nil), always},
	{"checkCertificateRevocation", "CheckCertificateRevocation", boolean(nil), always},
	{"configChannel", "ConfigurationChannel", text(nil), always},
	{"configCheckSeconds", "ConfigCheckSeconds", number(0, nil), always},
	{"highIntegrity", "HighIntegrity", boolean(nil), always},
	{"keepAlive", "KeepAlive", number(minInt32, nil), always}, // -1 is "never" upstream
	{"proxy", "Proxy", oneOf("None", "Twemproxy", "Envoyproxy"), always},
	{"tiebreaker", "TieBreaker", text(nil), always},
	{"version", "DefaultVersion", form(versionForm, "a version such as 7.2"), always},
	{"", "HeartbeatConsistencyChecks", boolean(nil), always},
	{"", "HeartbeatInterval", form(intervalForm, "an interval hh:mm:ss"), always},
	{"", "IncludeDetailInExceptions", boolean(nil), always},
	{"", "IncludePerformanceCountersInExceptions", boolean(nil), always},

	// Obsolete: upstream takes any value, and does nothing.
	{"highPriorityThreads", "", text(nil), always},
	{"preserveAsyncOrder", "", text(nil), always},
	{"responseTimeout", "", text(nil), always},
	{"writeBuffer", "", text(nil), always},
}

func always(*ConnectionString) bool            { return true }
func withoutTLS(c *ConnectionString) bool      { return !c.ssl }
func withoutSentinel(c *ConnectionString) bool { return c.serviceName == "" }
func withoutLibrary(c *ConnectionString) bool  { return !c.setLibrary }

// A naming is one of the two names that a keyword has.
type naming func(*keyword) string

func inString(k *keyword) string  { return k.keyword }
func inOptions(k *keyword) string { return k.option }

// name is how errors spell a keyword: as upstream does.
func (k *keyword) name() string {
	if k.option != "" {
		return k.option
	}
	return k.keyword
}

// isSecret says whether the keyword holds a password.
func (k *keyword) isSecret() bool { return strings.HasSuffix(strings.ToLower(k.name()), "password") }

// find returns the keyword of that name, or nil.
func (as naming) find(name string) *keyword {
	for i := range keywords {
		if known := as(&keywords[i]); known != "" && strings.EqualFold(known, name) {
			return &keywords[i]
		}
	}
	return nil
}

// nearest returns the name that another one is probably a misspelling of, or
// stands for in the other naming; or "".
func (as naming) nearest(name string) string {
	var words []string
	named := map[string]string{}
	for i := range keywords {
		k := &keywords[i]
		if as(k) == "" {
			continue
		}
		for _, word := range []string{k.keyword, k.option} {
			if word != "" {
				words = append(words, word)
				named[word] = as(k)
			}
		}
	}
	return named[wording.Nearest(name, max(1, len(name)/4), words...)]
}

// apply sets a keyword. The reason says what is wrong with the value, in
// upstream's words.
func (k *keyword) apply(c *ConnectionString, value string) (reason string) {
	printed, refused := k.read(c, value)
	if refused != "" {
		return "Keyword '" + k.name() + "' " + refused
	}
	c.given[k.name()] = printed
	return ""
}

func text(field func(*ConnectionString) *string) reader {
	return func(c *ConnectionString, value string) (printed, refused string) {
		if field != nil {
			*field(c) = value
		}
		return value, ""
	}
}

func hidden(field func(*ConnectionString) *string) reader {
	return func(c *ConnectionString, value string) (printed, refused string) {
		if *field(c) = value; value == "" {
			return "", ""
		}
		return "***", ""
	}
}

func boolean(field func(*ConnectionString) *bool) reader {
	return func(c *ConnectionString, value string) (printed, refused string) {
		v, ok := parseBool(value)
		if !ok {
			return "", unrecognised("a boolean", value)
		}
		if field != nil {
			*field(c) = v
		}
		return strconv.FormatBool(v), ""
	}
}

// parseBool reads the boolean forms of upstream.
func parseBool(value string) (v, ok bool) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "true", "1", "yes", "on":
		return true, true
	case "false", "0", "no", "off":
		return false, true
	}
	return false, false
}

const minInt32 = -1 << 31

func number(least int, field func(*ConnectionString) *int) reader {
	return func(c *ConnectionString, value string) (printed, refused string) {
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32) // as wide as upstream's
		if err != nil {
			return "", unrecognised("an integer", value)
		}
		if int(n) < least {
			return "", "has a minimum value of '" + strconv.Itoa(least) + "'; the value " + quoted(value) + " is not permitted."
		}
		if field != nil {
			*field(c) = int(n)
		}
		return strconv.FormatInt(n, 10), ""
	}
}

func oneOf(words ...string) reader {
	return func(_ *ConnectionString, value string) (printed, refused string) {
		for _, word := range words {
			if strings.EqualFold(strings.TrimSpace(value), word) {
				return word, ""
			}
		}
		return "", unrecognised(strings.Join(words[:len(words)-1], ", ")+" or "+words[len(words)-1]+" as its", value)
	}
}

var (
	versionForm  = regexp.MustCompile(`^\d{1,9}(\.\d{1,9}){0,3}$`)
	intervalForm = regexp.MustCompile(`^(\d{1,8}\.)?([01]?\d|2[0-3]):[0-5]?\d(:[0-5]?\d(\.\d{1,7})?)?$`)
)

func form(form *regexp.Regexp, what string) reader {
	return func(_ *ConnectionString, value string) (printed, refused string) {
		value = strings.TrimSpace(value)
		if !form.MatchString(value) {
			return "", unrecognised(what+" as its", value)
		}
		return value, ""
	}
}

func protocol(c *ConnectionString, value string) (printed, refused string) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "resp2", "2":
		c.protocol = 2
		return "resp2", ""
	case "resp3", "3":
		c.protocol = 3
		return "resp3", ""
	}
	return "", unrecognised("resp2 or resp3 as its", value)
}

// sslProtocols takes a list with | in a connection string, whose commas are
// taken, and with commas among the ConfigurationOptions.
func sslProtocols(c *ConnectionString, value string) (printed, refused string) {
	var versions uint8
	for name := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '|' || r == ',' }) {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "tls12":
			versions |= 1
		case "tls13":
			versions |= 2
		default:
			versions |= 4
		}
	}
	switch versions {
	case 1:
		c.minTLS, c.maxTLS = tls.VersionTLS12, tls.VersionTLS12
		return "Tls12", ""
	case 2:
		c.minTLS, c.maxTLS = tls.VersionTLS13, tls.VersionTLS13
		return "Tls13", ""
	case 3:
		c.minTLS, c.maxTLS = tls.VersionTLS12, tls.VersionTLS13
		return "Tls12|Tls13", ""
	}
	return "", unrecognised("Tls12, Tls13 or Tls12|Tls13 as its", value)
}

func unrecognised(what, value string) string {
	return "requires " + what + " value; the value " + quoted(value) + " is not recognised."
}

// quoted shows a value in an error the way upstream does, cut short when it is long.
func quoted(value string) string {
	shown, cut := strings.CutSuffix(wording.Quoted(value), `"...`)
	shown = "'" + strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(shown, `"`), `"`), `\"`, `"`) + "'"
	if cut {
		shown += "..."
	}
	return shown
}
