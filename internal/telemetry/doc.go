// Package telemetry records what the library does with Redis, and what a cache does
// besides, through the OpenTelemetry API: a span and a point of a histogram for each
// call, and instruments that are read when metrics are collected. It records only with
// the providers it is given, never with the global ones, and links no SDK.
//
// # Conventions
//
// Names, units and bucket boundaries are those of the semantic conventions for
// database clients, version 1.43.0 (https://opentelemetry.io/docs/specs/semconv/db/),
// with what their page on Redis overrides:
//
//	db.system.name            redis
//	db.operation.name         the command ("GET"); of a batch "PIPELINE GET" when all
//	                          commands are the same, else "PIPELINE"
//	db.operation.batch.size   of a batch, unless it is of one command: that is no batch
//	db.stored_procedure.name  the script of an EVAL, by the name the caller has for it
//	db.namespace              the number of the database that connections are opened to
//	server.address            as configured: see [Config.Addrs]
//	server.port               unless it is 6379
//	db.response.status_code   what an error reply begins with ("WRONGTYPE")
//	error.type                see [Config.ErrorTypes]
//	db.query.text             on spans, when asked for: see [Config.Keys]
//
// A span is of kind client and named "{command} {target}", where the target is
// the script, or else the server: the page on Redis excepts the number of the database.
// All attributes but those of errors are there when the span is created, for
// samplers to see. A failed call sets the status of its span to Error, with the
// error's text, which the caller must have freed of secrets; no event repeats it.
//
// A call of a cache's factory is no call of a database: its span is of kind internal,
// named "cache factory", and has of all these attributes only error.type, and no text
// of an error, which is the application's; and redisbinding.cache.name, if the cache has one: see [Config.Cache].
//
// # Metrics
//
//	db.client.operation.duration           s             one point a call
//	db.client.connection.count             {connection}  with db.client.connection.state idle or used
//	db.client.connection.max               {connection}
//	db.client.connection.idle.min          {connection}
//	db.client.connection.pending_requests  {request}
//	db.client.connection.timeouts          {timeout}
//	redisbinding.calls                     {call}        with redisbinding.call.path direct or pipelined
//	redisbinding.token.time_left           s             below 0 once the token has expired
//	redisbinding.cache.requests            {request}     with redisbinding.cache.result hit or miss,
//	                                                     and of hits redisbinding.cache.tier local or redis
//	redisbinding.cache.waiters             {call}
//	redisbinding.cache.local.entries       {entry}
//	redisbinding.cache.local.size          By
//	redisbinding.cache.factory.duration    s             one point a call of the factory
//
// Those named redisbinding have no counterpart in the conventions, which know nothing of
// caches. What is about a cache has no other attributes than those named here,
// redisbinding.cache.name and, of a factory that failed, error.type: the numbers of
// caches of one name add up. So do those of pools, which are told apart by
// db.client.connection.pool.name: "server.address:server.port/db.namespace".
//
// # Cost
//
// All methods may be called on a nil [Recorder], which does nothing: no
// allocation, no look at the clock. What of a call is known beforehand is made
// once and kept, so that recording a metric allocates nothing here.
package telemetry
