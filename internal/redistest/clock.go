package redistest

import (
	_ "embed"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

//go:embed testdata/clock.c
var clockSource []byte

// StartWithClock starts a server for this test only whose clock step sets: so many
// seconds ahead of, or behind, that of the machine. It needs gcc, and Linux.
func StartWithClock(t testing.TB, args ...string) (s *Server, step func(ahead time.Duration)) {
	t.Helper()
	if runtime.GOOS != "linux" {
		skip(t, "only Linux preloads a library as this is done here")
	}
	dir := t.TempDir()
	source, library, clock := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so"), filepath.Join(dir, "clock")
	if err := os.WriteFile(source, clockSource, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O", "-o", library, source).CombinedOutput(); err != nil {
		skip(t, "gcc makes no library to preload: "+err.Error()+"\n"+string(out))
	}
	step = func(ahead time.Duration) {
		seconds := binary.NativeEndian.AppendUint64(nil, uint64(ahead/time.Second))
		// In place: the server has the file mapped.
		file, err := os.OpenFile(clock, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		if _, err := file.Write(seconds); err != nil {
			t.Fatal(err)
		}
	}
	step(0)
	return startOwned(t, options{args: args, under: []string{"env", "CLOCK=" + clock, "LD_PRELOAD=" + library}}), step
}
