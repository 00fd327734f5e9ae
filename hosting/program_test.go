package hosting

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// programVariable makes the test binary another program, for tests that run one.
const programVariable = "HOSTING_TEST_PROGRAM"

func init() {
	what := os.Getenv(programVariable)
	if what == "" {
		return
	}
	ended := make(chan os.Signal, 1)
	if what != "stubborn" {
		signal.Notify(ended, syscall.SIGTERM)
	} else {
		signal.Ignore(syscall.SIGTERM)
	}
	switch what {
	case "environment": // prints it, and waits for its end
		variables := os.Environ()
		slices.Sort(variables)
		fmt.Println(strings.Join(variables, "\n"))
		fmt.Println("that is all")
	case "http": // serves HTTP at $PORT
		go func() {
			handler := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }
			_ = http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(handler))
		}()
	case "failure":
		fmt.Fprintln(os.Stderr, "something is wrong")
		os.Exit(3)
	}
	fmt.Println("ready")
	<-ended
	fmt.Println("asked to end")
	os.Exit(0)
}

// program adds the test binary as a command that does what is said above.
func program(t *testing.T, b *Builder, name, what string) *Project {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The race detector sleeps for a second at the end of a program.
	return b.AddCommand(name, path).WithEnv(programVariable, what).WithEnv("GORACE", "atexit_sleep_ms=0")
}
