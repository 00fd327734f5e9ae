// Package hosting runs the Redis that services need while they are developed. A program
// declares it, starts it, hands out the connection, and takes it away again:
//
//	app := hosting.NewBuilder("shop")
//	cache := app.AddRedis("cache").WithDataVolume().WithRedisCommander()
//	app.AddProject("api", "./cmd/api").WithReference(cache).WaitFor(cache)
//	err := app.Run(ctx) // until Ctrl-C
//
// It is the hosting integration of .NET Aspire for Redis, in Go; each method says which one of
// Aspire's it is. For tests, [Builder.Start] returns once all is healthy, and
// [Connection] has the options and the metadata that clients are made of.
//
// # Runtimes
//
// Servers run in a container engine (Docker, Podman), as redis-server processes, or
// inside the program (miniredis): the first of these that is there, unless [WithRuntime] or the
// environment variable [RuntimeVariable] says which.
//
//	                        container   process          embedded
//	AddRedis, WithTLS       yes         yes              yes
//	AddCluster              yes         yes              one node for all slots
//	AddSentinel             yes         yes              no
//	data volume             the engine's a folder        no
//	data bind mount         yes         yes              no
//	WithPersistence         yes         yes              no
//	WithReplicas            yes         yes              no
//	PersistentLifetime      yes         yes              no
//	WithImage, WithTag      yes         not used         not used
//	WithRedisCommander      yes         npm, with Node   npm, with Node
//	WithRedisInsight        yes         no               no
//
// What the runtime cannot do is an error that wraps [ErrUnsupported], before anything is started; a [UI]
// or a volume that is optional ([UI.WithOptional], [Optional]) is omitted. A container engine is found by DOCKER_HOST,
// CONTAINER_HOST, or where Docker, Docker Desktop, Colima, Rancher Desktop and Podman have their sockets,
// and has to be on this machine.
//
// # Passwords, ports and files
//
// Everything listens on 127.0.0.1 only. A Redis without [Redis.WithPassword] has a
// generated password of 22 letters and digits, which is kept, so that clients that
// know it go on working. The environment variables Parameters__{name}-password and
// Parameters__{name}_password override it, and are not passed on to what the app starts. No password is on a command line, in a log or in the output
// of commands (if it has 6 characters or more); it is in the environment of those that reference the
// Redis, and in files below a folder with mode 0700. In the container runtime it is in the containers of
// the Redis and of the user interfaces, too, where all can see it who may use the engine.
//
// Passwords, certificates, volumes of the process runtime, and what a run has to clear away are in
// redisbinding/hosting in the user's configuration folder ([os.UserConfigDir]), which only the user can
// read; the environment variable [HomeVariable] or [WithHome] says where else. A folder that everybody
// can write to, or that belongs to another user (root excepted), is refused.
//
// # The end
//
// [Builder.Run] stops everything when its context ends, at Ctrl-C and at SIGTERM: those first that
// others do not need, each gracefully, so that Redis saves what it persists, and killed when it takes longer
// than [WithStopTimeout]. When the program itself is killed, servers and commands run on; the
// next run of the app ends them, gracefully too, before it starts its own. Two runs of an app at
// the same time have nothing in common but volumes, which only one server can have, and what has
// a [PersistentLifetime].
package hosting
