package benchmarks

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// versions says what the numbers were measured with. The modules are named beside what
// every experiment uses.
func versions(modules ...string) string {
	text := fmt.Sprintf("%s %s/%s, %d cores, GOMAXPROCS %d", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), runtime.GOMAXPROCS(0))
	if out, err := exec.Command("redis-server", "--version").Output(); err == nil {
		// Redis server v=7.0.15 sha=00000000:0 ...
		_, after, _ := strings.Cut(string(out), "v=")
		version, _, _ := strings.Cut(after, " ")
		text += ", redis-server " + version
	}
	text += ", go-redis " + redis.Version()
	if len(modules) == 0 {
		return text + ", rueidis " + rueidis.LibVer
	}
	all := []string{text}
	for _, module := range modules {
		all = append(all, strings.TrimPrefix(module, "github.com/")+" "+requiredVersion(module))
	}
	return strings.Join(all, ", ")
}

// requiredVersion returns what go.mod says: binaries of tests do not know the versions of what
// they are made of.
func requiredVersion(module string) string {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		return "of unknown version"
	}
	_, after, _ := strings.Cut(string(text), "\t"+module+" ")
	version, _, _ := strings.Cut(after, "\n")
	return version
}
