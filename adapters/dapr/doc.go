// Package dapr serves the Redis binding to Dapr as a pluggable component: daprd talks to it
// over a Unix socket, by gRPC, and applications use it as any other output binding.
//
// The command does it all. In a clone of the repository:
//
//	cd adapters/dapr
//	go build ./cmd/redisbinding-dapr
//	./redisbinding-dapr
//
// Start it before daprd, which looks once, when it starts, for sockets in the folder
// /tmp/dapr-components-sockets, or the one that DAPR_COMPONENTS_SOCKETS_FOLDER names. A
// component then has the type bindings.redisbinding, after the file redisbinding.sock:
//
//	apiVersion: dapr.io/v1alpha1
//	kind: Component
//	metadata:
//	  name: cache
//	spec:
//	  type: bindings.redisbinding
//	  version: v1
//	  metadata:
//	  - name: redisHost
//	    value: localhost:6379
//	  - name: redisPassword
//	    secretKeyRef:
//	      name: redis
//	      key: password
//
// The metadata are the fields of [redisbinding.Metadata]. In Kubernetes the process runs as
// a container beside daprd, with the annotation dapr.io/pluggable-components and the socket
// folder as a shared volume; daprd there may be another user, for whom [WithSocketMode], or
// the flag -mode, opens the socket.
//
// A program of its own has options for what the bindings need besides, such as a tracer
// provider:
//
//	server, err := dapr.Listen("/tmp/dapr-components-sockets/redisbinding.sock",
//		dapr.WithBindingOptions(redisbinding.WithTracerProvider(provider)))
//	...
//	err = server.Serve(ctx)
//
// # Instances
//
// One server serves any number of components, each with a binding of its own, which Init
// makes. The gRPC metadata entry [InstanceHeader], which daprd sends, says which one a call
// is for. Another Init puts a new binding in place of the old one: calls under way end on
// the old one, which is closed after that. When it fails the old one serves on. Of several
// Inits at once, the one that ends last stays. An Init whose client has gone before it has
// ended changes nothing. Bindings live until the server stops, as daprd has no call for
// their end and a connection that is lost comes back without an Init. When the server's
// process is started anew, daprd has to be, too: until then calls are answered with
// FailedPrecondition.
//
// # Values
//
// Data is bytes, as they are; a key, as all metadata in protobuf, has to be UTF-8. No data
// in a response means that there is no value, unless the response metadata has the entry
// [EmptyField] with the value "true": then there is one, which is empty. A value may be up
// to 4 MiB long on its way in ([WithMaxMessageSize]); on its way out it is the client that
// has a limit, and daprd's is 4 MiB less the few bytes around the value. What came in through
// daprd comes out again, as its limit on the way in is for the whole request; a value that
// somebody else has made longer does not, and a get with delete would lose it.
//
// # Deadlines
//
// The deadline of a call, and its end when the client cancels it or goes away, are those of
// the context that the binding gets. An Init takes up to dialTimeout, whether the client
// waits for it or not.
//
// # Errors
//
// The message of the status is the text of the error. The codes are:
//
//	InvalidArgument     bad metadata, all bad fields in one message; a request without a
//	                    key, with a bad field, or of an operation there is not
//	FailedPrecondition  no Init since the process began; an Init that Redis refuses, such
//	                    as for a wrong password; a closed binding
//	Unavailable         Redis cannot be reached or takes no commands now; or the connection
//	                    was lost under an operation that may be carried out twice
//	DeadlineExceeded    the deadline of the call; a connection that did not come in time (dialTimeout),
//	                    or a reply (readTimeout): the operation may have been carried out
//	Canceled            the client has cancelled the call, or the server stops: likewise
//	ResourceExhausted   a value that is too long
//	Unknown             what Redis has replied, such as WRONGTYPE; or the connection was lost under
//	                    an increment or a get with delete, which may have been carried out
//	Internal            a binding that panicked: the others serve on; or a response that gRPC
//	                    cannot carry, such as one with metadata that is not UTF-8
//
// Unavailable is what retry policies repeat, and so the server never answers with it when an
// operation may have been carried out and must not be carried out twice. But a client makes it
// up by itself when it loses the connection to the server, as when that is killed.
//
// # Security
//
// Who may write to the socket may do what the bindings may: by default only the user of the
// process (mode 0600, from the first moment). The connection is not encrypted, as it
// does not leave the machine. Whoever may write to the folder can put a socket of his own in place of this
// one, and daprd then gives that the passwords in the metadata: below /tmp, make the folder before
// others can. One that belongs to another user (root excepted) is warned of in the log. No status and no log line holds a password, a key or a value;
// a redisHost that is none is shown. Texts are cut off after 4 KiB.
package dapr
