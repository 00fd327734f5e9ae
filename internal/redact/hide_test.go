package redact

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
)

func TestHide(t *testing.T) {
	t.Parallel()
	const secret = `p%"a\s=s, w`
	for text, want := range map[string]string{
		"WRONGPASS " + secret + " is no password":              "WRONGPASS " + notShown,
		`ERR AUTH default "p%\"a\\s=s, w"`:                     "ERR " + notShown,
		"ERR user=u&password=p%25%22a%5Cs%3Ds%2C+w":            "ERR " + notShown,
		"ERR /p%25%22a%5Cs=s%2C%20w/":                          "ERR " + notShown,
		"ERR cCUiYVxzPXMsIHc= is no password":                  "ERR " + notShown,
		"wrong: " + secret:                                     "ERR " + notShown,
		"WRONGPASS invalid username-password pair is all this": "WRONGPASS invalid username-password pair is all this",
	} {
		err := Hide(ReplyError(text), "", secret)
		assert.EqualError(t, err, want)
		var reply redis.Error
		assert.ErrorAs(t, err, &reply)

		wrapped := Hide(fmt.Errorf("sentinel h:1: %w", errors.Join(io.EOF, ReplyError(text))), secret)
		assert.EqualError(t, wrapped, "sentinel h:1: EOF\n"+want)
		assert.ErrorIs(t, wrapped, io.EOF)
		assert.ErrorAs(t, wrapped, &reply)
		assert.EqualError(t, reply, want)
	}
	assert.NoError(t, Hide(nil, secret))
	assert.EqualError(t, Hide(fmt.Errorf("%w: is it?", FromServerError("answered "+secret)), secret), notShown+": is it?")
	assert.EqualError(t, Hide(errors.New("redis: can't parse "+secret), secret), "redis: "+notShown)
	assert.EqualError(t, Hide(ReplyError("HUNTER is no password"), "HUNTER"), "ERR "+notShown)
	assert.EqualError(t, Hide(ReplyError("WRONGPASS invalid username-password pair"), "a", "user", "pass", "ass"),
		"WRONGPASS invalid username-password pair", "a part of a word")

	// The last letter of an escape is no beginning of a word.
	assert.EqualError(t, Hide(errors.New(`redis: can't parse "\nhunter2hunter2"`), "hunter2hunter2"), "redis: "+notShown)

	// What no server has said is left alone.
	host := errors.New("lookup redis: no such host")
	assert.Equal(t, host, Hide(host, "redis"))
}
