package redisbinding

import (
	"log/slog"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Option changes how [NewRedisBinding] makes a binding.
type Option func(*options)

type options struct {
	logger *slog.Logger
	lazy   bool
	strict bool
	alone  bool // without pipelining

	integrity bool

	tracerProvider trace.TracerProvider
	meterProvider  metric.MeterProvider
	keysInSpans    bool

	credential azcore.TokenCredential
	identity   func(*identity) // changes how Entra ID is reached; nil outside of tests
}

func newOptions(opts []Option) *options {
	o := &options{logger: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// tokens returns what connections authenticate with, or nil without Entra ID.
func (o *options) tokens(m *Metadata) *tokens {
	if !m.UseEntraID {
		return nil
	}
	if o.credential != nil {
		return newTokens(m, o.credential, o.logger)
	}
	who := newIdentity(m)
	if o.identity != nil {
		o.identity(who)
	}
	return newTokens(m, who, o.logger)
}

// WithLogger sets where the binding logs, overriding the default: nowhere. It
// logs metadata fields nobody knows and Entra ID tokens that cannot be had, at
// most once a minute (warnings), Entra ID tokens acquired and renewed, with their
// expiry, and a server without GETDEL (info); never a secret, a key or a value. A
// nil logger is the default.
func WithLogger(logger *slog.Logger) Option {
	return func(o *options) {
		if logger != nil {
			o.logger = logger
		}
	}
}

// WithLazyConnect makes [NewRedisBinding] return without waiting for a
// connection: the first calls connect, and report what is wrong. The metadata is
// checked all the same, and minIdleConns are opened in the background.
func WithLazyConnect() Option {
	return func(o *options) { o.lazy = true }
}

// WithStrictMetadata makes a metadata field nobody knows an error, instead of
// a line in the log.
func WithStrictMetadata() Option {
	return func(o *options) { o.strict = true }
}

// WithTracerProvider has the binding record a span for each Invoke, InvokeBatch and
// Ping that comes to send something, by OpenTelemetry's semantic conventions for
// databases (see the package documentation). It holds neither keys nor values. Nil is
// the default: no spans; the global provider is never used.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(o *options) { o.tracerProvider = provider }
}

// WithMeterProvider has the binding record metrics by OpenTelemetry's semantic
// conventions for databases (see the package documentation). Nil is the default:
// none; the global provider is never used.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(o *options) { o.meterProvider = provider }
}

// WithKeysInSpans adds db.query.text to the spans: the command with its key, and ?
// in place of values. By default no span holds a key, which may say who somebody is.
func WithKeysInSpans() Option {
	return func(o *options) { o.keysInSpans = true }
}

// WithIntegrityCheck puts one ECHO with a fresh number behind each round trip, and
// returns replies only when the echo has come back. A reply too many on a connection,
// which a faulty proxy may send, cannot become the answer to another call then: all
// calls of that round trip fail, may have been executed, and the connection is closed.
// It is off by default: without it, such a reply closes the connection only when no
// command waits for one. The user needs the permission for ECHO.
func WithIntegrityCheck() Option {
	return func(o *options) { o.integrity = true }
}

// WithoutPipelining gives each call a round trip and a connection of its own,
// overriding the metadata field pipelining, whose default lets calls that are made
// at the same time share them. It is slower with many callers, and for services
// whose commands must not share a connection, such as behind a proxy that cannot
// pipeline. InvokeBatch is not concerned.
func WithoutPipelining() Option {
	return func(o *options) { o.alone = true }
}

// WithTokenCredential sets who gets the tokens for Microsoft Entra ID, in place of
// what the azure fields of the metadata say and azidentity's usual sources;
// azureRedisScope and azureObjectID hold all the same. It needs useEntraID.
//
// Its GetToken is called by one goroutine at a time, when a token is needed and
// not more than once a second, and has 10s to answer. It must return when its
// context ends, as Close waits for it. It may keep tokens, as the credentials of
// azidentity do. It should not repeat failed requests itself, which the binding
// does and, when the token has expired, in a hurry: for azidentity set
// azcore.ClientOptions.Retry.MaxRetries to -1. A nil credential is the default.
func WithTokenCredential(credential azcore.TokenCredential) Option {
	return func(o *options) { o.credential = credential }
}

// UniversalOptions returns the go-redis options that the metadata stands for,
// with every default set explicitly: go-redis has other ones, and has changed
// them. What go-redis has no option for ("-1" meaning off, redisDB on a
// cluster) is translated. redis.NewUniversalClient makes the same kind of
// client of them as [NewRedisBinding], which adds what options cannot say: its own
// way to retry, to dial, to find the primary and to close idle connections. The
// result is the caller's own; mind that it holds the passwords in the clear.
// With useEntraID it holds no credentials: the tokens are the binding's.
func (m *Metadata) UniversalOptions() *redis.UniversalOptions {
	o := &redis.UniversalOptions{
		Addrs:            append([]string(nil), m.addrs...),
		Username:         m.RedisUsername,
		Password:         string(m.RedisPassword),
		SentinelUsername: m.SentinelUsername,
		SentinelPassword: string(m.SentinelPassword),

		// RESP3 where the server has HELLO; go-redis falls back by itself.
		Protocol: 3,

		MaxRetries:      noneAsMinusOne(m.RedisMaxRetries),
		MinRetryBackoff: noneAsMinusOne(m.RedisMinRetryInterval),
		MaxRetryBackoff: noneAsMinusOne(m.RedisMaxRetryInterval),

		DialTimeout: m.DialTimeout,
		// Dialling again is retrying too.
		DialerRetries:         m.RedisMaxRetries + 1,
		DialerRetryTimeout:    max(m.RedisMinRetryInterval, time.Nanosecond),
		ReadTimeout:           noneAsMinusOne(m.ReadTimeout),
		WriteTimeout:          noneAsMinusOne(m.WriteTimeout),
		ContextTimeoutEnabled: true,

		PoolSize: m.PoolSize,
		// poolSize is the most connections there may be, so no second pool beside it.
		PipelinePoolSize: -1,
		PoolTimeout:      m.PoolTimeout,
		MinIdleConns:     m.MinIdleConns,
		ConnMaxIdleTime:  noneAsMinusOne(m.IdleTimeout),
		ConnMaxLifetime:  m.MaxConnAge,

		// A user who may run only the operations' commands must not be refused
		// anything at connecting: no CLIENT SETINFO, no CLIENT MAINT_NOTIFICATIONS.
		DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	if m.tls != nil {
		o.TLSConfig = m.tls.Clone()
	}
	if m.Failover {
		o.MasterName = m.SentinelMasterName
	}
	if m.RedisType == TypeCluster {
		o.IsClusterMode = !m.Failover
	} else {
		o.DB = m.RedisDB
	}
	return o
}

// noneAsMinusOne turns 0, which is "none" here, into -1, which is "none" in
// go-redis, where 0 asks for its own default.
func noneAsMinusOne[T ~int | ~int64](v T) T {
	if v == 0 {
		return -1
	}
	return v
}
