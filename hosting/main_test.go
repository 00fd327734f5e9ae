package hosting

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/redisbinding/redisbinding/hosting/internal/dockertest"
)

// helperVariable makes the test binary an app of its own: see TestSweep.
const helperVariable = "HOSTING_TEST_HOME"

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	if home := os.Getenv(helperVariable); home != "" {
		helperApp(home)
		return
	}
	redis.SetLogger(silent{})               // tests end servers under their clients
	own, err := os.MkdirTemp("", "hosting") // for the examples, which have no other
	if err == nil {
		err = os.Setenv(HomeVariable, own)
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(own)
	dockertest.Stop()
	if npmHome != "" {
		_ = os.RemoveAll(npmHome)
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
