package cache

import (
	"cmp"
	"crypto/tls"
	"regexp"
	"runtime"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// UniversalOptions returns the go-redis options that the connection string
// stands for, with every default set explicitly: go-redis has other ones, and has
// changed them. The result is the caller's own, and may be changed before a client
// is made of it; mind that it holds the passwords in the clear.
//
// redis.NewUniversalClient makes a cluster client of it as soon as there is more
// than one address and no serviceName, also when these are a primary and its
// replicas.
func (c *ConnectionString) UniversalOptions() *redis.UniversalOptions {
	var (
		syncTimeout    = milliseconds(c.syncTimeout, DefaultSyncTimeout)
		asyncTimeout   = milliseconds(c.asyncTimeout, syncTimeout)
		connectTimeout = milliseconds(c.connectTimeout, max(DefaultConnectTimeout, syncTimeout))
		poolSize       = DefaultPoolSizePerCPU * runtime.GOMAXPROCS(0)
	)
	o := &redis.UniversalOptions{
		Addrs:      c.addresses(),
		Username:   c.user,
		Password:   c.secrets().password,
		ClientName: sanitized(c.clientName),
		DB:         c.database,
		Protocol:   c.protocol, // with 3, go-redis falls back by itself where there is no HELLO

		MaxRetries:      DefaultMaxRetries,
		MinRetryBackoff: DefaultMinRetryBackoff,
		MaxRetryBackoff: DefaultMaxRetryBackoff,
		MaxRedirects:    DefaultMaxRedirects,

		DialTimeout: connectTimeout,
		// Upstream tries once even with none, and to go-redis 0 is its own default.
		DialerRetries:         max(1, c.connectRetry),
		DialerRetryTimeout:    DefaultDialerRetryTimeout,
		ReadTimeout:           syncTimeout,
		WriteTimeout:          asyncTimeout,
		ContextTimeoutEnabled: true,

		ReadBufferSize:  DefaultBufferSize,
		WriteBufferSize: DefaultBufferSize,

		PoolSize:           poolSize,
		MaxConcurrentDials: poolSize,
		// poolSize is the most connections there may be, so no second pool beside it.
		PipelinePoolSize: -1,
		PoolTimeout:      syncTimeout + DefaultPoolTimeoutMargin,
		ConnMaxIdleTime:  DefaultConnMaxIdleTime,

		FailingTimeoutSeconds: DefaultFailingTimeoutSeconds,

		// A user who may run only what a cache needs must not be refused anything
		// more than setlib asks for at connecting: no CLIENT MAINT_NOTIFICATIONS.
		DisableIdentity: !c.setLibrary,
		IdentitySuffix:  sanitized(c.libraryName),
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	if c.serviceName != "" {
		o.MasterName = c.serviceName
		o.SentinelUsername = cmp.Or(c.sentinelUser, c.user)
		o.SentinelPassword = cmp.Or(c.secrets().sentinelPassword, c.secrets().password)
	}
	if c.ssl {
		o.TLSConfig = &tls.Config{
			MinVersion: max(tls.VersionTLS12, c.minTLS),
			MaxVersion: c.maxTLS, // 0: the newest
			ServerName: c.sslHost,
		}
	}
	if c.tunnel != "" || !c.tcpKeepAlive {
		o.Dialer = newDialer(o, c.tunnel, c.tcpKeepAlive)
	}
	return o
}

// milliseconds is a time-out, or its default when there is none.
func milliseconds(n int, byDefault time.Duration) time.Duration {
	return cmp.Or(time.Duration(n)*time.Millisecond, byDefault)
}

// unfit is what a server refuses in the name of a client or of a library.
// Upstream takes it out too.
var unfit = regexp.MustCompile(`[^!-~]+`)

func sanitized(name string) string { return unfit.ReplaceAllString(name, "") }
