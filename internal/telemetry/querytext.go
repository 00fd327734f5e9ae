package telemetry

import (
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxKey is how many bytes of a key are recorded: there may be 512 MiB of them.
	maxKey = 256
	// maxText is how many bytes of commands are recorded of a batch before the
	// rest is left out.
	maxText = 2048
	// leftOut stands for what is not recorded.
	leftOut = "…"
)

// queryText returns db.query.text: the command as one would type it into
// redis-cli, without values.
func queryText(call Call) string {
	script, space := "", ""
	if call.Script != "" {
		script = " ? 1" // its text and the number of its keys
	}
	if call.Arguments != "" {
		space = " "
	}
	return call.Command + script + " " + quotedKey(call.Key) + space + call.Arguments
}

// batchText returns db.query.text of a batch: the commands in a row, or one of
// them when they are all the same.
func batchText(calls iter.Seq[Call]) string {
	var (
		first string
		all   strings.Builder
		equal = true
	)
	for call := range calls {
		text := queryText(call)
		if all.Len() == 0 {
			first = text
			all.WriteString(text)
			continue
		}
		equal = equal && text == first
		all.WriteString("; ")
		if all.Len()+len(text) > maxText {
			all.WriteString(leftOut)
			break
		}
		all.WriteString(text)
	}
	if equal {
		return first
	}
	return all.String()
}

// quotedKey returns a key as redis-cli takes it: in quotes when it would not be
// one word otherwise, or no text. Attributes must be valid UTF-8.
func quotedKey(key string) string {
	rest := ""
	if len(key) > maxKey {
		end := maxKey
		for end > maxKey-utf8.UTFMax && !utf8.RuneStart(key[end]) {
			end--
		}
		key, rest = key[:end], leftOut
	}
	if key == "" || strings.ContainsFunc(key, needsQuotes) {
		key = strconv.Quote(key)
	}
	return key + rest
}

func needsQuotes(r rune) bool {
	return r == utf8.RuneError || !unicode.IsGraphic(r) || unicode.IsSpace(r) || strings.ContainsRune(`"'\;?`, r)
}
