package entratest

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// What a token was obtained with: values of Token.Via.
const (
	ViaClientSecret    = "client_secret"
	ViaCertificate     = "certificate"
	ViaWorkload        = "workload"
	ViaManagedIdentity = "managed_identity"
)

// Token is a token that was handed out.
//
// Expires is the exp claim, in whole seconds. A managed identity is told that
// very time. The token endpoint of Entra, however, tells how many whole
// seconds are left, to which the client adds the time when it has the answer:
// what it computes is less than a second before Expires, and after it by no
// more than the answer took to reach the client.
type Token struct {
	Value   string
	Issued  time.Time
	Expires time.Time
	Via     string
}

// secondsLeft returns the expires_in of the protocol.
func (t *Token) secondsLeft() int64 { return int64(t.Expires.Sub(t.Issued) / time.Second) }

const signingKeyBits = 2048

// signingKey is the key of all stand-ins of the process: making one takes long
// compared to everything else that Start does.
var signingKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	return rsa.GenerateKey(rand.Reader, signingKeyBits)
})

// issue makes a token and records it as handed out.
func (a *Authority) issue(via string) (Token, error) {
	a.mu.Lock()
	lifetime, edit, opaque := a.lifetime, a.edit, a.opaque
	a.mu.Unlock()

	now := time.Now()
	token := Token{Issued: now, Expires: roundUp(now.Add(lifetime)), Via: via}
	if opaque {
		token.Value = rand.Text() + rand.Text()
	} else {
		claims := a.claims(token)
		if edit != nil {
			edit(claims)
		}
		var err error
		if token.Value, err = jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(a.key); err != nil {
			return Token{}, fmt.Errorf("signing the token: %w", err)
		}
	}
	if a.config.Issue != nil {
		if err := a.config.Issue(token.Value, token.Expires); err != nil {
			return Token{}, fmt.Errorf("issuing the token: %w", err)
		}
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens = append(a.tokens, token)
	return token, nil
}

func (a *Authority) claims(token Token) jwt.MapClaims {
	return jwt.MapClaims{
		"aud":   a.resource,
		"iss":   a.issuer(),
		"iat":   token.Issued.Unix(),
		"nbf":   token.Issued.Unix(),
		"exp":   token.Expires.Unix(),
		"oid":   a.config.ObjectID,
		"sub":   a.config.ObjectID, // Entra has the two agree for applications.
		"tid":   a.config.TenantID,
		"appid": a.config.ClientID,
		"uti":   rand.Text(), // Tokens of the same second differ by it.
	}
}

// roundUp returns the first whole second that is not before t.
func roundUp(t time.Time) time.Time {
	second := t.Truncate(time.Second)
	if second.Before(t) {
		second = second.Add(time.Second)
	}
	return second
}
