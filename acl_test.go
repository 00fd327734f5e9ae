package redisbinding

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

const (
	aclUser     = "plain-user"
	aclPassword = "hunter2-hunter2"
)

// permissions is the table of the package documentation.
func permissions(t *testing.T) []redistest.Permissions {
	t.Helper()
	return redistest.ReadPermissions(t, "doc.go", "An ACL user who may run only these commands")
}

// aclUse is what needs a row of the table.
type aclUse struct {
	servers []*redistest.Server // those that may refuse
	// with are permissions that it needs beside those of the row.
	with []string
	// run uses the binding of the user, whom the servers know already.
	run func(t *testing.T) error
	// settled says that all has been tried that is tried in the background; nil: it is at once.
	settled func(t *testing.T) bool
}

// Each operation needs what the documentation says, and nothing less.
func TestPermissions(t *testing.T) {
	t.Parallel()
	redistest.Requires(t, "7.0", "a subcommand in ACL LOG")
	srv, old := redistest.Start(t), redistest.Start(t, "--rename-command", "GETDEL", "")
	cluster, sentinel := redistest.Cluster(t), redistest.Sentinel(t)
	t.Cleanup(func() {
		for _, s := range slices.Concat(cluster.Servers, sentinel.Servers, sentinel.Sentinels) {
			s.Do(t, "ACL", "DELUSER", aclUser)
			s.Do(t, "ACL", "LOG", "RESET")
		}
	})
	login := []string{"redisUsername", aclUser, "redisPassword", aclPassword}
	plain := func(s *redistest.Server, more ...string) map[string]string {
		fields := map[string]string{"redisHost": s.Addr, "redisUsername": aclUser, "redisPassword": aclPassword}
		for i := 0; i < len(more); i += 2 {
			fields[more[i]] = more[i+1]
		}
		return fields
	}
	// operation is the request by itself and in a batch.
	operation := func(metadata map[string]string, req *InvokeRequest) func(*testing.T) error {
		return func(t *testing.T) error {
			binding := newBinding(t, metadata, WithLazyConnect())
			_, err := binding.Invoke(t.Context(), req)
			_, batch := binding.InvokeBatch(t.Context(), []*InvokeRequest{req, req})
			return errors.Join(err, batch)
		}
	}
	on := func(s *redistest.Server, req *InvokeRequest) aclUse {
		return aclUse{servers: []*redistest.Server{s}, run: operation(plain(s), req)}
	}
	uses := map[string]aclUse{
		"Ping, NewRedisBinding": {servers: []*redistest.Server{srv}, run: func(t *testing.T) error {
			binding, err := NewRedisBinding(plain(srv))
			if err == nil {
				err = errors.Join(binding.Ping(t.Context()), binding.Close())
			}
			return errors.Join(err, newBinding(t, plain(srv), WithLazyConnect()).Ping(t.Context()))
		}},
		"create":                       on(srv, create("app:k", "v", "ttlInSeconds", "60")),
		"get":                          on(srv, request(GetOperation, "app:k")),
		"get, delete=true":             on(srv, request(GetOperation, "app:k", "delete", "true")),
		"get, delete=true, before 6.2": on(old, request(GetOperation, "app:k", "delete", "true")),
		"delete":                       on(srv, request(DeleteOperation, "app:k")),
		"increment":                    on(srv, request(IncrementOperation, "app:n")),
		"increment, ttlInSeconds":      on(srv, request(IncrementOperation, "app:n", "ttlInSeconds", "60")),
		"redisDB > 0": {servers: []*redistest.Server{srv}, with: []string{"+get"},
			run: operation(plain(srv, "redisDB", "1"), request(GetOperation, "app:k"))},
		"redisType cluster": {servers: cluster.Servers, with: []string{"+get"}, run: func(t *testing.T) error {
			defer cluster.MoveSlot(t, "app:moves")()
			return operation(cluster.Fields(login...), request(GetOperation, "app:moves"))(t)
		}},
		"failover, on sentinels": {servers: sentinel.Sentinels,
			run: func(t *testing.T) error {
				for _, s := range sentinel.Servers {
					s.SetUser(t, aclUser, aclPassword, "~app:*", "resetchannels", "+get")
				}
				return operation(sentinel.Fields(append(login, "sentinelUsername", aclUser, "sentinelPassword", aclPassword)...),
					request(GetOperation, "app:k"))(t)
			},
			// What the subscription does when nothing has been heard for a while comes last.
			settled: func(t *testing.T) bool {
				return slices.ContainsFunc(sentinel.Sentinels, func(s *redistest.Server) bool {
					return slices.ContainsFunc(clientsOf(t, s), func(line string) bool {
						return strings.Contains(line, "user="+aclUser) && strings.Contains(line, "cmd=ping")
					})
				})
			}},
	}
	for _, row := range permissions(t) {
		use, known := uses[row.For]
		if !assert.True(t, known, "nothing tries %s", row) {
			continue
		}
		delete(uses, row.For)
		try := func(t *testing.T, rules []string) error {
			for _, s := range use.servers {
				s.SetUser(t, aclUser, aclPassword, slices.Concat([]string{"~app:*", "resetchannels"}, use.with, rules)...)
			}
			return use.run(t)
		}
		refused := func(t *testing.T) (rules []string) {
			for _, s := range use.servers {
				rules = append(rules, s.Refused(t, aclUser)...)
			}
			return rules
		}
		t.Run(row.For, func(t *testing.T) {
			require.NoError(t, try(t, row.Commands))
			if use.settled != nil {
				require.Eventually(t, func() bool { return use.settled(t) }, 30*time.Second, 10*time.Millisecond)
			}
			assert.Empty(t, refused(t))
		})
		for i, command := range row.Commands {
			t.Run(row.For+" without "+command, func(t *testing.T) {
				err := try(t, slices.Delete(slices.Clone(row.Commands), i, i+1))
				if use.settled != nil {
					assert.Eventually(t, func() bool { return slices.Contains(refused(t), command) }, 30*time.Second, 10*time.Millisecond)
				} else {
					require.Error(t, err)
					assert.Contains(t, refused(t), command)
					if command != "+asking" { // go-redis goes by what follows it
						assert.ErrorContains(t, err, "(allow the ACL user ")
						if strings.Contains(err.Error(), "NOPERM") {
							assert.ErrorContains(t, err, "'"+command[1:]+"'", "it names the command")
						} else { // a script, of which the server does not say it
							assert.ErrorContains(t, err, strings.ToUpper(command[1:]))
						}
						var reply redis.Error
						assert.ErrorAs(t, err, &reply)
						assert.NotErrorIs(t, err, ErrUnavailable)
					}
				}
				if err != nil {
					assertNoSecret(t, aclPassword, err)
				}
			})
		}
	}
	assert.Empty(t, uses, "not in the table")

	t.Run("another key", func(t *testing.T) {
		srv.SetUser(t, aclUser, aclPassword, "~app:*", "+get")
		err := operation(plain(srv), request(GetOperation, "other"))(t)
		require.ErrorContains(t, err, "NOPERM")
		assert.ErrorContains(t, err, "(allow the ACL user what the package documentation lists for this)")
		assert.NotContains(t, err.Error(), "other")
	})
}
