package redisbinding

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redisbinding/redisbinding/internal/wording"
)

// What reads a value returns an error that says what is taken and what came: the
// Reason of a MetadataError or a RequestError, which names the field.

// parseBool reads the boolean forms of the metadata.
func parseBool(value string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "true", "t", "1", "yes", "y", "on":
		return true, nil
	case "false", "f", "0", "no", "n", "off":
		return false, nil
	}
	return false, fmt.Errorf("takes true or false (or 1/0, yes/no, on/off, y/n, t/f), got %s", wording.Quoted(value))
}

// parseDuration reads a Go duration, or a bare whole number of unit.
func parseDuration(value string, unit time.Duration) (d time.Duration, ok bool) {
	value = strings.TrimSpace(value)
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		d = time.Duration(n) * unit
		return d, d/unit == time.Duration(n)
	}
	d, err := time.ParseDuration(value)
	return d, err == nil
}

// parseTTL reads how long a key is to live, in whole milliseconds.
func parseTTL(value string) (time.Duration, error) {
	ttl, ok := parseDuration(value, time.Second)
	if !ok || ttl < time.Millisecond {
		return 0, fmt.Errorf("takes a whole number of seconds from 1 to %d, or a duration of at least 1ms such as \"90s\", got %s",
			int64(maxTTL/time.Second), wording.Quoted(value))
	}
	return ttl.Truncate(time.Millisecond), nil
}

// maxTTL is the longest TTL a time.Duration can say, some 292 years.
const maxTTL time.Duration = 1<<63 - 1

// refuse says that the value is out of bounds.
func (b bound) refuse(value string) error {
	return errors.New("takes " + b.takes + ", got " + wording.Quoted(value))
}

// duration reads a duration within the bound.
func (b bound) duration(value string) (time.Duration, error) {
	if b.off && strings.TrimSpace(value) == "-1" {
		return 0, nil
	}
	d, ok := parseDuration(value, time.Millisecond)
	if !ok || int64(d) < b.min || int64(d) > b.max {
		return 0, b.refuse(value)
	}
	return d, nil
}

// number reads a whole number within the bound.
func (b bound) number(value string) (int, error) {
	v, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil || v < b.min || v > b.max {
		return 0, b.refuse(value)
	}
	return int(v), nil
}
