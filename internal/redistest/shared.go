package redistest

import (
	"maps"
	"os"
	"sync"
	"testing"
)

// sharedSetup is a set-up that is started at most once per test process.
type sharedSetup struct {
	name  string
	start startFunc

	mu      sync.Mutex
	started bool
	dir     string
	setup   *Setup
	err     error // why it did not start; each test that needs it fails with it
}

var (
	sharedPlain    = &sharedSetup{name: "plain", start: startPlain}
	sharedACL      = &sharedSetup{name: "acl", start: startACL}
	sharedTLS      = &sharedSetup{name: "tls", start: startTLS}
	sharedSentinel = &sharedSetup{name: "sentinel", start: startSentinel}
	sharedCluster  = &sharedSetup{name: "cluster", start: startCluster}

	sharedSetups = []*sharedSetup{sharedPlain, sharedACL, sharedTLS, sharedSentinel, sharedCluster}
)

// Plain returns the shared set-up of one server without a password.
func Plain(t testing.TB) *Setup {
	t.Helper()
	return sharedPlain.get(t)
}

// ACL returns the shared set-up of one server where the default user has a
// password and the metadata's user, "app", may only run GET, SET, DEL, INCR,
// GETDEL, PING and EVAL, on all keys.
func ACL(t testing.TB) *Setup {
	t.Helper()
	return sharedACL.get(t)
}

// TLS returns the shared set-up of one server that speaks nothing but TLS and
// asks for a client certificate.
func TLS(t testing.TB) *Setup {
	t.Helper()
	return sharedTLS.get(t)
}

// Sentinel returns the shared set-up of one primary, one replica and three
// sentinels, all with passwords.
func Sentinel(t testing.TB) *Setup {
	t.Helper()
	return sharedSentinel.get(t)
}

// Cluster returns the shared set-up of a cluster of three primaries with one
// replica each.
func Cluster(t testing.TB) *Setup {
	t.Helper()
	return sharedCluster.get(t)
}

// Setups returns all shared set-ups.
func Setups(t testing.TB) []*Setup {
	t.Helper()
	requirePrograms(t)

	// Starting them is mostly waiting.
	var starting sync.WaitGroup
	for _, shared := range sharedSetups {
		starting.Go(shared.ensure)
	}
	starting.Wait()

	var setups []*Setup
	for _, shared := range sharedSetups {
		setups = append(setups, shared.get(t))
	}
	return setups
}

// ensure starts the set-up unless that was tried before.
func (s *sharedSetup) ensure() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return
	}
	s.started = true
	if s.dir, s.err = os.MkdirTemp("", "redistest-"); s.err == nil {
		s.setup, s.err = newSetup(s.name, s.dir, s.start)
	}
}

func (s *sharedSetup) get(t testing.TB) *Setup {
	t.Helper()
	requirePrograms(t)
	s.ensure()
	if s.err != nil {
		t.Fatal(s.err)
	}
	setup := *s.setup
	setup.Metadata = maps.Clone(setup.Metadata)
	return &setup
}

// stopShared stops the shared set-ups and removes their files.
func stopShared() {
	for _, s := range sharedSetups {
		s.mu.Lock()
		if s.setup != nil {
			s.setup.stop()
		}
		if s.dir != "" {
			_ = os.RemoveAll(s.dir)
		}
		s.mu.Unlock()
	}
}
