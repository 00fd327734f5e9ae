package redisbinding

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a string that prints as *** whatever prints it: fmt with any
// verb, encoding/json and log/slog. Convert it with string(s) to use it. But fmt shows
// a Secret in an unexported field of a struct that it prints, where it cannot ask what to show.
type Secret string

// String returns *** for a secret that is set, "" for an empty one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// Format writes what String returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText does what String does, for encoding/json and its like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue does what String does, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
