package entratest

import (
	"context"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// SetLifetime sets how long later tokens live. The exp claim is in whole
// seconds, rounded up, so a token may live up to a second longer. One below
// minus one second makes tokens that have expired already.
func (a *Authority) SetLifetime(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lifetime = d
}

// SetClaims sets a function that edits the claims of later tokens before they
// are signed, for example deletes oid; nil sets none. It may be called by
// several goroutines at once. Changing exp does not change what the client is
// told beside the token, nor Token.Expires.
func (a *Authority) SetClaims(edit func(claims jwt.MapClaims)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.edit = edit
}

// SetOpaque makes later tokens random texts that are no JWTs.
func (a *Authority) SetOpaque(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opaque = on
}

// SetDown makes every request fail with status 503, as when Entra is broken.
// Connections are still accepted.
func (a *Authority) SetDown(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = on
}

// SetHanging makes requests for tokens hang: they are read, and not answered
// until it is turned off, the client goes away or Close is called. Requests
// that begin while SetDown is on fail at once.
func (a *Authority) SetHanging(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case on && a.release == nil:
		a.release = make(chan struct{})
	case !on && a.release != nil:
		close(a.release)
		a.release = nil
	}
}

// Waiting returns how many requests hang now.
func (a *Authority) Waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waiting
}

// Requests returns how many requests for a token there were so far, with those
// that hang, were refused or failed.
func (a *Authority) Requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

// ManagedIdentityClientIDs returns the client IDs that requests to the managed
// identity endpoint named, in their order, refused and failed requests too. It
// is "" where a request named none, as for the system-assigned identity.
func (a *Authority) ManagedIdentityClientIDs() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.clientIDs)
}

// Tokens returns all tokens handed out so far, in their order.
func (a *Authority) Tokens() []Token {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.tokens)
}

// isDown tells whether SetDown is on.
func (a *Authority) isDown() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.down
}

// arrive counts a request for a token and returns what it has to wait for
// before it may be answered, nil for nothing. After waiting the request has to
// leave.
func (a *Authority) arrive() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests++
	if a.release == nil || a.down {
		return nil
	}
	a.waiting++
	return a.release
}

func (a *Authority) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting--
}

// hang counts a request for a token and holds it while requests hang. It
// returns false when the request need not be answered any more.
func (a *Authority) hang(ctx context.Context) bool {
	released := a.arrive()
	if released == nil {
		return true
	}
	defer a.leave()
	select {
	case <-released:
		return true
	case <-ctx.Done():
		return false
	}
}
