package redisbinding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9/auth"

	"github.com/redisbinding/redisbinding/internal/redact"
)

const (
	// tokenTimeout bounds one attempt to get a token. The Azure CLI takes seconds.
	tokenTimeout = 10 * time.Second
	// tokenRate is how long after an attempt the next one may be made.
	tokenRate = time.Second
	// keptReserve is how long before its end azidentity keeps no token, and by when
	// one that lives for more than twice as long is renewed.
	keptReserve = 5 * time.Minute
	// clockCheck is how often the clock on the wall is looked at while waiting:
	// timers stand still while a machine is suspended, tokens expire.
	clockCheck = time.Minute
	// handPeriod is how long handing a new token to all connections takes at most.
	handPeriod = 10 * time.Second
	// failureLogPause is how long failures are not logged after one.
	failureLogPause = time.Minute
)

// token is one token and what follows from it.
type token struct {
	auth.Credentials

	acquired time.Time
	expires  time.Time
}

// lives says whether there is a token and it has not expired.
func (t *token) lives(now time.Time) bool { return t != nil && now.Before(t.expires) }

// tokens keeps one living token for the whole binding and gives it to the
// connections: it is go-redis's StreamingCredentialsProvider. A new connection
// gets the newest token, and an open one hears of a new token and authenticates
// again with it.
type tokens struct {
	credential azcore.TokenCredential
	scope      string
	user       string   // overrides that of the token, unless empty
	secrets    []string // not to be repeated in errors
	logger     *slog.Logger
	clock      func() time.Time // wallClock
	// retire closes the connections that have not been used since they were
	// handed a new token, and so have not authenticated with it.
	retire func(handed time.Time)

	timeout time.Duration // dialTimeout, which waiting for a token is part of
	wake    chan struct{} // asks run for an attempt now
	stopped chan struct{} // closed when run has ended

	// For run only.
	asked  time.Time // when the last attempt has ended
	logged time.Time // when a failure was last logged

	current atomic.Pointer[token] // nil before the first; set with mu held

	mu        sync.Mutex
	failure   error         // of the last attempt
	attempted chan struct{} // closed and replaced after each attempt
	listeners map[auth.CredentialsListener]struct{}
}

func newTokens(m *Metadata, credential azcore.TokenCredential, logger *slog.Logger) *tokens {
	return &tokens{
		credential: credential,
		scope:      m.AzureRedisScope,
		user:       m.AzureObjectID,
		secrets: []string{string(m.AzureClientSecret), string(m.AzureCertificate),
			string(m.AzureCertificatePassword)},
		logger:    logger,
		clock:     wallClock,
		timeout:   m.DialTimeout,
		wake:      make(chan struct{}, 1),
		stopped:   make(chan struct{}),
		attempted: make(chan struct{}),
		listeners: map[auth.CredentialsListener]struct{}{},
		retire:    func(time.Time) {},
	}
}

// run keeps the token alive until ctx ends.
func (t *tokens) run(ctx context.Context) {
	defer close(t.stopped)
	pauses := &backoff.ExponentialBackOff{
		// 1 s to 1.5 s at first, and then up to about a minute.
		InitialInterval: tokenRate * 5 / 4, RandomizationFactor: 0.2, Multiplier: 2, MaxInterval: time.Minute,
	}
	for ctx.Err() == nil {
		previous := t.current.Load()
		next, err := t.acquire(ctx)
		now := t.clock()
		t.asked = time.Now()
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil:
			pause := pauseBefore(previous, now, pauses)
			t.fail(ctx, err, previous, pause)
			t.sleep(ctx, now.Add(pause))
		case previous != nil && next.RawCredentials() == previous.RawCredentials():
			// Kept by the credential, which has an idea of its own of when to renew
			// it. Those of azidentity do so five minutes before its end.
			next.acquired = previous.acquired
			t.attempt(next, nil)
			pause := pauseBefore(next, now, pauses)
			if released := next.expires.Add(-keptReserve).Sub(now); released > 0 {
				pause = min(pause, released+tokenRate+rand.N(tokenRate)) //nolint:gosec // chance, not secrecy
			}
			t.sleep(ctx, now.Add(pause))
		default:
			pauses.Reset()
			if listeners := t.replace(ctx, next, previous); previous != nil {
				t.hand(ctx, listeners, next, previous.expires.Sub(now))
			}
			t.sleep(ctx, next.renewal())
		}
	}
}

