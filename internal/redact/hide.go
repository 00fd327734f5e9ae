package redact

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

// FromServerError is an error whose text shows what a server has sent that is no error reply.
type FromServerError string

func (e FromServerError) Error() string { return string(e) }

// shortest is the length from which on a secret is looked for within words, too.
const shortest = 8

// notShown stands for what a server has said.
const notShown = "(the rest is not shown, as it repeats a password)"

// Hide returns err, or when a server has put one of the secrets into what it says, in
// whatever spelling, an error in its place that does not show it, nor does what it
// wraps. What a server did not say is left alone: a host may be called as a password is.
func Hide(err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	var spellings []string
	for _, secret := range secrets {
		if secret != "" {
			spellings = append(spellings, spellingsOf(secret)...)
		}
	}
	if !showsAny(err.Error(), spellings) {
		return err
	}
	hidden, _ := hide(err, spellings)
	return hidden
}

func hide(err error, spellings []string) (hidden error, changed bool) {
	switch cause := err.(type) { //nolint:errorlint // the tree is taken apart here
	case interface{ Unwrap() error }:
		if inner := cause.Unwrap(); inner != nil {
			return hideCauses(err, []error{inner}, spellings)
		}
	case interface{ Unwrap() []error }:
		return hideCauses(err, cause.Unwrap(), spellings)
	}
	text := err.Error()
	if !showsAny(text, spellings) {
		return err, false
	}
	var reply redis.Error
	var sent FromServerError
	switch {
	case errors.As(err, &reply):
		return withoutRest(ReplyError(text), spellings), true
	case errors.As(err, &sent):
		return FromServerError(notShown), true
	case strings.HasPrefix(text, "redis: "): // a reply that go-redis does not understand
		return CensoredError{Text: "redis: " + notShown}, true
	}
	return err, false
}

// hideCauses is hide for an error that wraps others.
func hideCauses(err error, causes []error, spellings []string) (hidden error, changed bool) {
	var said []string // what is hidden, and what stands for it
	inner := make([]error, len(causes))
	for i, cause := range causes {
		var hid bool
		if inner[i], hid = hide(cause, spellings); hid {
			said = append(said, cause.Error(), inner[i].Error())
		}
	}
	if len(said) == 0 {
		return err, false
	}
	replacer := strings.NewReplacer(said...)
	for i, cause := range inner {
		if showsAny(cause.Error(), spellings) { // one beside it that has the same text and does not unwrap
			inner[i] = CensoredError{Text: replacer.Replace(cause.Error())}
		}
	}
	return CensoredError{Text: replacer.Replace(err.Error()), Causes: inner}, true
}

// ReplyCode is what an error reply begins with, such as WRONGPASS: what a server says
// after that may repeat a password.
func ReplyCode(reply error) string {
	code, _, _ := strings.Cut(reply.Error(), " ")
	if code == "" || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "ERR"
	}
	return code
}

// withoutRest is an error reply down to its code.
func withoutRest(reply ReplyError, spellings []string) ReplyError {
	code := ReplyCode(reply)
	if showsAny(code, spellings) {
		code = "ERR"
	}
	return ReplyError(code + " " + notShown)
}

// spellingsOf are a secret as it is, and as it may come back.
func spellingsOf(secret string) []string {
	quoted := strconv.Quote(secret)
	return []string{
		secret, quoted[1 : len(quoted)-1], url.QueryEscape(secret), url.PathEscape(secret),
		base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
}

func showsAny(text string, spellings []string) bool {
	for _, spelling := range spellings {
		if shows(text, spelling) {
			return true
		}
	}
	return false
}

// shows says whether the text has the words in it, short ones not as a part of longer
// ones: a password such as "a" would be everywhere.
func shows(text, words string) bool {
	if len(words) >= shortest { // in front may be what is left of an escape, such as the n of \n
		return strings.Contains(text, words)
	}
	for from := 0; ; {
		at := strings.Index(text[from:], words)
		if at < 0 {
			return false
		}
		at += from
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		first, size := utf8.DecodeRuneInString(words)
		last, _ := utf8.DecodeLastRuneInString(words)
		after, _ := utf8.DecodeRuneInString(text[at+len(words):])
		begins, ends := !isWord(before) || !isWord(first), !isWord(last) || !isWord(after)
		if begins && ends {
			return true
		}
		from = at + size
	}
}

func isWord(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
