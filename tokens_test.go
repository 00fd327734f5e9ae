package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"
	"github.com/redis/go-redis/v9/auth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testObjectID = "7a5b1d3e-0c6f-4e52-9d0a-2f1f3b8c9e11"

// newJWT returns a token with the claims; the signature is anybody's.
func newJWT(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("a key"))
	require.NoError(t, err)
	return signed
}

// credentialFunc is an azcore.TokenCredential.
type credentialFunc func(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error)

func (f credentialFunc) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return f(ctx, o)
}

// fakeCredential gives tokens of a certain lifetime, on the clock of a synctest bubble.
type fakeCredential struct {
	t testing.TB

	mu       sync.Mutex
	lifetime time.Duration
	failure  error
	keep     time.Duration // answers with the token it has until so long before its end
	hangs    bool
	now      func() time.Time // time.Now when nil
	attempts []time.Time
	last     azcore.AccessToken
}

func (f *fakeCredential) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.attempts = append(f.attempts, now)
	if f.now != nil {
		now = f.now()
	}
	switch {
	case f.hangs:
		<-ctx.Done()
		return azcore.AccessToken{}, ctx.Err()
	case f.failure != nil:
		return azcore.AccessToken{}, f.failure
	case f.keep > 0 && now.Before(f.last.ExpiresOn.Add(-f.keep)):
		return f.last, nil
	}
	expires := now.Add(f.lifetime)
	f.last = azcore.AccessToken{
		Token:     newJWT(f.t, jwt.MapClaims{"oid": testObjectID, "jti": len(f.attempts)}),
		ExpiresOn: expires,
	}
	return f.last, nil
}

func (f *fakeCredential) set(change func(*fakeCredential)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// attempted returns when tokens were asked for, and forgets it.
func (f *fakeCredential) attempted() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	attempts := f.attempts
	f.attempts = nil
	return attempts
}

// listener is a connection, to tokens.
type listener struct{ heard chan auth.Credentials }

func (l *listener) OnNext(c auth.Credentials) { l.heard <- c }
func (*listener) OnError(error)               {}

// runTokens runs tokens of the credential until they are stopped.
func runTokens(t testing.TB, credential azcore.TokenCredential, fields ...string) (tokens *tokens, log *lockedBuffer, stop func()) {
	t.Helper()
	return runTokensAt(t, wallClock, credential, fields...)
}

// runTokensAt is runTokens with a clock on the wall that may be set.
func runTokensAt(t testing.TB, clock func() time.Time, credential azcore.TokenCredential, fields ...string) (tokens *tokens, log *lockedBuffer, stop func()) {
	t.Helper()
	m, err := ParseMetadata(entraFields(fields...))
	require.NoError(t, err)
	log = &lockedBuffer{}
	tokens = newTokens(m, credential, testLogger(log))
	tokens.clock = clock
	ctx, cancel := context.WithCancel(context.Background())
	go tokens.run(ctx)
	stop = func() {
		cancel()
		<-tokens.stopped
	}
	return tokens, log, stop
}

// entraFields is the metadata of a Redis with Entra ID, with more fields as needed.
func entraFields(more ...string) map[string]string {
	return localhost(append([]string{"redisHost", "h:1", "enableTLS", "true", "useEntraID", "true"}, more...)...)
}

func TestTokenIsRenewedInTime(t *testing.T) {
	for _, lifetime := range []time.Duration{2 * time.Second, 90 * time.Second, 8 * time.Minute, 11 * time.Minute,
		20 * time.Minute, time.Hour, 24 * time.Hour, 28 * time.Hour} {
		t.Run(lifetime.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				credential := &fakeCredential{t: t, lifetime: lifetime}
				tokens, log, stop := runTokens(t, credential)
				defer stop()
				require.NoError(t, tokens.ready(t.Context()))

				conn := &listener{heard: make(chan auth.Credentials, 1)}
				first, unsubscribe, err := tokens.Subscribe(conn)
				require.NoError(t, err)
				user, password := first.BasicAuth()
				assert.Equal(t, testObjectID, user)
				assert.Equal(t, credential.last.Token, password)

				ages := map[time.Duration]bool{}
				for range 20 {
					next := <-conn.heard
					age := next.(*token).acquired.Sub(first.(*token).acquired)
					first = next
					ages[age] = true
					assert.LessOrEqual(t, age, lifetime*9/10)
					assert.GreaterOrEqual(t, age, time.Second)
					if lifetime > 10*time.Minute {
						assert.LessOrEqual(t, age, lifetime-5*time.Minute)
					}
					if lifetime <= 10*time.Minute || lifetime >= 50*time.Minute {
						assert.GreaterOrEqual(t, age, lifetime*3/4)
					}

					_, newest := next.BasicAuth()
					assert.NotEqual(t, password, newest)
					password = newest
					forNew, _, err := tokens.Subscribe(&listener{heard: make(chan auth.Credentials, 100)})
					require.NoError(t, err)
					assert.Equal(t, next, forNew, "a new connection gets the newest token")
				}
				assert.Greater(t, len(ages), 10, "instances that start together do not renew together")

				require.NoError(t, unsubscribe())
				require.NoError(t, unsubscribe())
				time.Sleep(lifetime)
				assert.Empty(t, conn.heard, "a closed connection hears nothing")
				assert.NotContains(t, log.String(), password)
				assert.Contains(t, log.String(), "acquired an Entra ID token")
				assert.Contains(t, log.String(), "renewed the Entra ID token")
			})
		})
	}
}