// renewal returns when to renew the token: after 75 to 90 % of its life, by
// chance, because many instances of a service start together. Time for some
// attempts is left: half a minute where that is a small part of its life, and
// five minutes of one that is longer than ten.
func (t *token) renewal() time.Time {
	life := t.expires.Sub(t.acquired)
	reserve := max(life/10, min(life/100*22, 30*time.Second))
	if life > 2*keptReserve {
		reserve = max(reserve, keptReserve)
	}
	latest := life - reserve
	earliest := min(life/4*3, latest-life/100*3)
	return t.acquired.Add(max(tokenRate, earliest+rand.N(latest-earliest+1))) //nolint:gosec // chance, not secrecy
}

// pauseBefore returns how long to pause before the next attempt: growing
// while the token lives, but so that there are some more before its end, and as
// short as allowed without one.
func pauseBefore(current *token, now time.Time, pauses *backoff.ExponentialBackOff) time.Duration {
	if !current.lives(now) {
		pauses.Reset()
		return pauses.NextBackOff()
	}
	return max(tokenRate, min(pauses.NextBackOff(), current.expires.Sub(now)/2))
}

// acquire asks for a token once.
func (t *tokens) acquire(ctx context.Context) (*token, error) {
	attempt, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	access, err := t.askCredential(attempt)
	now := t.clock()
	switch expires := access.ExpiresOn.Round(0); {
	case err != nil && attempt.Err() != nil && ctx.Err() == nil:
		return nil, fmt.Errorf("gave up after %s: %w", tokenTimeout, t.censor(err))
	case err != nil:
		return nil, t.censor(err)
	case !expires.After(now):
		return nil, fmt.Errorf("got a token that had expired at %s: is the clock right?", expires.UTC().Format(time.RFC3339))
	default:
		user := t.user
		if user == "" {
			if user, err = objectIDOf(access.Token); err != nil {
				return nil, err
			}
		}
		return &token{auth.NewBasicCredentials(user, access.Token), now, expires}, nil
	}
}

// askCredential is GetToken of the credential, which may be anybody's: should it
// panic, that does not end the process.
func (t *tokens) askCredential(ctx context.Context) (access azcore.AccessToken, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("the token credential panicked: %v", panicked)
		}
	}()
	return t.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{t.scope}})
}

// replace makes next the current token and returns whom it concerns.
func (t *tokens) replace(ctx context.Context, next, previous *token) []auth.CredentialsListener {
	user, _ := next.BasicAuth()
	message := "redisbinding: acquired an Entra ID token"
	if previous != nil {
		message = "redisbinding: renewed the Entra ID token"
	}
	t.logger.InfoContext(ctx, message, "user", user, "expires", next.expires.UTC())
	return t.attempt(next, nil)
}

// hand hands a new token to the open connections, while the old one has some
// time left: one after the other, because go-redis does not use a connection
// that is to authenticate again, and opens another in its place. It
// authenticates when it comes across the connection, so that those that nobody
// has used are closed in the end.
func (t *tokens) hand(ctx context.Context, listeners []auth.CredentialsListener, next *token, left time.Duration) {
	left = max(0, min(left, next.expires.Sub(next.acquired)))
	period := min(left/4, handPeriod)
	for i, listener := range listeners {
		t.sleep(ctx, next.acquired.Add(period*time.Duration(i)/time.Duration(len(listeners))))
		listener.OnNext(next)
	}
	if left > 0 {
		handed := time.Now()
		t.sleep(ctx, next.acquired.Add(left/2))
		t.retire(handed)
	}
}

// fail notes an attempt that has brought no token. It logs one a minute.
func (t *tokens) fail(ctx context.Context, err error, current *token, pause time.Duration) {
	t.attempt(current, err)
	if time.Since(t.logged) < failureLogPause {
		return
	}
	t.logged = time.Now()
	attrs := []any{"error", err, "retry_in", pause.Round(time.Millisecond)}
	if current != nil {
		attrs = append(attrs, "expires", current.expires.UTC())
	}
	t.logger.WarnContext(ctx, "redisbinding: no new Entra ID token", attrs...)
}

// attempt notes how an attempt has ended and returns whom a new token concerns.
func (t *tokens) attempt(current *token, failure error) []auth.CredentialsListener {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current.Store(current)
	t.failure = failure
	close(t.attempted)
	t.attempted = make(chan struct{})
	return slices.Collect(maps.Keys(t.listeners))
}

