package hosting

// state is how a resource fares, as people see it.
type state string

const (
	stateWaiting   state = "waiting"   // for other resources
	stateStarting  state = "starting"  // or its image is pulled, or its program built
	stateHealthy   state = "healthy"   // it answers its health check
	stateRunning   state = "running"   // and has no health check
	stateUnhealthy state = "unhealthy" // it does not answer its health check now
	stateStopping  state = "stopping"
	stateStopped   state = "stopped" // as was asked for
	stateLeft      state = "left running"
	stateEnded     state = "ended" // by itself
	stateFailed    state = "failed to start"
	stateOmitted   state = "omitted" // optional, and the runtime cannot have it
)

// view is what people see of a resource.
type view struct {
	name    string
	kind    string // "redis", "cluster", "sentinel", "redis commander", "redis insight", "project", "command", "connection string"
	state   state
	detail  string // what takes time, or why; "" mostly
	address string // host:port; "" when there is none, or none yet
	links   []string
}