func TestTokenOfAnyLifetime(t *testing.T) {
	t.Parallel()
	for _, lifetime := range []time.Duration{1, time.Millisecond, 10 * time.Minute, 1 << 62, 1<<63 - 1} {
		now := wallClock()
		renewal := (&token{acquired: now, expires: now.Add(lifetime)}).renewal()
		assert.GreaterOrEqual(t, renewal.Sub(now), time.Second, lifetime)
	}
}

func TestTokenIsAskedForOnceASecondAtMost(t *testing.T) {
	for _, lifetime := range []time.Duration{time.Nanosecond, 100 * time.Millisecond, time.Second, 1100 * time.Millisecond} {
		t.Run(lifetime.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				credential := &fakeCredential{t: t, lifetime: lifetime}
				tokens, _, stop := runTokens(t, credential)
				defer stop()
				for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
					_ = tokens.ready(t.Context()) // somebody always wants one
				}
				attempts := credential.attempted()
				require.Greater(t, len(attempts), 10)
				for i := range attempts[1:] {
					assert.GreaterOrEqual(t, attempts[i+1].Sub(attempts[i]), time.Second)
				}
			})
		})
	}
}

func TestTokenOutlivesFailures(t *testing.T) {
	for _, lifetime := range []time.Duration{2 * time.Second, 90 * time.Second, time.Hour, 24 * time.Hour} {
		t.Run(lifetime.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				credential := &fakeCredential{t: t, lifetime: lifetime}
				tokens, log, stop := runTokens(t, credential)
				defer stop()
				require.NoError(t, tokens.ready(t.Context()))
				expires := time.Now().Add(lifetime)
				credential.attempted()

				cause := errors.New("the authority is down")
				credential.set(func(f *fakeCredential) { f.failure = cause })
				time.Sleep(lifetime - time.Millisecond)
				require.NoError(t, tokens.ready(t.Context()), "the old token serves to its end")
				require.NoError(t, tokens.expired())
				attempts := credential.attempted()
				if lifetime > time.Minute {
					assert.Greater(t, len(attempts), 3)
					assert.Greater(t, attempts[2].Sub(attempts[1]), attempts[1].Sub(attempts[0]), "the pauses grow")
					assert.Less(t, expires.Sub(attempts[len(attempts)-1]), 3*time.Second, "the last attempts are close to the end")
				}
				for i := range len(attempts) - 1 {
					assert.LessOrEqual(t, attempts[i+1].Sub(attempts[i]), 75*time.Second)
				}

				for range 4 {
					time.Sleep(min(lifetime, time.Hour))
					err := tokens.ready(t.Context())
					require.ErrorIs(t, err, cause)
					require.ErrorIs(t, err, ErrNoToken)
					assert.ErrorContains(t, err, "the Entra ID token expired at "+expires.UTC().Format(time.RFC3339)+
						" and could not be renewed: the authority is down")
					assert.Equal(t, err, tokens.expired())
				}
				assert.Contains(t, log.String(), `level=WARN msg="redisbinding: no new Entra ID token" error="the authority is down"`)
				assert.LessOrEqual(t, strings.Count(log.String(), "WARN"), 1+int(time.Since(expires.Add(-lifetime))/time.Minute),
					"once a minute")

				credential.set(func(f *fakeCredential) { f.failure = nil })
				time.Sleep(1500*time.Millisecond + time.Nanosecond)
				require.NoError(t, tokens.ready(t.Context()))
				require.NoError(t, tokens.expired())
			})
		})
	}
}

