package redistest

import (
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// pool keeps the set-ups of one kind that tests take turns to use. A test has a
// set-up to itself, and so may flush it, watch its counters and list its
// clients while other tests run in parallel. A set-up starts when a test needs
// one and none is free, so there are never more than tests that run at a time.
type pool struct {
	name  string
	start startFunc
	needs version // of Redis

	mu    sync.Mutex
	all   []*lease
	inUse map[string]*lease // by the name of the test
	err   error             // why one did not start; every later test fails with it
}

// lease is a set-up and the test that uses it.
type lease struct {
	dir   string
	setup *Setup
	users int // how often the test has asked for it
}

var (
	plainPool    = &pool{name: "plain", start: startPlain}
	aclPool      = &pool{name: "acl", start: startACL, needs: versionOfGetDel}
	tlsPool      = &pool{name: "tls", start: startTLS, needs: versionOfACL}
	sentinelPool = &pool{name: "sentinel", start: startSentinel}
	clusterPool  = &pool{name: "cluster", start: startCluster}

	pools = []*pool{plainPool, aclPool, tlsPool, sentinelPool, clusterPool}
)

// Plain returns a set-up of one server without a password.
func Plain(t testing.TB) *Setup {
	t.Helper()
	return plainPool.get(t)
}

// ACL returns a set-up of one server where the default user has a password and
// the metadata's user, "app", may only run GET, SET, DEL, INCR, GETDEL, PING
// and EVAL, on all keys.
func ACL(t testing.TB) *Setup {
	t.Helper()
	return aclPool.get(t)
}

// TLS returns a set-up of one server that speaks nothing but TLS and asks for a
// client certificate.
func TLS(t testing.TB) *Setup {
	t.Helper()
	return tlsPool.get(t)
}

// Sentinel returns a set-up of one primary, one replica and three sentinels, all
// with passwords.
func Sentinel(t testing.TB) *Setup {
	t.Helper()
	return sentinelPool.get(t)
}

// Cluster returns a set-up of a cluster of three primaries with one replica each.
func Cluster(t testing.TB) *Setup {
	t.Helper()
	return clusterPool.get(t)
}

// Setups returns a set-up of every kind that the version of the server allows.
func Setups(t testing.TB) []*Setup {
	t.Helper()
	requirePrograms(t)

	// Starting them is mostly waiting.
	possible := slices.DeleteFunc(slices.Clone(pools), func(p *pool) bool {
		if !supports(p.needs) {
			t.Logf("without the set-up %s, which needs Redis %s", p.name, p.needs)
			return true
		}
		return false
	})
	leases := make([]*lease, len(possible))
	errs := make([]error, len(possible))
	var starting sync.WaitGroup
	for i, p := range possible {
		starting.Go(func() { leases[i], errs[i] = p.take(t) })
	}
	starting.Wait()

	var setups []*Setup
	for i, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
		setups = append(setups, leases[i].setup.copy())
	}
	return setups
}

func (p *pool) get(t testing.TB) *Setup {
	t.Helper()
	requireVersion(t, p.needs, "the set-up "+p.name)
	l, err := p.take(t)
	if err != nil {
		t.Fatal(err)
	}
	return l.setup.copy()
}

// copy returns the set-up with metadata that the caller may change.
func (s *Setup) copy() *Setup {
	other := *s
	other.Metadata = maps.Clone(s.Metadata)
	return &other
}

// take returns the set-up that the test has already, or else one that is free or
// new. The test gives it back when it ends. Subtests share the set-up of the
// test that they are part of.
func (p *pool) take(t testing.TB) (*lease, error) {
	test, _, _ := strings.Cut(t.Name(), "/")
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.inUse[test]
	if l == nil {
		if l = p.free(); l == nil {
			var err error
			if l, err = p.add(); err != nil {
				return nil, err
			}
		}
		if p.inUse == nil {
			p.inUse = map[string]*lease{}
		}
		p.inUse[test] = l
	}
	l.users++
	t.Cleanup(func() { p.giveBack(t, test, l) })
	return l, nil
}

// free returns a set-up that no test uses, or nil.
func (p *pool) free() *lease {
	for _, l := range p.all {
		if l.users == 0 {
			return l
		}
	}
	return nil
}

// add starts another set-up. It gives up the lock meanwhile.
func (p *pool) add() (*lease, error) {
	if p.err != nil {
		return nil, p.err
	}
	l := &lease{users: 1} // so that no other test takes it
	p.all = append(p.all, l)
	p.mu.Unlock()
	var err error
	if l.dir, err = os.MkdirTemp("", "redistest-"); err == nil {
		l.setup, err = newSetup(p.name, l.dir, p.start)
	}
	p.mu.Lock()
	if err != nil {
		p.err = err
		return nil, err
	}
	l.users = 0
	return l, nil
}

// giveBack empties the set-up when the test has no more use for it.
func (p *pool) giveBack(t testing.TB, test string, l *lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(p.inUse, test)
		l.setup.FlushAll(t)
	}
}

// stopShared stops the set-ups of all kinds.
func stopShared() {
	for _, p := range pools {
		p.stop()
	}
}

// stop stops all set-ups and removes their files.
func (p *pool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.all {
		if l.setup != nil {
			l.setup.stop()
		}
		if l.dir != "" {
			_ = os.RemoveAll(l.dir)
		}
	}
}
