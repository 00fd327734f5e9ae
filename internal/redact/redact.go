// Package redact takes out of errors what a server repeats of a command in them:
// "unknown command" comes with arguments, which may be a password or a value.
package redact

import (
	"regexp"

	"github.com/redis/go-redis/v9"
)

// ReplyError is a server's error reply with what it repeated of the command
// cut off. It is a redis.Error like the reply it stands for.
type ReplyError string

func (e ReplyError) Error() string { return string(e) }

// RedisError makes it a redis.Error.
func (ReplyError) RedisError() {}

// repeatedArguments is what a server adds to "unknown command": the arguments,
// which may be a password or a value.
var repeatedArguments = regexp.MustCompile(`,? with args beginning with:[^\n]*`)

// Arguments returns text without the arguments that a server repeats in it.
func Arguments(text string) string { return repeatedArguments.ReplaceAllString(text, "") }

// Error returns err, or when its text repeats arguments of a command,
// an error in its place that does not, nor does what it wraps.
func Error(err error) error {
	if err == nil { // what an error wraps that could wrap
		return nil
	}
	text := Arguments(err.Error())
	if text == err.Error() {
		return err
	}
	if _, isReply := err.(redis.Error); isReply { //nolint:errorlint // what it wraps comes below
		return ReplyError(text)
	}
	censored := CensoredError{Text: text}
	switch wrapper := err.(type) { //nolint:errorlint // the tree is taken apart here
	case interface{ Unwrap() error }:
		censored.Causes = []error{Error(wrapper.Unwrap())}
	case interface{ Unwrap() []error }:
		for _, cause := range wrapper.Unwrap() {
			censored.Causes = append(censored.Causes, Error(cause))
		}
	}
	return censored
}

// CensoredError stands in for an error whose own text would show too much.
type CensoredError struct {
	Text   string
	Causes []error // what may still be reached through it
}

func (e CensoredError) Error() string { return e.Text }

// Unwrap returns the causes.
func (e CensoredError) Unwrap() []error { return e.Causes }
