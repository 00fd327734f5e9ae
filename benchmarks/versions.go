package benchmarks

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// versions says what the numbers were measured with.
func versions() string {
	text := fmt.Sprintf("%s %s/%s, %d cores, GOMAXPROCS %d", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), runtime.GOMAXPROCS(0))
	if out, err := exec.Command("redis-server", "--version").Output(); err == nil {
		// Redis server v=7.0.15 sha=00000000:0 ...
		_, after, _ := strings.Cut(string(out), "v=")
		version, _, _ := strings.Cut(after, " ")
		text += ", redis-server " + version
	}
	return text + ", go-redis " + redis.Version() + ", rueidis " + rueidis.LibVer
}