// sleep waits until a time on the wall's clock (but not for longer because that
// is set back), or until somebody wants a token when there is none, but then for
// tokenRate after the last attempt all the same.
func (t *tokens) sleep(ctx context.Context, until time.Time) {
	end := time.Now().Add(until.Sub(t.clock())) // on the monotonic clock
	for ctx.Err() == nil {
		left := min(until.Sub(t.clock()), time.Until(end))
		if left <= 0 {
			return
		}
		timer := time.NewTimer(min(left, clockCheck))
		select {
		case <-timer.C:
		case <-t.wake:
			timer.Stop()
			if soon := t.asked.Add(tokenRate); soon.Before(end) && !t.current.Load().lives(t.clock()) {
				end = soon
			}
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// Subscribe is called by go-redis for each connection that it opens, and what
// it returns when it closes one.
func (t *tokens) Subscribe(listener auth.CredentialsListener) (auth.Credentials, auth.UnsubscribeFunc, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	current := t.current.Load()
	if current == nil {
		// Without a token there is no connection but a failed one, which says why.
		return auth.NewBasicCredentials("", ""), func() error { return nil }, nil
	}
	t.listeners[listener] = struct{}{}
	return current, func() error {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.listeners, listener)
		return nil
	}, nil
}

// ready returns nil as soon as there is a living token, and otherwise why there
// is none as soon as that is known, or dialTimeout has passed, or ctx has ended.
func (t *tokens) ready(ctx context.Context) error {
	var tooLate <-chan time.Time
	for {
		t.mu.Lock()
		current, failure, attempted := t.current.Load(), t.failure, t.attempted
		t.mu.Unlock()
		select {
		case <-t.stopped:
			return ErrClosed
		default:
		}
		if current.lives(t.clock()) {
			return nil
		}
		select {
		case t.wake <- struct{}{}: // its end may have been slept through
		default:
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case failure != nil:
			return missingToken(current, failure)
		case tooLate == nil:
			timer := time.NewTimer(t.timeout)
			defer timer.Stop()
			tooLate = timer.C
		}
		select {
		case <-attempted:
		case <-tooLate:
			return missingToken(current, &dialTimeoutError{"the authority", t.timeout})
		case <-ctx.Done():
		case <-t.stopped:
		}
	}
}

// expired returns why the token that there was lives no more, or nil.
func (t *tokens) expired() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	current := t.current.Load()
	if current == nil || current.lives(t.clock()) {
		return nil
	}
	return missingToken(current, cmp.Or(t.failure, errNotYet))
}

var errNotYet = errors.New("no answer yet")

// tokenError is an [ErrNoToken] that says why.
type tokenError struct {
	text  string
	cause error
}

func missingToken(last *token, cause error) *tokenError {
	if last == nil {
		return &tokenError{"no Entra ID token: " + cause.Error(), cause}
	}
	return &tokenError{fmt.Sprintf("the Entra ID token expired at %s and could not be renewed: %v",
		last.expires.UTC().Format(time.RFC3339), cause), cause}
}

func (e *tokenError) Error() string { return e.text }

func (e *tokenError) Is(target error) bool { return target == ErrNoToken }

func (e *tokenError) Unwrap() error { return e.cause }

// jwtPattern is a JWT in a text: an access token, or what an identity proves itself with.
var jwtPattern = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]*`)

// censor returns err with its text on one line and without what is secret. What
// err wraps can be reached through it unless that could show a secret, or pass
// for the end of a caller's context.
func (t *tokens) censor(err error) error {
	text := jwtPattern.ReplaceAllString(err.Error(), "***")
	for _, secret := range t.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	var censored redact.CensoredError
	if text == err.Error() && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		censored.Causes = []error{err}
	}
	censored.Text = oneLine(text)
	return censored
}

// answerPattern is an answer of Entra ID, of which the description says all.
var answerPattern = regexp.MustCompile(`\{[^{}]*"error_description":\s*"((?:[^"\\]|\\.)*)"[^{}]*\}`)

// oneLine puts what azidentity says in many lines on one.
func oneLine(text string) string {
	var line strings.Builder
	for part := range strings.Lines(answerPattern.ReplaceAllString(text, "$1")) {
		part = strings.TrimSpace(part)
		if strings.Trim(part, "-") == "" { // lines are drawn around an answer
			continue
		}
		if said := line.String(); said != "" && !strings.HasSuffix(said, ".") && !strings.HasSuffix(said, ":") {
			line.WriteByte(';')
		}
		if line.Len() > 0 {
			line.WriteByte(' ')
		}
		line.WriteString(part)
	}
	return line.String()
}

// wallClock is the time without the reading of the monotonic clock, which
// stands still while a machine is suspended.
func wallClock() time.Time { return time.Now().Round(0) }
