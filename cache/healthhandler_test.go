package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

// asked is the answer to a request for health.
func asked(h http.Handler, method string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, httptest.NewRequest(method, "/health", nil))
	return recorder
}

// assertHealth checks an answer, whose durations are left out of want.
func assertHealth(t *testing.T, got *httptest.ResponseRecorder, status int, want string) {
	t.Helper()
	durations := regexp.MustCompile(`"(totalD|d)uration":"\d\d:\d\d:\d\d\.\d{7}",?`)
	assert.Equal(t, status, got.Code)
	assert.Equal(t, "application/json", got.Header().Get("Content-Type"))
	assert.Equal(t, "no-store", got.Header().Get("Cache-Control"))
	text := strings.TrimSuffix(got.Body.String(), "\n")
	assert.True(t, json.Valid([]byte(text)), text)
	assert.Equal(t, want, strings.ReplaceAll(durations.ReplaceAllString(text, ""), ",}", "}"))
}

func passes(context.Context) error { return nil }

func fails(context.Context) error { return errors.New("dial tcp 10.1.2.3:6379: s3cret") }

func pingOf(client redis.UniversalClient) func(context.Context) error {
	return func(ctx context.Context) error { return New(client).HealthCheck(ctx) }
}

func TestHealthDefaults(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 5*time.Second, DefaultHealthTimeout)
	assert.Equal(t, "StackExchange.Redis", HealthCheckName)
	for _, opts := range [][]HealthOption{nil, {WithHealthTimeout(0)}, {WithHealthTimeout(-1)}, {WithHealthLogger(nil)}} {
		h := HealthHandler(nil, opts...).(*healthHandler)
		assert.Equal(t, &healthHandler{checks: map[string]*healthCheck{}, timeout: DefaultHealthTimeout}, h)
	}
	assert.Equal(t, time.Minute, HealthHandler(nil, WithHealthTimeout(time.Minute)).(*healthHandler).timeout)
	assert.PanicsWithValue(t, `cache: HealthHandler: check "x" is nil`, func() { HealthHandler(HealthChecks{"x": nil}) })
}

