package redisbinding

import "log/slog"

// mask stands for a secret wherever one would be printed.
const mask = "***"

// Secret is a string that prints as *** whatever prints it: fmt with any
// verb, encoding/json and log/slog. Convert it with string(s) to use it.
type Secret string

// String returns *** for a secret that is set, "" for an empty one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString does what String does, for the verb %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText does what String does, for encoding/json and its like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue does what String does, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