// azidentity's credentials answer with the token they have until five minutes
// before its end.
func TestTokenKeptByTheCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		credential := &fakeCredential{t: t, lifetime: time.Hour, keep: 5 * time.Minute}
		tokens, log, stop := runTokens(t, credential)
		defer stop()
		require.NoError(t, tokens.ready(t.Context()))
		conn := &listener{heard: make(chan auth.Credentials, 1)}
		_, _, err := tokens.Subscribe(conn)
		require.NoError(t, err)
		for range 10 {
			acquired := time.Now()
			<-conn.heard
			assert.GreaterOrEqual(t, time.Since(acquired), 55*time.Minute)
			assert.LessOrEqual(t, time.Since(acquired), 55*time.Minute+2*time.Second)
		}
		assert.Less(t, len(credential.attempted()), 10*30)
		assert.NotContains(t, log.String(), "WARN")
	})
}

func TestTokenThatNobodyAnswersWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		credential := &fakeCredential{t: t, hangs: true}
		tokens, _, stop := runTokens(t, credential)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, tokens.ready(ctx), context.DeadlineExceeded)

		err := tokens.ready(t.Context())
		require.EqualError(t, err, "no Entra ID token: the authority: no answer within dialTimeout (5s)")
		time.Sleep(5 * time.Second)
		err = tokens.ready(t.Context())
		require.EqualError(t, err, "no Entra ID token: gave up after 10s: context deadline exceeded")
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "no caller's context has ended")

		time.Sleep(2 * time.Second) // the next attempt is under way
		stop()                      // returns: the attempt ends
		assert.Len(t, credential.attempted(), 2)
		assert.ErrorIs(t, tokens.ready(t.Context()), ErrClosed)
	})
}

// wall is a clock that is set, and runs on with the timers.
type wall struct{ ahead atomic.Int64 }

func (w *wall) now() time.Time       { return wallClock().Add(time.Duration(w.ahead.Load())) }
func (w *wall) step(d time.Duration) { w.ahead.Add(int64(d)) }
func (w *wall) newFake(t testing.TB) *fakeCredential {
	return &fakeCredential{t: t, lifetime: 24 * time.Hour, now: w.now}
}

// While a machine is suspended the clock on the wall goes on and timers do not.
func TestTokenAfterTheMachineWasSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock wall
		credential := clock.newFake(t)
		tokens, _, stop := runTokensAt(t, clock.now, credential)
		defer stop()
		require.NoError(t, tokens.ready(t.Context()))
		time.Sleep(time.Minute)
		clock.step(48 * time.Hour)
		before := time.Now()
		require.NoError(t, tokens.ready(t.Context()))
		assert.Equal(t, before, time.Now(), "whoever wants a token has it renewed at once")

		// The same when a renewal had failed before.
		credential.set(func(f *fakeCredential) { f.failure = errors.New("down") })
		time.Sleep(23 * time.Hour)
		clock.step(48 * time.Hour)
		credential.set(func(f *fakeCredential) { f.failure = nil })
		before = time.Now()
		for tokens.ready(t.Context()) != nil {
			time.Sleep(10 * time.Millisecond)
		}
		assert.Less(t, time.Since(before), 2*time.Second)

		// Nobody wants one: that is noticed all the same.
		time.Sleep(time.Hour)
		clock.step(48 * time.Hour)
		time.Sleep(2 * time.Minute)
		assert.NoError(t, tokens.expired())
	})
}

func TestTokenAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock wall
		credential := clock.newFake(t)
		credential.failure = errors.New("down")
		tokens, log, stop := runTokensAt(t, clock.now, credential)
		defer stop()
		synctest.Wait()
		clock.step(-8 * time.Hour)
		time.Sleep(2 * time.Minute)
		assert.Greater(t, strings.Count(log.String(), "WARN"), 1)
		credential.set(func(f *fakeCredential) { f.failure = nil })
		time.Sleep(2 * time.Second)
		require.NoError(t, tokens.ready(t.Context()))

		acquired := tokens.current.Load()
		clock.step(-8 * time.Hour)
		time.Sleep(24 * time.Hour)
		assert.NotEqual(t, acquired, tokens.current.Load(), "renewed by its age")
	})
}

// A credential may give one token for ever, as one for development does.
func TestTokenThatIsExtended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		value := newJWT(t, jwt.MapClaims{"oid": testObjectID})
		tokens, log, stop := runTokens(t, credentialFunc(func(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
			return azcore.AccessToken{Token: value, ExpiresOn: time.Now().Add(time.Hour)}, nil
		}))
		defer stop()
		for range 50 {
			require.NoError(t, tokens.ready(t.Context()))
			time.Sleep(10 * time.Minute)
		}
		assert.NotContains(t, log.String(), "WARN")
	})
}

func TestTokensAfterTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		credential := &fakeCredential{t: t, failure: errors.New("down")}
		tokens, _, stop := runTokens(t, credential)
		require.ErrorIs(t, tokens.ready(t.Context()), credential.failure)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, tokens.ready(canceled), context.Canceled)
		stop()
		require.ErrorIs(t, tokens.ready(t.Context()), ErrClosed)
	})
}

// A credential is anybody's, and may be nil in disguise.
func TestTokenCredentialThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens, _, stop := runTokens(t, (*azidentity.ClientSecretCredential)(nil))
		defer stop()
		require.ErrorContains(t, tokens.ready(t.Context()), "no Entra ID token: the token credential panicked: runtime error: invalid memory address")
	})
}

func TestTokensThatAreNone(t *testing.T) {
	withoutOID := newJWT(t, jwt.MapClaims{"sub": "somebody"})
	numberOID := newJWT(t, jwt.MapClaims{"oid": 17})
	tests := map[string]struct {
		token   string
		expires time.Duration
		fields  []string
		want    string
	}{
		"not a JWT":       {"opaque.secret.token", time.Hour, nil, "the token is not a JWT: set azureObjectID"},
		"empty":           {"", time.Hour, nil, "the token is not a JWT: set azureObjectID"},
		"no oid":          {withoutOID, time.Hour, nil, "the token has no claim oid: set azureObjectID"},
		"oid not text":    {numberOID, time.Hour, nil, "the token has no claim oid: set azureObjectID"},
		"expired":         {withoutOID, -time.Minute, nil, "got a token that had expired at 2000-01-01T00:00:00Z: is the clock right?"},
		"named elsewhere": {"opaque.secret.token", time.Hour, []string{"azureObjectID", "somebody"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Minute) // from the bubble's 2000-01-01
				tokens, log, stop := runTokens(t, credentialFunc(func(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
					return azcore.AccessToken{Token: test.token, ExpiresOn: time.Now().Add(test.expires)}, nil
				}), test.fields...)
				defer stop()
				err := tokens.ready(t.Context())
				if test.want == "" {
					require.NoError(t, err)
					user, password := tokens.current.Load().BasicAuth()
					assert.Equal(t, []string{"somebody", test.token}, []string{user, password})
				} else {
					require.ErrorContains(t, err, "no Entra ID token: "+test.want)
				}
				if test.token != "" {
					assert.NotContains(t, fmt.Sprintf("%+v %s", err, log), test.token)
				}
			})
		})
	}
}

func TestTokenErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2~secret"
	jwtLike := newJWT(t, jwt.MapClaims{"oid": testObjectID})
	for name, cause := range map[string]error{
		"secret":  fmt.Errorf("bad form: client_secret=%s", secret),
		"token":   fmt.Errorf("bad assertion: %s", jwtLike),
		"wrapped": fmt.Errorf("outer: %w", fmt.Errorf("assertion %s", jwtLike)),
		"multi-line": errors.New("first line.\n" + strings.Repeat("-", 80) + "\n  second\n" + strings.Repeat("-", 80) + `
{
  "error": "invalid_client",
  "error_codes": [
    7000215
  ],
  "error_description": "AADSTS7000215: a \"wrong\" secret.",
  "timestamp": "now"
}
` + strings.Repeat("-", 80) + "\nread:\n\tmore"),
		"a context's": fmt.Errorf("gave up: %w", context.DeadlineExceeded),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tokens, log, stop := runTokens(t, credentialFunc(func(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
					return azcore.AccessToken{}, cause
				}), "azureClientSecret", secret, "azureTenantID", "t", "azureClientID", "c")
				defer stop()
				err := tokens.ready(t.Context())
				require.Error(t, err)
				synctest.Wait()
				for e := err; e != nil; e = errors.Unwrap(e) {
					for _, text := range []string{e.Error(), fmt.Sprintf("%#v", e), log.String()} {
						assert.NotContains(t, text, secret)
						assert.NotContains(t, text, jwtLike)
					}
				}
				assert.NotErrorIs(t, err, context.DeadlineExceeded)
				switch name {
				case "multi-line":
					require.ErrorIs(t, err, cause)
					assert.EqualError(t, err, `no Entra ID token: first line. second; AADSTS7000215: a \"wrong\" secret. read: more`)
				case "secret", "token", "wrapped":
					assert.ErrorContains(t, err, "***")
					assert.NotErrorIs(t, err, cause)
				}
			})
		})
	}
}
