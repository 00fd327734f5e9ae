package cache

import "time"

// Defaults of connection strings and ConfigurationOptions. What is not listed
// here is empty, false or 0 (none).
const (
	// DefaultPort is the port of an endpoint that has none.
	DefaultPort = 6379
	// DefaultTLSPort is the port of an endpoint that has none, with ssl.
	DefaultTLSPort = 6380
	// DefaultSentinelPort is the port of an endpoint that has none, with
	// serviceName, whatever ssl is.
	DefaultSentinelPort = 26379

	// DefaultSyncTimeout is the default of syncTimeout. asyncTimeout defaults to syncTimeout.
	DefaultSyncTimeout = 5 * time.Second
	// DefaultConnectTimeout is the default of connectTimeout, unless syncTimeout is longer.
	DefaultConnectTimeout = 5 * time.Second
	// DefaultConnectRetry is the default of connectRetry.
	DefaultConnectRetry = 3
	// DefaultProtocol is the default of protocol: RESP3 where the server has it.
	DefaultProtocol = 3
	// DefaultDatabase is the default of defaultDatabase.
	DefaultDatabase = 0
	// DefaultAbortConnect is the default of abortConnect, as under Aspire: a
	// server that does not answer is no reason to fail at once.
	DefaultAbortConnect = false
	// DefaultSetLibrary is the default of setlib.
	DefaultSetLibrary = true
	// DefaultTCPKeepAlive is the default of tcpKeepAlive.
	DefaultTCPKeepAlive = true
)

// What no keyword sets. [ConnectionString.UniversalOptions] has it too, so that
// another version of go-redis does not change it.
const (
	// DefaultMaxRetries is how many times a command is sent again after the
	// connection has failed. The commands of a cache may be: to read, write or
	// remove an entry once more does what doing it once does.
	DefaultMaxRetries = 1
	// DefaultMinRetryBackoff is about how long to pause before the first retry.
	DefaultMinRetryBackoff = 8 * time.Millisecond
	// DefaultMaxRetryBackoff is the longest pause before a retry.
	DefaultMaxRetryBackoff = 512 * time.Millisecond
	// DefaultDialerRetryTimeout is the pause between attempts to connect.
	DefaultDialerRetryTimeout = 100 * time.Millisecond
	// DefaultMaxRedirects is how many times a command follows a cluster's slots.
	DefaultMaxRedirects = 3
	// DefaultFailingTimeoutSeconds is for how long a failing node of a cluster is avoided.
	DefaultFailingTimeoutSeconds = 15
	// DefaultPoolSizePerCPU times runtime.GOMAXPROCS(0) is the most connections
	// to keep to a server (of a cluster, to each node).
	DefaultPoolSizePerCPU = 10
	// DefaultPoolTimeoutMargin is added to syncTimeout for the longest wait for
	// a connection when all are busy.
	DefaultPoolTimeoutMargin = time.Second
	// DefaultConnMaxIdleTime is how long an unused connection is kept.
	DefaultConnMaxIdleTime = 5 * time.Minute
	// DefaultBufferSize is the size of a connection's buffers, one to read and
	// one to write, in bytes.
	DefaultBufferSize = 32 << 10
)
