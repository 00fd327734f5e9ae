package examples_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	// go test does not see what go run builds. These imports, and reading the folders,
	// keep it from answering with a cached result after a change.
	_ "github.com/redisbinding/redisbinding"
	_ "github.com/redisbinding/redisbinding/cache"
	_ "github.com/redisbinding/redisbinding/hosting"
)

// environment is ours without what the examples would take for a choice of the user's, and
// with a home of its own.
func environment(home, runtime string) []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ConnectionStrings__") && !strings.HasPrefix(variable, "Parameters__") {
			env = append(env, variable)
		}
	}
	return append(env, "REDISBINDING_HOSTING_HOME="+home, "REDISBINDING_HOSTING_RUNTIME="+runtime)
}

// find returns the path of the first of these programs that is there. Without any the test is
// skipped, and fails in CI.
func find(t *testing.T, programs ...string) string {
	t.Helper()
	for _, program := range programs {
		if path, err := exec.LookPath(program); err == nil {
			return path
		}
	}
	why := "none of " + strings.Join(programs, ", ") + " is on PATH"
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

func read(t *testing.T, folder string) {
	t.Helper()
	_, err := os.ReadDir(folder)
	require.NoError(t, err)
}

func TestQuickstart(t *testing.T) {
	read(t, "quickstart")
	for _, runtime := range []string{"embedded", "process"} {
		t.Run(runtime, func(t *testing.T) {
			if runtime == "process" {
				find(t, "redis-server")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "go", "run", "./quickstart")
			cmd.Env = environment(t.TempDir(), runtime)
			cmd.WaitDelay = time.Second
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			for _, line := range []string{
				"store     redis  healthy  127.0.0.1:",
				"binding: visits -> 1",
				"binding: visits -> 2",
				"cache: greeting -> hello, for 1m0s",
				"store             redis         stopped  127.0.0.1:",
			} {
				assert.Contains(t, string(out), line)
			}
		})
	}
}

// buffer is what a program has printed so far.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A person starts the example, opens both of its pages in a browser, signs the guest book,
// finds it in Redis Commander, and presses Ctrl-C.
func TestHosting(t *testing.T) {
	read(t, "hosting")
	read(t, filepath.Join("hosting", "web"))
	find(t, "redis-server")
	find(t, "node")
	find(t, "npm")
	browser := find(t, "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

	program := filepath.Join(t.TempDir(), "hosting")
	out, err := exec.Command("go", "build", "-o", program, "./hosting").CombinedOutput()
	require.NoError(t, err, "%s", out)

	printed := &buffer{}
	ctx, cancel := context.WithCancel(context.Background())
	app := exec.CommandContext(ctx, program)
	// Killed, it would leave Redis and the others behind, which nobody would find again: its
	// home is a folder of this test.
	app.Cancel = func() error { return app.Process.Signal(os.Interrupt) }
	app.WaitDelay = time.Minute
	app.Env = environment(t.TempDir(), "process")
	app.Stdout, app.Stderr = printed, printed
	require.NoError(t, app.Start())
	t.Cleanup(func() {
		cancel()
		_ = app.Wait()
	})
	link := func(name string) (link string) {
		row := regexp.MustCompile(`(?m)^` + name + ` .* healthy .*(http://127\.0\.0\.1:\d+/)$`)
		require.Eventually(t, func() bool {
			if found := row.FindStringSubmatch(printed.String()); found != nil {
				link = found[1]
			}
			return link != ""
		}, 5*time.Minute, 10*time.Millisecond, printed) // Redis Commander is installed
		return link
	}
	web, commander := link("web"), link("rediscommander")
	assert.Contains(t, printed.String(), "RESOURCE")
	assert.Regexp(t, `(?m)^web +\| listening on http://127\.0\.0\.1:\d+$`, printed)

	assert.Contains(t, open(t, browser, web), `seen <strong id="visits">1</strong> time.`)
	assert.Contains(t, open(t, browser, web), `seen <strong id="visits">2</strong> times.`)
	response, err := http.PostForm(web, url.Values{"name": {"Ada"}, "text": {"<b>Lovely</b>"}})
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	page := open(t, browser, web)
	assert.Contains(t, page, "<strong>Ada</strong>")
	assert.Contains(t, page, "&lt;b&gt;Lovely&lt;/b&gt;")

	// The browser takes the page as it is after a while, which may be too early.
	require.Eventually(t, func() bool {
		page = open(t, browser, commander)
		return strings.Contains(page, "guestbook:*")
	}, 2*time.Minute, time.Second)
	assert.Contains(t, page, "<title>Redis Commander: Home</title>")
	assert.Regexp(t, `</i>cache \(127\.0\.0\.1:\d+:0\)`, page, "the connection in the tree")
	assert.Contains(t, page, "guestbook:* (1)", "and in it what the web application has written")

	require.NoError(t, app.Process.Signal(os.Interrupt))
	require.NoError(t, app.Wait(), printed)
	for _, address := range regexp.MustCompile(`127\.0\.0\.1:\d+`).FindAllString(printed.String(), -1) {
		conn, err := net.Dial("tcp", address)
		if !assert.Error(t, err, address) {
			_ = conn.Close()
		}
	}
}

// open returns the page as it is once its scripts have run.
func open(t *testing.T, browser, page string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=10000", "--timeout=30000", "--dump-dom", page)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, &stderr)
	return string(out)
}
