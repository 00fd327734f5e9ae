package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"testing"
)

// ProgramVariable is the environment variable that names the server program for tests, by
// its path or its name on PATH. The default is redis-server, and without that valkey-server.
const ProgramVariable = "REDIS_SERVER"

// program returns the server program.
func program() string {
	if name := os.Getenv(ProgramVariable); name != "" {
		return name
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		if _, err := exec.LookPath("valkey-server"); err == nil {
			return "valkey-server"
		}
	}
	return "redis-server"
}

// version is that of a server, in terms of Redis.
type version struct{ major, minor int }

// Versions of Redis with features that tests need.
var (
	versionOfACL         = version{6, 0} // ACL users, TLS and RESP3
	versionOfGetDel      = version{6, 2} // GETDEL, ACL rules for channels, names of hosts for sentinels
	versionOfClusterPort = version{7, 0}
)

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v version) before(other version) bool {
	return v.major < other.major || v.major == other.major && v.minor < other.minor
}

var serverVersion = sync.OnceValues(func() (version, error) {
	out, err := exec.Command(program(), "--version").Output()
	if err != nil {
		return version{}, fmt.Errorf("%s --version: %w", program(), err)
	}
	return parseVersion(string(out))
})

// parseVersion reads what a server prints as its version. Every Valkey has what Redis 7.2
// has, which it comes from.
func parseVersion(printed string) (version, error) {
	parts := regexp.MustCompile(`(?i)^(redis|valkey) server v=(\d+)\.(\d+)`).FindStringSubmatch(printed)
	if parts == nil {
		return version{}, fmt.Errorf("%q names no version of Redis or Valkey", printed)
	}
	major, _ := strconv.Atoi(parts[2])
	minor, _ := strconv.Atoi(parts[3])
	if parts[1] != "Redis" {
		return version{7, 2}, nil
	}
	return version{major, minor}, nil
}

// Requires skips the test when the server is older than the version of Redis, such as
// "6.2", that has the feature.
func Requires(t testing.TB, since, feature string) {
	t.Helper()
	wanted, err := parseVersion("Redis server v=" + since)
	if err != nil {
		t.Fatal(err)
	}
	requireVersion(t, wanted, feature)
}

func requireVersion(t testing.TB, wanted version, feature string) {
	t.Helper()
	requirePrograms(t)
	has, err := serverVersion()
	if err != nil {
		t.Fatal(err)
	}
	if has.before(wanted) {
		t.Skipf("the server is of version %s, and %s needs %s", has, feature, wanted)
	}
}

// WrongPassword is what the error says with which the server refuses a password.
func WrongPassword() string {
	if supports(versionOfACL) {
		return "WRONGPASS"
	}
	return "ERR invalid password"
}

// supports says whether the server has what is in Redis since that version.
func supports(since version) bool {
	has, err := serverVersion()
	return err != nil || !has.before(since)
}
