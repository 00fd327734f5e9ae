// Package redisbinding makes Redis usable through the output-binding contract:
// create, get, delete and increment on keys, configured by a flat table of
// strings.
//
//	binding, err := redisbinding.NewRedisBinding(map[string]string{"redisHost": "localhost:6379"})
//	...
//	resp, err := binding.Invoke(ctx, &redisbinding.InvokeRequest{
//		Operation: redisbinding.GetOperation,
//		Metadata:  map[string]string{"key": "greeting"},
//	})
//
// The type [Metadata] documents every field of the table with its unit, range
// and default, and [RedisBinding.Invoke] what it promises.
//
// # Operations
//
// Each operation is one Redis command, so that none is ever half done:
//
//	create                 SET key value [EX seconds | PX milliseconds]
//	get                    GET key
//	get, delete=true       GETDEL key        (before Redis 6.2: EVAL of GET and DEL)
//	delete                 DEL key
//	increment              INCR key
//	increment with a TTL   EVAL of INCR, GET and SET
//
// # Servers
//
// Redis 5.0 or later and what speaks its protocol (Valkey, Azure Managed Redis):
// one server, one primary followed through sentinels (failover), or a Redis
// Cluster (redisType cluster). RESP3 is spoken where the server has it.
//
// An ACL user who may run only these commands, on the keys in use, can use the
// binding, and leaves no entry in the server's ACL LOG:
//
//	Ping, NewRedisBinding         PING
//	create                        SET
//	get                           GET
//	get, delete=true              GETDEL
//	get, delete=true, before 6.2  EVAL, GET, DEL
//	delete                        DEL
//	increment                     INCR
//	increment, ttlInSeconds       EVAL, SET, INCR, GET
//	redisDB > 0                   SELECT
//	redisType cluster             CLUSTER SLOTS, ASKING
//	failover, on sentinels        SENTINEL GET-MASTER-ADDR-BY-NAME, SENTINEL SENTINELS, SUBSCRIBE, PING, &+switch-master
//
// &+switch-master is a channel. InvokeBatch needs what its requests need, and
// NewRedisBinding with [WithLazyConnect] nothing. AUTH and HELLO, also of useEntraID,
// need no permission. No INFO, CONFIG, COMMAND or CLIENT command is sent. So for
// create and get, of keys that begin with app: and nothing else:
//
//	ACL SETUSER app on >password ~app:* +ping +set +get
//
// # Microsoft Entra ID
//
// With useEntraID the binding authenticates with tokens in place of a password.
// It keeps one token, which it renews after 75 to 90 % of its life, and at least
// 5 minutes before its end when it lives for more than 10; every connection, to
// every node, authenticates again with the new one, and new connections use
// none but the newest. When a renewal fails the old token serves on, and
// attempts go on, never more than one a second: after growing pauses (up to
// about a minute) while it lives, every second or so after that. Once it has
// expired, Ping and the calls that need a new connection say so and why, until
// an attempt succeeds. Close ends it all. [WithTokenCredential] brings tokens
// from elsewhere.
//
// # Round trips
//
// Calls made at the same time share round trips. A call that finds less than three
// under way to its server goes at once, on its caller's goroutine and a connection
// of its own. When there are three, calls wait, and the next round trip takes all of
// them, up to 512 and about 1 MiB, as one pipeline. To a server that is far away
// there may be one more at a time for each 300µs that a round trip takes; and so
// that neither a slow reply nor a silent server holds up others, another begins in
// any case when the last one began 2ms ago. A command of more than 64 KiB goes at
// once and alone. Each has a connection, so that poolSize bounds them. On a cluster
// each node has its own, so that a silent one holds up its own keys only. The
// metadata field pipelining, or [WithoutPipelining], turns this off.
// [RedisBinding.InvokeBatch] carries out many requests in few round trips.
//
// When a context ends, a call that was waiting is not sent any more. One that was
// sent on a connection of its own takes the connection with it; one in a pipeline is
// left to it, and others are not disturbed. One that waits for a connection is never sent.
//
// A call succeeds only when the server has answered its command with a reply of the
// right form. [WithIntegrityCheck] also finds a reply too many on a busy connection.
//
// # Where bindings are used
//
// [InvokeRequest] and [InvokeResponse] are in JSON the documents that binding runtimes
// exchange, with data kept byte for byte. [Handler] serves bindings over HTTP as
// Dapr's sidecar does, and [LoadComponents] reads its component files. The module
// adapters/dapr serves the binding to daprd as a pluggable component, and the package
// bindingtest is for tests: of what uses a binding, and of bindings.
//
// # Telemetry
//
// With [WithTracerProvider] and [WithMeterProvider] the binding records spans and
// metrics by the semantic conventions of OpenTelemetry for databases, version
// 1.43.0: for each Invoke, InvokeBatch and Ping a span named "GET host:port"
// ("EVAL increment" for a script, "PIPELINE SET" for a batch), and a point of
// db.client.operation.duration; and what the connections are like in
// db.client.connection.count, .max, .idle.min, .pending_requests and .timeouts.
// Beside the conventions are redisbinding.calls (with
// redisbinding.call.path direct or pipelined) and redisbinding.token.time_left
// (seconds until the token of Entra ID expires). No value is recorded, and no key
// without [WithKeysInSpans].
//
// # Errors
//
// Every error begins with "redisbinding: ", wraps its cause, and says what to
// check where that is known. [MetadataError] is a bad field of the metadata;
// [ErrMissingKey], [ErrUnsupportedOperation] and [RequestError] are mistakes in
// a request; [ErrClosed] is a closed binding; [ErrUnavailable] is whatever may
// work later, and [ErrNotExecuted] says of it that nothing was executed;
// [ComponentError] is a mistake in a component file. [SafeToRetry] says of any error
// whether the operation was certainly not executed. What Redis replies is a redis.Error, a lost connection a net error, an ended context
// context.Canceled or context.DeadlineExceeded, all for errors.Is and errors.As.
// No error and no log line holds a password, a key or a value.
//
// What a server sends is checked before it is read: what breaks the protocol, or
// announces more than 512 MiB in one string or 1048576 elements in one reply, is an
// error of the connection.
//
// # Logging
//
// The library prints nothing. It logs to the logger given [WithLogger]:
// metadata fields nobody knows, a server without GETDEL, tokens of Entra ID
// acquired, renewed and not to be had.
// go-redis logs to standard error through one logger for the whole process;
// an application that wants it elsewhere calls [LogRedisTo] once.
//
// # Concurrency
//
// A RedisBinding may be used from any number of goroutines. Concurrent
// operations on one key happen in some order, as Redis carries them out.
package redisbinding
