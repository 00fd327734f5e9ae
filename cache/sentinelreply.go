package cache

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/redisbinding/redisbinding/internal/resp"
)

// mostOfSentinel is the longest answer of a sentinel, in bytes.
const mostOfSentinel = 1 << 20

var errSentinel = errors.New("the sentinel answers otherwise than a sentinel does")

// checkSentinel says whether replies are what a sentinel answers. They are complete, and
// a guard has accepted them.
func checkSentinel(asked sentinelQuestion, replies []byte) error {
	for len(replies) > 0 {
		var r sentinelReply
		r, replies = readSentinelReply(replies)
		if r.kind == '-' || r.null || r.fits(asked) {
			continue
		}
		return errSentinel
	}
	return nil
}

// sentinelReply is a reply of a sentinel, or a part of one.
type sentinelReply struct {
	kind  byte
	null  bool
	text  string
	parts []sentinelReply
}

// fits says whether go-redis can take the reply apart.
func (r sentinelReply) fits(asked sentinelQuestion) bool {
	list := r.kind == '*' || r.kind == '>'
	switch asked {
	case whichPrimary:
		return list && len(r.parts) == 2 && r.texts() && r.parts[0].text != "" && r.parts[1].text != ""
	case whichSentinels:
		return list && len(r.parts) <= resp.MaxSentinels
	default:
		return r.kind == '+' || list && r.isMessage()
	}
}

// texts says whether all parts are text.
func (r sentinelReply) texts() bool {
	for _, part := range r.parts {
		if part.kind != '$' && part.kind != '+' || part.null {
			return false
		}
	}
	return true
}

// isMessage says whether it is one of a subscription.
func (r sentinelReply) isMessage() bool {
	if len(r.parts) == 0 {
		return false
	}
	switch kind := r.parts[0]; kind.text {
	case "subscribe", "unsubscribe":
		return len(r.parts) == 3 && r.parts[2].kind == ':'
	case "pong":
		return len(r.parts) == 2 && r.texts()
	case "message":
		return len(r.parts) == 3 && r.texts() &&
			(r.parts[1].text != "+switch-master" || len(strings.Split(r.parts[2].text, " ")) >= 5)
	}
	return false
}

// readSentinelReply takes one reply off.
func readSentinelReply(b []byte) (r sentinelReply, rest []byte) {
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	r.kind = line[0]
	switch r.kind {
	default:
		r.text = string(line[1:])
		return r, rest
	case '_':
		r.null = true
		return r, rest
	case '$', '=', '!', '*', '~', '%', '>':
	}
	n, _ := strconv.Atoi(string(line[1:]))
	switch {
	case n < 0:
		r.null = true
		return r, rest
	case r.kind == '$' || r.kind == '=' || r.kind == '!':
		r.text = string(rest[:n])
		return r, rest[n+len("\r\n"):]
	case r.kind == '%':
		n *= 2
	}
	for range n {
		var part sentinelReply
		part, rest = readSentinelReply(rest)
		r.parts = append(r.parts, part)
	}
	return r, rest
}
