package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/redisbinding/redisbinding/internal/redact"
)

// DefaultHealthTimeout is how long [HealthHandler] waits for a check unless
// [WithHealthTimeout] says otherwise.
const DefaultHealthTimeout = 5 * time.Second

// HealthChecks are functions that say what is wrong, by names for [HealthHandler] to
// show: [Cache.HealthCheck] under [HealthCheckName], and any other of this form, such as the
// Ping of a binding or a database.
//
// A check should return when its context ends, and may be called by any goroutine,
// though never by two at once from the same handler.
type HealthChecks map[string]func(context.Context) error

// HealthOption changes how [HealthHandler] checks and answers.
type HealthOption func(*healthHandler)

// WithHealthTimeout sets how long a check may take, overriding [DefaultHealthTimeout];
// what takes longer counts as failed. 0 and less is the default: there always is an end.
func WithHealthTimeout(timeout time.Duration) HealthOption {
	return func(h *healthHandler) {
		if h.timeout = timeout; timeout <= 0 {
			h.timeout = DefaultHealthTimeout
		}
	}
}

// WithHealthDetails has the answer say why a check fails: its entry gets the error's text
// as "description". That has addresses in it, and whatever else the errors of the checks
// say, so it is for where only operators get in. By default the answer has none of it.
func WithHealthDetails() HealthOption {
	return func(h *healthHandler) { h.details = true }
}

// WithHealthLogger sets what logs checks that fail, with their errors and of a panic
// the stack: once for each time the check is run, at error level. nil, the default, logs
// nothing.
func WithHealthLogger(logger *slog.Logger) HealthOption {
	return func(h *healthHandler) { h.logger = logger }
}

// HealthHandler answers GET and HEAD with whether all checks pass: 200, or else 503, and
// JSON in the form of .NET's health checks, as their UI reads it:
//
//	{"status":"Healthy","totalDuration":"00:00:00.0012345","entries":{
//	  "StackExchange.Redis":{"status":"Healthy","duration":"00:00:00.0012345"}}}
//
// A status is "Healthy" or "Unhealthy", and entries are in the order of their names.
// Without checks all is well. Any path is answered, so it can be served wherever a
// probe looks for it.
//
// The checks run at the same time, each no longer than the time-out; one that does not
// heed its context is left behind then. While a check is going on, requests that come
// meanwhile share it and its outcome, and of one that has been left behind it is said at
// once that it has failed. So there is never more than one goroutine for a check,
// however often it is asked for. A check that panics has failed; the process lives on.
//
// The context of a check has the values of the request that it was begun for, but ends
// with the time-out alone. The handler may be used by any number of goroutines, and keeps
// a copy of the map. A nil check in it is a mistake in the program: HealthHandler panics.
func HealthHandler(checks HealthChecks, opts ...HealthOption) http.Handler {
	h := &healthHandler{checks: make(map[string]*healthCheck, len(checks)), timeout: DefaultHealthTimeout}
	for _, opt := range opts {
		opt(h)
	}
	for name, check := range checks {
		if check == nil {
			panic("cache: HealthHandler: check " + strconv.Quote(name) + " is nil")
		}
		h.checks[name] = &healthCheck{check: check, timeout: h.timeout, failed: func(ctx context.Context, err error) {
			h.log(ctx, name, err)
		}}
	}
	return h
}

type healthHandler struct {
	checks  map[string]*healthCheck
	timeout time.Duration
	details bool
	logger  *slog.Logger // nil: none
}

const (
	healthy   = "Healthy"
	unhealthy = "Unhealthy"
)

// healthReport is the answer.
type healthReport struct {
	Status        string                 `json:"status"`
	TotalDuration timeSpan               `json:"totalDuration"`
	Entries       map[string]healthEntry `json:"entries"` // encoding/json puts them in order
}

type healthEntry struct {
	Status      string   `json:"status"`
	Duration    timeSpan `json:"duration"`
	Description string   `json:"description,omitempty"`
}

// timeSpan is a duration as .NET writes it: [days.]hours:minutes:seconds.fraction.
type timeSpan time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (s timeSpan) MarshalText() ([]byte, error) {
	d := time.Duration(s)
	var text []byte
	if days := d / (24 * time.Hour); days > 0 {
		text = fmt.Appendf(text, "%d.", days)
	}
	return fmt.Appendf(text, "%02d:%02d:%02d.%07d",
		d/time.Hour%24, d/time.Minute%60, d/time.Second%60, d%time.Second/tick), nil
}

// ServeHTTP answers a request.
func (h *healthHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	report := h.report(r.Context())
	w.Header().Set("Content-Type", "application/json")
	if report.Status != healthy {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(report) // a client that has gone needs no answer
}

// report runs the checks, all of them before it waits for any.
func (h *healthHandler) report(ctx context.Context) healthReport {
	start := time.Now()
	report := healthReport{Status: healthy, Entries: make(map[string]healthEntry, len(h.checks))}
	runs := make(map[string]*healthRun, len(h.checks))
	for name, check := range h.checks {
		runs[name] = check.join(ctx)
	}
	for name, run := range runs {
		entry := healthEntry{Status: healthy}
		took, err := run.wait(ctx)
		entry.Duration = timeSpan(took)
		if err != nil {
			entry.Status, report.Status = unhealthy, unhealthy
			if h.details {
				entry.Description = redact.Error(err).Error()
			}
		}
		report.Entries[name] = entry
	}
	report.TotalDuration = timeSpan(time.Since(start))
	return report
}

// log logs that a check has failed.
func (h *healthHandler) log(ctx context.Context, name string, err error) {
	if h.logger == nil {
		return
	}
	attrs := []any{"check", name, "error", redact.Error(err)}
	var panicked *panicError
	if errors.As(err, &panicked) {
		attrs = append(attrs, "stack", string(panicked.stack))
	}
	h.logger.ErrorContext(ctx, "cache: a health check failed", attrs...)
}
