package redistest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

const (
	sentinelMaster        = "mymaster"
	sentinelDataPassword  = "data-password"
	sentinelOwnerPassword = "sentinel-password"
)

// StartSentinel starts one primary, one replica and three sentinels, all with
// passwords, for this test only. The primary is the first of the servers until
// a failover.
func StartSentinel(t testing.TB) *Setup {
	t.Helper()
	return startSetup(t, "sentinel", startSentinel)
}

func startSentinel(s *Setup, dir string) error {
	data := [][]string{{"requirepass", sentinelDataPassword}, {"masterauth", sentinelDataPassword}}
	primary, err := s.addServer(dir, options{config: data})
	if err != nil {
		return err
	}
	replica, err := s.addServer(dir, options{
		config: append(data, []string{"replicaof", primary.Host, primary.Port}),
	})
	if err != nil {
		return err
	}
	// A sentinel asks its primary for the replicas when it starts, and then
	// only every 10 seconds.
	if err := waitForReplica(replica); err != nil {
		return err
	}

	var addrs []string
	for range 3 {
		config := [][]string{
			{"requirepass", sentinelOwnerPassword},
			{"sentinel", "monitor", sentinelMaster, primary.Host, primary.Port, "2"},
			{"sentinel", "auth-pass", sentinelMaster, sentinelDataPassword},
			{"sentinel", "down-after-milliseconds", sentinelMaster, "500"},
			{"sentinel", "failover-timeout", sentinelMaster, "2000"},
		}
		if supports(versionOfGetDel) {
			config = append(config, []string{"sentinel", "resolve-hostnames", "no"})
		}
		sentinel, err := startServer(dir, options{args: []string{"--sentinel"}, config: config})
		if err != nil {
			return err
		}
		s.Sentinels = append(s.Sentinels, sentinel)
		addrs = append(addrs, sentinel.Addr)
	}
	for _, sentinel := range s.Sentinels {
		if err := waitForSentinel(sentinel); err != nil {
			return err
		}
	}

	s.Metadata = map[string]string{
		"redisHost":          strings.Join(addrs, ","),
		"failover":           "true",
		"sentinelMasterName": sentinelMaster,
		"redisPassword":      sentinelDataPassword,
		"sentinelPassword":   sentinelOwnerPassword,
	}
	return nil
}

// waitForSentinel waits until the sentinel knows the others and the replica,
// and the replica could become the primary.
func waitForSentinel(sentinel *Server) error {
	ctx := context.Background()
	return poll(func() error {
		master, err := sentinel.Client().Do(ctx, "SENTINEL", "MASTER", sentinelMaster).Result()
		if err != nil {
			return err
		}
		if m := fields(master); m["num-slaves"] != "1" || m["num-other-sentinels"] != "2" || m["flags"] != "master" {
			return errors.New("a sentinel does not know all the others and the replica")
		}
		replicas, err := sentinel.Client().Do(ctx, "SENTINEL", "REPLICAS", sentinelMaster).Slice()
		if err != nil {
			return err
		}
		if r := fields(replicas[0]); r["flags"] != "slave" || r["master-link-status"] != "ok" {
			return errors.New("a sentinel does not see the replica linked to its primary")
		}
		return nil
	})
}

// fields reads a reply that is a map of strings, or before RESP3 a list.
func fields(reply any) map[string]string {
	result := map[string]string{}
	m, _ := reply.(map[any]any)
	for name, value := range m {
		n, _ := name.(string)
		result[n], _ = value.(string)
	}
	list, _ := reply.([]any)
	for pair := range slices.Chunk(list, 2) {
		n, _ := pair[0].(string)
		result[n], _ = pair[len(pair)-1].(string)
	}
	return result
}