func TestHealthHandler(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		checks HealthChecks
		opts   []HealthOption
		status int
		want   string
	}{
		"none":       {nil, nil, 200, `{"status":"Healthy","entries":{}}`},
		"one passes": {HealthChecks{HealthCheckName: passes}, nil, 200, `{"status":"Healthy","entries":{"StackExchange.Redis":{"status":"Healthy"}}}`},
		"one of them fails, in order": {HealthChecks{"c": passes, "b": fails, "a": passes}, nil, 503,
			`{"status":"Unhealthy","entries":{"a":{"status":"Healthy"},"b":{"status":"Unhealthy"},"c":{"status":"Healthy"}}}`},
		"details": {HealthChecks{"a": fails, "b": passes}, []HealthOption{WithHealthDetails()}, 503,
			`{"status":"Unhealthy","entries":{"a":{"status":"Unhealthy","description":"dial tcp 10.1.2.3:6379: s3cret"},"b":{"status":"Healthy"}}}`},
		"details are redacted": {HealthChecks{"a": func(context.Context) error {
			return errors.New("ERR unknown command 'HELLO', with args beginning with: 's3cret'")
		}}, []HealthOption{WithHealthDetails()}, 503,
			`{"status":"Unhealthy","entries":{"a":{"status":"Unhealthy","description":"ERR unknown command 'HELLO'"}}}`},
		"panics": {HealthChecks{"a": func(context.Context) error { panic("s3cret") }, "b": passes}, nil, 503,
			`{"status":"Unhealthy","entries":{"a":{"status":"Unhealthy"},"b":{"status":"Healthy"}}}`},
		"panics, details": {HealthChecks{"a": func(context.Context) error { panic("out of order") }}, []HealthOption{WithHealthDetails()}, 503,
			`{"status":"Unhealthy","entries":{"a":{"status":"Unhealthy","description":"panic: out of order"}}}`},
		"ends its goroutine": {HealthChecks{"a": func(context.Context) error { runtime.Goexit(); return nil }}, []HealthOption{WithHealthDetails()}, 503,
			`{"status":"Unhealthy","entries":{"a":{"status":"Unhealthy","description":"the check has ended its goroutine"}}}`},
		"a strange name": {HealthChecks{"\"<\n\xff": passes}, nil, 200,
			`{"status":"Healthy","entries":{"\"\u003c\n` + `\ufffd` + `":{"status":"Healthy"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := HealthHandler(test.checks, test.opts...)
			for range 2 { // it can be asked again
				assertHealth(t, asked(h, http.MethodGet), test.status, test.want)
			}
			assert.Equal(t, test.status, asked(h, http.MethodHead).Code)
		})
	}
}

func TestHealthHandlerMethods(t *testing.T) {
	t.Parallel()
	h := HealthHandler(HealthChecks{"a": func(context.Context) error { panic("is not called") }})
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch, "get"} {
		got := asked(h, method)
		assert.Equal(t, 405, got.Code, method)
		assert.Equal(t, "GET, HEAD", got.Header().Get("Allow"), method)
		assert.Equal(t, "no-store", got.Header().Get("Cache-Control"), method)
	}
	server := httptest.NewServer(HealthHandler(nil))
	defer server.Close()
	resp, err := server.Client().Head(server.URL)
	require.NoError(t, err)
	assert.NoError(t, resp.Body.Close())
	assert.Equal(t, 200, resp.StatusCode)
	server.Client().CloseIdleConnections()
}

func TestHealthHandlerOfServers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "s3cret-password")
	client := checked(t, server.Addr, &redis.Options{Password: "s3cret-password", DialerRetries: 1})
	wrong := checked(t, server.Addr, &redis.Options{Password: "an0ther-password"})
	checks := HealthChecks{HealthCheckName: pingOf(client)}
	const well = `{"status":"Healthy","entries":{"StackExchange.Redis":{"status":"Healthy"}}}`
	const ill = `{"status":"Unhealthy","entries":{"StackExchange.Redis":{"status":"Unhealthy"}}}`
	h := HealthHandler(checks)
	detailed := HealthHandler(checks, WithHealthDetails())
	assertHealth(t, asked(h, http.MethodGet), 200, well)
	assertHealth(t, asked(detailed, http.MethodGet), 200, well)
	assertHealth(t, asked(HealthHandler(HealthChecks{HealthCheckName: pingOf(wrong)}), http.MethodGet), 503, ill)
	refused := asked(HealthHandler(HealthChecks{HealthCheckName: pingOf(wrong)}, WithHealthDetails()), http.MethodGet).Body.String()
	assert.Contains(t, refused, "WRONGPASS")
	assert.NotContains(t, refused, "an0ther-password")

	server.Pause()
	short := HealthHandler(checks, WithHealthTimeout(20*time.Millisecond))
	for range 3 {
		assertHealth(t, asked(short, http.MethodGet), 503, ill)
	}
	server.Resume()
	assertHealth(t, asked(h, http.MethodGet), 200, well)

	server.Kill()
	assertHealth(t, asked(h, http.MethodGet), 503, ill)
	for _, leak := range []string{server.Host, server.Port, "refused", "password", "cache:"} {
		assert.NotContains(t, asked(h, http.MethodGet).Body.String(), leak)
	}
	told := asked(detailed, http.MethodGet).Body.String()
	assert.Contains(t, told, server.Addr)
	assert.Contains(t, told, "connection refused")
	assert.NotContains(t, told, "s3cret-password")

	server.Restart(t)
	require.Eventually(t, func() bool { return asked(h, http.MethodGet).Code == 200 }, 10*time.Second, time.Millisecond)
}

// One after the other they could not both come to the meeting.
func TestHealthHandlerChecksAtOnce(t *testing.T) {
	t.Parallel()
	var meeting sync.WaitGroup
	meeting.Add(2)
	meets := func(context.Context) error {
		meeting.Done()
		meeting.Wait()
		return nil
	}
	assert.Equal(t, 200, asked(HealthHandler(HealthChecks{"a": meets, "b": meets}), http.MethodGet).Code)
}

func TestHealthHandlerOfAHangingCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		release := make(chan struct{})
		h := HealthHandler(HealthChecks{"hangs": func(context.Context) error {
			calls.Add(1)
			<-release
			return nil
		}, "well": passes}, WithHealthDetails())
		const want = `{"status":"Unhealthy","entries":{` +
			`"hangs":{"status":"Unhealthy","description":"no answer in 5s: context deadline exceeded"},"well":{"status":"Healthy"}}}`
		start := time.Now()
		got := asked(h, http.MethodGet)
		assert.Equal(t, 5*time.Second, time.Since(start))
		assert.Contains(t, got.Body.String(), `"totalDuration":"00:00:05.0000000"`)
		assertHealth(t, got, 503, want)

		// It has been found out, so that nobody waits for it again, nor calls it.
		for range 10 {
			assertHealth(t, asked(h, http.MethodGet), 503, want)
		}
		assert.Equal(t, 5*time.Second, time.Since(start))
		assert.EqualValues(t, 1, calls.Load())

		close(release)
		synctest.Wait()
		assert.Equal(t, 200, asked(h, http.MethodGet).Code)
		assert.EqualValues(t, 2, calls.Load())
	})
}

func TestHealthHandlerTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := HealthHandler(HealthChecks{"heeds": func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, "slow": func(context.Context) error {
			time.Sleep(time.Minute - 1)
			return nil
		}}, WithHealthTimeout(time.Minute))
		start := time.Now()
		for i := range 3 {
			assertHealth(t, asked(h, http.MethodGet), 503,
				`{"status":"Unhealthy","entries":{"heeds":{"status":"Unhealthy"},"slow":{"status":"Healthy"}}}`)
			assert.Equal(t, time.Duration(i+1)*time.Minute, time.Since(start))
			synctest.Wait()
		}
	})
}

func TestHealthHandlerSharesChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, running atomic.Int32
		h := HealthHandler(HealthChecks{"a": func(context.Context) error {
			calls.Add(1)
			assert.EqualValues(t, 1, running.Add(1))
			time.Sleep(time.Second)
			running.Add(-1)
			return errors.New("shared")
		}})
		var requests sync.WaitGroup
		for range 20 {
			requests.Go(func() { assert.Equal(t, 503, asked(h, http.MethodGet).Code) })
		}
		requests.Wait()
		assert.EqualValues(t, 1, calls.Load())
		asked(h, http.MethodGet)
		assert.EqualValues(t, 2, calls.Load(), "an outcome is not kept")
	})
}

// For the race detector.
func TestHealthHandlerOfManyGoroutines(t *testing.T) {
	t.Parallel()
	client := checked(t, redistest.Plain(t).Servers[0].Addr, nil)
	h := HealthHandler(HealthChecks{HealthCheckName: pingOf(client), "fails": fails, "panics": func(context.Context) error { panic(1) }},
		WithHealthDetails(), WithHealthLogger(slog.New(slog.DiscardHandler)))
	var requests sync.WaitGroup
	for range 8 {
		requests.Go(func() {
			for range 50 {
				got := asked(h, http.MethodGet)
				assert.Equal(t, 503, got.Code)
				assert.Contains(t, got.Body.String(), `"StackExchange.Redis":{"status":"Healthy"`)
			}
		})
	}
	requests.Wait()
}

// The first of two who share a check goes away, which is nothing to the second.
func TestHealthHandlerContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var logs bytes.Buffer
		h := HealthHandler(HealthChecks{"a": func(ctx context.Context) error {
			assert.Equal(t, "value", ctx.Value(key{}))
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return nil
			}
		}}, WithHealthLogger(slog.New(slog.NewTextHandler(&logs, nil))))
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		var requests sync.WaitGroup
		requests.Go(func() {
			recorder := httptest.NewRecorder()
			h.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
			assert.Equal(t, 503, recorder.Code)
		})
		synctest.Wait()
		requests.Go(func() { assert.Equal(t, 200, asked(h, http.MethodGet).Code) })
		synctest.Wait()
		cancel()
		requests.Wait()
		assert.Empty(t, logs.String())
	})
}

func TestHealthHandlerKeepsItsChecks(t *testing.T) {
	t.Parallel()
	checks := HealthChecks{"a": passes}
	h := HealthHandler(checks)
	checks["late"], checks["a"] = fails, fails
	assertHealth(t, asked(h, http.MethodGet), 200, `{"status":"Healthy","entries":{"a":{"status":"Healthy"}}}`)
}

func TestHealthLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		release := make(chan struct{})
		h := HealthHandler(HealthChecks{"fails": fails, "well": passes,
			"panics": func(context.Context) error { panic("out of order") },
			"leaks": func(context.Context) error {
				return errors.New("ERR unknown command 'HELLO', with args beginning with: 'hidden'")
			},
			"hangs": func(context.Context) error {
				<-release
				return errors.New("too late to be news")
			},
		}, WithHealthLogger(slog.New(slog.NewJSONHandler(&logs, nil))))
		body := asked(h, http.MethodGet).Body.String()
		assert.NotContains(t, body, "s3cret", "what is logged is not for the answer")
		close(release)
		synctest.Wait()

		got := map[string]string{}
		for line := range strings.Lines(logs.String()) {
			var entry struct{ Level, Msg, Check, Error, Stack string }
			require.NoError(t, json.Unmarshal([]byte(line), &entry))
			assert.Equal(t, "ERROR", entry.Level)
			assert.Equal(t, "cache: a health check failed", entry.Msg)
			assert.NotContains(t, got, entry.Check, "it is logged once")
			got[entry.Check] = entry.Error
			if entry.Check == "panics" {
				assert.Contains(t, entry.Stack, "healthhandler_test.go")
			} else {
				assert.Empty(t, entry.Stack)
			}
		}
		assert.Equal(t, map[string]string{
			"fails":  "dial tcp 10.1.2.3:6379: s3cret",
			"leaks":  "ERR unknown command 'HELLO'",
			"panics": "panic: out of order",
			"hangs":  "no answer in 5s: context deadline exceeded",
		}, got)
	})
}

func TestTimeSpan(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"00:00:00.0000000":    99 * time.Nanosecond,
		"00:00:00.0012345":    1234567 * time.Nanosecond,
		"00:00:05.0000000":    5 * time.Second,
		"23:59:59.9999999":    24*time.Hour - 1,
		"1.00:00:00.0000000":  24 * time.Hour,
		"12.03:04:05.0600000": 12*24*time.Hour + 3*time.Hour + 4*time.Minute + 5*time.Second + 60*time.Millisecond,
	} {
		text, err := timeSpan(d).MarshalText()
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}
}
