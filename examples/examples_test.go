package examples_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	// go test does not see what go run builds. This import, and reading the
	// folders, keep it from answering with a cached result after a change.
	_ "github.com/redisbinding/redisbinding"
	_ "github.com/redisbinding/redisbinding/cache"
)

func TestExamplesRun(t *testing.T) {
	tests := map[string][]string{ // what the output has to contain, by folder
		"quickstart": {
			`create     quickstart:greeting = {"hello":"world"}`,
			"increment  quickstart:visits -> 2  (ttlInSeconds 60)",
			`get+del    quickstart:greeting -> {"hello":"world"}`,
			"get        quickstart:greeting -> no such key",
			"get        quickstart:empty -> (empty)",
		},
		"unittest": {
			"end   example-1 -> ada",
			"user  example-1 -> no such session",
			"user  example-2 -> no such session",
		},
		"cluster": {
			"one node owns every slot",
			"example:{user7}:cart    slot 16236  on 127.0.0.1:",
			"example:{user7}:orders  slot 16236  on 127.0.0.1:",
		},
		"tls": {
			"with caCert:    connected over TLS to 127.0.0.1:",
			"(set caCert to the CA that signed the server's certificate)",
		},
		"cache": {
			"once       64 callers, the value was made 1 time(s)",
			`HGETALL example:cart:7 -> absexp=-1 sldexp=12000000000 data=["tea"]`,
			"user:1 is there: true, after RemoveByTag: false",
			`health     200 OK {"status":"Healthy"`,
			"spans      cache factory: ",
			"metrics    redisbinding.cache.waiters = 63",
		},
		"entraid": {
			`msg="redisbinding: acquired an Entra ID token"`,
			`msg="redisbinding: renewed the Entra ID token"`,
			"token 3: no call failed, visits -> ",
			"token 3, to its end: no call failed, visits -> ",
			"Ping: redisbinding: ping: the Entra ID token expired at ",
			"AADSTS90033",
			"healed after ",
		},
	}
	for name, lines := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := os.ReadDir(name)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()

			cmd := exec.CommandContext(ctx, "go", "run", "./"+name)
			cmd.Env = environment()
			cmd.WaitDelay = time.Second // the program outlives a go run that is killed
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr

			require.NoError(t, cmd.Run(), "%s%s", &stdout, &stderr)
			for _, line := range lines {
				assert.Contains(t, stdout.String(), line)
			}
		})
	}
}

// environment is ours without what the examples would take for a Redis or an
// identity of the user's.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "REDIS_HOST=") || strings.HasPrefix(variable, "AZURE_") || strings.HasPrefix(variable, "DAPR_") ||
			strings.HasPrefix(variable, "ConnectionStrings__")
	})
}
