package cache

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
	aclKeys     = "app:"
)

// aclUse is what needs a row of the table.
type aclUse struct {
	servers []*redistest.Server // those that may refuse
	with    []string            // permissions that it needs beside those of the row
	fails   bool                // without a permission it returns an error
	run     func(t *testing.T) error
	settled func(t *testing.T) bool // all has been tried that is tried in the background; nil: it is at once
}

// Each method needs what the documentation says, and nothing less.
func TestPermissions(t *testing.T) {
	t.Parallel()
	redistest.Requires(t, "7.0", "a subcommand in ACL LOG")
	srv := redistest.Start(t)
	cluster, sentinel := redistest.Cluster(t), redistest.Sentinel(t)
	t.Cleanup(func() {
		for _, s := range slices.Concat(cluster.Servers, sentinel.Servers, sentinel.Sentinels) {
			s.Do(t, "ACL", "DELUSER", aclUser)
			s.Do(t, "ACL", "LOG", "RESET")
		}
	})
	connection := func(addr string) string {
		return addr + ",setlib=false,connectRetry=1,user=" + aclUser + ",password=" + aclPassword
	}
	on := func(opts ...Option) func(t *testing.T) *Cache {
		return func(t *testing.T) *Cache {
			t.Helper()
			srv.Do(t, "SCRIPT", "FLUSH")
			client := redis.NewClient(mustParse(t, connection(srv.Addr)).UniversalOptions().Simple())
			t.Cleanup(func() { _ = client.Close() })
			return newTestCache(t, client, append([]Option{WithInstanceName(aclKeys), WithRedisRequired()}, opts...)...)
		}
	}
	onCluster := func(t *testing.T, opts ...Option) *Cache {
		t.Helper()
		client := newCluster(mustParse(t, connection(cluster.Metadata["redisHost"])).UniversalOptions())
		t.Cleanup(func() { _ = client.Close() })
		return newTestCache(t, client, append([]Option{WithInstanceName(aclKeys)}, opts...)...)
	}
	opened := func(more string) func(t *testing.T) error {
		return func(t *testing.T) error {
			c := open(t, "cache", []string{"ConnectionStrings__cache=" + connection(srv.Addr) + more}, WithInstanceName(aclKeys))
			return c.Remove(t.Context(), "key")
		}
	}
	// What there is has been written by somebody else.
	var (
		admin   = New(srv.Client(), WithInstanceName(aclKeys))
		hybrid  = New(srv.Client(), WithInstanceName(aclKeys+"hybrid:"), WithHybridFormat())
		forEver = EntryOptions{}
		hour    = EntryOptions{AbsoluteExpirationRelativeToNow: time.Hour}
		sliding = EntryOptions{SlidingExpiration: time.Hour}
		tagged  = EntryOptions{Tags: []string{"a", "b"}, AbsoluteExpirationRelativeToNow: time.Hour}
		every   = map[string]EntryOptions{"for ever": forEver, "hour": hour, "sliding": sliding, "tagged": tagged}
	)
	fill := func(t *testing.T) {
		srv.Do(t, "FLUSHALL")
		for name, opts := range every {
			require.NoError(t, admin.Set(t.Context(), name, []byte("value"), opts))
			require.NoError(t, hybrid.Set(t.Context(), name, []byte("value"), opts))
		}
	}
	// data is a method, of entries of all kinds and in both formats, with calls that come again.
	data := func(call func(t *testing.T, c *Cache) error) aclUse {
		return aclUse{servers: []*redistest.Server{srv}, fails: true, run: func(t *testing.T) (err error) {
			fill(t)
			for _, c := range []*Cache{on()(t), on(WithInstanceName(aclKeys+"hybrid:"), WithHybridFormat())(t)} {
				err = errors.Join(err, call(t, c), call(t, c))
			}
			return err
		}}
	}
	tellsOfChanges := func(t *testing.T, c *Cache) { t.Cleanup(func() { assert.NoError(t, c.Close()) }) }
	pinged := func(servers []*redistest.Server) func(t *testing.T) bool {
		return func(t *testing.T) bool {
			return slices.ContainsFunc(servers, func(s *redistest.Server) bool {
				for line := range strings.Lines(s.Do(t, "CLIENT", "LIST").(string)) {
					if strings.Contains(line, "user="+aclUser) && strings.Contains(line, "cmd=ping") &&
						!strings.Contains(line, " sub=0 ") {
						return true
					}
				}
				return false
			})
		}
	}
	uses := map[string]aclUse{
		"Get, GetMany": data(func(t *testing.T, c *Cache) (err error) {
			names := []string{"missing"}
			for name := range every {
				_, found, failed := c.Get(t.Context(), name)
				assert.True(t, found || failed != nil, name)
				err = errors.Join(err, failed)
				names = append(names, name)
			}
			_, many := c.GetMany(t.Context(), names...)
			return errors.Join(err, many)
		}),
		"Set, SetMany": data(func(t *testing.T, c *Cache) (err error) {
			for name, opts := range every {
				err = errors.Join(err, c.Set(t.Context(), name, []byte("new"), opts))
			}
			return errors.Join(err, c.SetMany(t.Context(), map[string][]byte{"one": nil, "two": nil}, hour))
		}),
		"GetOrCreate": data(func(t *testing.T, c *Cache) (err error) {
			for name, opts := range every {
				for _, key := range []string{name, name + "new"} {
					_, failed := c.GetOrCreate(t.Context(), key, constant("made"), opts)
					err = errors.Join(err, failed)
				}
			}
			return err
		}),
		"Refresh": data(func(t *testing.T, c *Cache) error {
			return errors.Join(c.Refresh(t.Context(), "sliding"), c.Refresh(t.Context(), "hour"))
		}),
		"Remove":      data(func(t *testing.T, c *Cache) error { return c.Remove(t.Context(), "hour") }),
		"RemoveByTag": data(func(t *testing.T, c *Cache) error { return c.RemoveByTag(t.Context(), "a", "*") }),
		"HealthCheck": data(func(t *testing.T, c *Cache) error { return c.HealthCheck(t.Context()) }),
		"HealthCheck, cluster": {servers: cluster.Servers, with: []string{"+cluster|slots"}, fails: true,
			run: func(t *testing.T) error { return onCluster(t).HealthCheck(t.Context()) }},
		"cluster": {servers: cluster.Servers, with: []string{"+unlink"}, fails: true, run: func(t *testing.T) error {
			defer cluster.MoveSlot(t, aclKeys+"moves")()
			return onCluster(t).Remove(t.Context(), "moves")
		}},
		"WithLocal": {servers: []*redistest.Server{srv}, settled: pinged([]*redistest.Server{srv}), run: func(t *testing.T) error {
			tellsOfChanges(t, on(WithLocal(1<<20))(t))
			return nil
		}},
		"WithLocal, cluster": {servers: cluster.Servers, with: []string{"+cluster|slots"}, settled: pinged(cluster.Servers), run: func(t *testing.T) error {
			tellsOfChanges(t, onCluster(t, WithLocal(1<<20)))
			return nil
		}},
		"Open":                  {servers: []*redistest.Server{srv}, with: []string{"+unlink"}, run: opened("")},
		"Open, defaultDatabase": {servers: []*redistest.Server{srv}, with: []string{"+unlink", "+ping", "+info"}, fails: true, run: opened(",defaultDatabase=1")},
		"Open, name":            {servers: []*redistest.Server{srv}, with: []string{"+unlink", "+ping", "+info"}, run: opened(",name=me")},
		"Open, setlib":          {servers: []*redistest.Server{srv}, with: []string{"+unlink", "+ping", "+info"}, run: opened(",setlib=true")},
		"Open, on the sentinels": {servers: sentinel.Sentinels, settled: pinged(sentinel.Sentinels), run: func(t *testing.T) error {
			for _, s := range sentinel.Servers {
				s.SetUser(t, aclUser, aclPassword, "~"+aclKeys+"*", "resetchannels", "+unlink")
			}
			c := open(t, "cache", []string{"ConnectionStrings__cache=" + connection(sentinel.Metadata["redisHost"]) +
				",serviceName=" + sentinel.Metadata["sentinelMasterName"]}, WithInstanceName(aclKeys))
			return c.Remove(t.Context(), "key")
		}},
	}
	for _, row := range redistest.ReadPermissions(t, "doc.go", "An ACL user who may run only these commands") {
		use, known := uses[row.For]
		if !assert.True(t, known, "nothing tries %s", row) {
			continue
		}
		delete(uses, row.For)
		try := func(t *testing.T, rules []string) error {
			for _, s := range use.servers {
				s.SetUser(t, aclUser, aclPassword, slices.Concat([]string{"~" + aclKeys + "*", "resetchannels"}, use.with, rules)...)
			}
			return use.run(t)
		}
		refused := func(t *testing.T) (rules []string) {
			for _, s := range use.servers {
				rules = append(rules, s.Refused(t, aclUser)...)
			}
			return rules
		}
		if row.For == "Open, setlib" {
			if known, _ := srv.Do(t, "COMMAND", "INFO", "client|setinfo").([]any); len(known) == 0 || known[0] == nil {
				continue // Redis before 7.2 does not know it
			}
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
				if use.fails {
					require.Error(t, err)
				}
				assert.Eventually(t, func() bool { return slices.Contains(refused(t), command) }, 30*time.Second, 10*time.Millisecond)
				if err != nil {
					assert.NotContains(t, err.Error(), aclPassword)
				}
			})
		}
	}
	assert.Empty(t, uses, "not in the table")

	t.Run("it says so", func(t *testing.T) {
		fill(t)
		srv.SetUser(t, aclUser, aclPassword, "~"+aclKeys+"*", "+evalsha", "+eval")
		_, _, err := on()(t).Get(t.Context(), "hour")
		require.ErrorContains(t, err, "(allow the ACL user what the package documentation lists under Permissions)")
		err = on()(t).Remove(t.Context(), "hour")
		require.ErrorContains(t, err, "NOPERM")
		require.ErrorContains(t, err, "'unlink'")
		require.ErrorContains(t, err, "(allow the ACL user what the package documentation lists under Permissions)")
		var reply redis.Error
		require.ErrorAs(t, err, &reply)
	})
}
