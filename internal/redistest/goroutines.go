package redistest

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// goroutineLabel is the name of the pprof label of goroutines that a test watches.
const goroutineLabel = "redistest"

var watched atomic.Int64

// WatchGoroutines watches the goroutines that the calling one starts from now on,
// and those that they start. The returned function fails the test when some do
// not end. It looks at no goroutine of other tests, which may run in parallel;
// [Main] looks at all of them, at the end.
func WatchGoroutines(t testing.TB) (requireNone func()) {
	t.Helper()
	id := strconv.FormatInt(watched.Add(1), 10)
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(goroutineLabel, id)))
	return func() {
		t.Helper()
		pprof.SetGoroutineLabels(context.Background())
		var left string
		for deadline := time.Now().Add(readyTimeout); time.Now().Before(deadline); time.Sleep(pollInterval) {
			if left = goroutinesOf(id); left == "" {
				return
			}
		}
		t.Errorf("goroutines that do not end:\n%s", left)
	}
}

// goroutinesOf returns the stacks of the goroutines with the label.
func goroutinesOf(id string) string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return err.Error()
	}
	label := strconv.Quote(goroutineLabel) + ":" + strconv.Quote(id)
	var stacks []string
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, label) {
			stacks = append(stacks, stack)
		}
	}
	return strings.Join(stacks, "\n\n")
}
