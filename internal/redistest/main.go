// Package redistest starts real redis-server processes for tests.
//
// [Start] gives a test a server of its own. [Plain], [ACL], [TLS], [Sentinel]
// and [Cluster] give it a [Setup], one of the kinds of Redis a binding can be
// pointed at, which all tests of the process share; tests that break things
// take a [StartTLS], [StartSentinel] or [StartCluster] of their own.
// [StartEntra] and [StartEntraCluster] give a test a Redis with the tokens of
// Microsoft Entra ID for passwords. Every server listens on a free port of
// 127.0.0.1 only.
//
// redis-server (or what [ProgramVariable] names), redis-cli and sh must be on PATH. Without
// them a test is skipped, and fails when the environment variable CI is "true". Any Redis
// from 5.0 on will do, and any Valkey: a test that needs a newer one is skipped.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// Main runs the tests of a package, stops every shared set-up, and then fails
// the run when goroutines have leaked. leakOptions name the goroutines that
// may stay. It silences the process-wide logger of go-redis, and it does not
// return: it calls [os.Exit].
func Main(m *testing.M, leakOptions ...goleak.Option) {
	redis.SetLogger(silentLogger{})

	code := m.Run()
	stopShared()

	// The goroutines of a failed test are no news.
	if code == 0 {
		err := goleak.Find(leakOptions...)
		// After as many failed dials as its pool has places, a client of go-redis has a goroutine that
		// looks only once a second whether it has been closed. goleak waits for half of one.
		for tries := 0; err != nil && tries < 5; tries++ {
			err = goleak.Find(leakOptions...)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "redistest: goroutines leaked: %v\n", err)
			code = 1
		}
	}
	os.Exit(code)
}

// silentLogger drops what go-redis logs about connections that tests break on
// purpose.
type silentLogger struct{}

func (silentLogger) Printf(context.Context, string, ...any) {}

// requirePrograms skips the test when a program that runs the servers is
// missing.
func requirePrograms(t testing.TB) {
	t.Helper()
	for _, name := range []string{program(), "redis-cli", "sh"} {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		skip(t, name+" is not on PATH: install Redis 7 with `make deps` or the system's package manager"+
			" (apt-get install redis-server, brew install redis)")
	}
}

// requireTLS skips the test when there is no redis-server that speaks TLS.
func requireTLS(t testing.TB) {
	t.Helper()
	requireVersion(t, versionOfACL, "TLS")

	// It ends at once: either it does not know the directive or not the port.
	out, _ := exec.Command(program(), "--tls-port", "none").CombinedOutput()
	if bytes.Contains(out, []byte("Bad directive")) {
		skip(t, "the redis-server on PATH was built without TLS: install one that was built with it")
	}
}

// skip skips the test, except in CI, where a skipped test would go unnoticed.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
