package hosting

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/secrettest"
)

// No exported type shows a secret that it holds, however it is printed: neither before
// the app has started, nor while it runs.
func TestTypesShowNoSecret(t *testing.T) {
	needs(t, "sleep")
	const secret = secrettest.Nasty
	t.Setenv("ConnectionStrings__existing", "127.0.0.1:1,password="+secret)
	b := builder(t)
	server := b.AddRedis("server").WithPassword(secret)
	cluster := b.AddCluster("cluster").WithPassword(secret)
	sentinel := b.AddSentinel("sentinel").WithPassword(secret)
	existing := b.AddConnectionString("existing")
	service := b.AddCommand("service", "sleep", "600", secret).WithReference(server).WithReference(existing).
		WithEnv("TOKEN", secret).WithHTTPEndpoint(0, "PORT")
	declared := map[string][]any{
		"App":           nil, // there is none yet
		"Builder":       {b},
		"Cluster":       {cluster},
		"Connection":    {&server.Connection, &existing.Connection},
		"ExistingRedis": {existing},
		"Lifetime":      {PersistentLifetime},
		"MountOption":   {ReadOnly()},
		"Option":        {WithHome(t.TempDir())},
		"Project":       {service},
		"Redis":         {server},
		"Reference":     {Reference(server)},
		"Resource":      {Resource(service)},
		"ResourceError": {&ResourceError{Resource: "server", Err: errors.New("it failed")}},
		"RuntimeKind":   {EmbeddedRuntime},
		"Sentinel":      {sentinel},
		"UI":            {newUI(b, commander), newUI(b, insight)},
	}
	secrettest.CheckTypes(t, ".", secret, declared)

	running := builder(t)
	server = running.AddRedis("server").WithPassword(secret)
	existing = running.AddConnectionString("existing")
	service = running.AddCommand("service", "sleep", "600").WithEnv("TOKEN", secret).WithReference(server)
	a := runningApp(t, running)
	require.Contains(t, server.ConnectionString(), secret)
	require.Contains(t, existing.ConnectionString(), secret)
	secrettest.Check(t, secret, a, running, server, existing, service, &server.Connection, &existing.Connection, a.HealthChecks())
}
