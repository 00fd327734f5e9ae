package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// RedisImage is the image that [Engine.Redis] makes.
const RedisImage = "docker.io/library/redis:8.6"

// Redis makes the image of Redis, once, from the redis-server that is installed.
func (e *Engine) Redis(t testing.TB) {
	t.Helper()
	e.image(t, RedisImage, redisFiles, "ENV PATH=/usr/local/bin:/bin", "WORKDIR /data", "VOLUME /data", `CMD ["redis-server"]`)
}

// UI makes an image under the name, once, that stands in for a user interface: the command
// in the folder ui. It listens on the port.
func (e *Engine) UI(t testing.TB, name string, port int) {
	t.Helper()
	if filtered() {
		skip(t, "another container engine has set up the firewall so that containers of this one do not reach each other:"+
			" iptables -P FORWARD ACCEPT, or sysctl net.bridge.bridge-nf-call-iptables=0, lets them")
	}
	e.image(t, name, uiFiles, fmt.Sprint("ENV PORT=", port), `CMD ["/ui"]`)
}

// filtered tells whether the machine's firewall drops what containers in one network send each
// other.
func filtered() bool {
	bridged, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-iptables")
	if err != nil || strings.TrimSpace(string(bridged)) != "1" {
		return false
	}
	rules, err := exec.Command("iptables", "-S", "FORWARD").Output()
	return err == nil && strings.Contains(string(rules), "-P FORWARD DROP")
}

// image makes an image of files, by their paths in it, unless it is there.
func (e *Engine) image(t testing.TB, name string, files func(testing.TB) map[string]string, changes ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	ctx := context.Background()
	if _, err := e.API.ImageInspect(ctx, name); err == nil {
		return
	} else if !errdefs.IsNotFound(err) {
		t.Fatal(err)
	}
	layer, err := archive(files(t))
	if err != nil {
		t.Fatal(err)
	}
	made, err := e.API.ImageImport(ctx, client.ImageImportSource{Source: layer, SourceName: "-"}, name,
		client.ImageImportOptions{Changes: changes})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	// An error comes with status 200, in the stream.
	if text, err := io.ReadAll(made); err != nil || strings.Contains(string(text), `"error"`) {
		t.Fatalf("importing %s: %v %s", name, err, text)
	}
}

// redisFiles are what redis-server, redis-cli and a shell need to run.
func redisFiles(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, program := range []string{"redis-server", "redis-cli", "sh"} {
		source, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		target := "/usr/local/bin/" + program
		if program == "sh" {
			target = "/bin/sh"
		}
		addProgram(t, files, target, source)
	}
	return files
}

// addProgram adds a program and the libraries that it loads.
func addProgram(t testing.TB, files map[string]string, target, source string) {
	t.Helper()
	files[target] = source
	needed, err := exec.Command("ldd", source).Output()
	if err != nil {
		t.Fatalf("ldd %s: %v", source, err)
	}
	// name => /path (address), or /path (address) for the loader
	for _, match := range regexp.MustCompile(`(/\S+) \(0x`).FindAllStringSubmatch(string(needed), -1) {
		files[match[1]] = match[1]
	}
}

// uiFiles are what the stand-in for the user interfaces needs. With -race it uses packages
// that are compiled for the tests.
func uiFiles(t testing.TB) map[string]string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	binary := filepath.Join(t.TempDir(), "ui")
	build := exec.Command("go", "build", "-race", "-o", binary, ".")
	build.Dir = filepath.Join(filepath.Dir(here), "ui")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", build.Dir, err, output)
	}
	files := map[string]string{}
	addProgram(t, files, "/ui", binary)
	return files
}

// archive is a tar of files of the host, by their paths in it.
func archive(files map[string]string) (io.Reader, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for target, source := range files {
		text, err := os.ReadFile(source)
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Name: strings.TrimPrefix(path.Clean(target), "/"), Mode: 0o755, Size: int64(len(text))}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(text); err != nil {
			return nil, err
		}
	}
	return &buffer, writer.Close()
}
