package soak

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// refusedAtHandshake are the errors that callers may see while the server refuses new
// connections and has ended the others.
var refusedAtHandshake = []string{"WRONGPASS", "connection lost", "hung up on"}

func testPasswordChanges(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "right")
	(&scenario{
		name:     "password changed for 200 ms, and all connections cut",
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": server.Addr, "redisPassword": "right"},
		servers:  []*redistest.Server{server},
		sees:     refusedAtHandshake,
		must:     []string{"WRONGPASS"},
		fault: func(ctx context.Context, s *scenario) string {
			times := repeat(ctx, func() {
				server.Do(t, "CONFIG", "SET", "requirepass", "other")
				server.Do(t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				time.Sleep(200 * time.Millisecond)
				server.Do(t, "CONFIG", "SET", "requirepass", "right")
				s.load.back(time.Now())
			})
			return fmt.Sprintf("%d times", times)
		},
	}).run(t)
}

func testUserIsDisabled(t *testing.T) {
	disableUser(t, "ACL user disabled for 200 ms, and its connections cut", "--requirepass", "other")
}

// The default user may do everything without a password: a connection whose login was
// refused must not be used as that user.
func testUserIsDisabledBesideOpenDefault(t *testing.T) {
	disableUser(t, "ACL user disabled for 200 ms, and its connections cut; the default user needs no password")
}

func disableUser(t *testing.T, name string, args ...string) {
	server := redistest.Start(t, append(args, "--user", "app", "on", ">pw", "~*", "+@all")...)
	(&scenario{
		name:     name,
		load:     load{ttl: hour},
		metadata: map[string]string{"redisHost": server.Addr, "redisUsername": "app", "redisPassword": "pw"},
		servers:  []*redistest.Server{server},
		sees:     refusedAtHandshake,
		must:     []string{"WRONGPASS"},
		fault: func(ctx context.Context, s *scenario) string {
			times := repeat(ctx, func() {
				server.Do(t, "ACL", "SETUSER", "app", "off")
				server.Do(t, "CLIENT", "KILL", "USER", "app")
				server.Do(t, "CONFIG", "RESETSTAT")
				time.Sleep(200 * time.Millisecond)
				executed, _ := server.Do(t, "INFO", "commandstats").(string)
				server.Do(t, "ACL", "SETUSER", "app", "on")
				assert.Empty(t, operations.FindAllString(executed, -1), "commands that another user executed")
				s.load.back(time.Now())
			})
			return fmt.Sprintf("%d times; no command was executed meanwhile", times)
		},
	}).run(t)
}

// operations finds the commands of the binding among those that a server has executed.
var operations = regexp.MustCompile(`cmdstat_(get|set|getdel|del|incr|eval):calls=[1-9][0-9]*`)
