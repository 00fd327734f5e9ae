// Package wording has the pieces that errors about what somebody has written are
// made of.
package wording

import (
	"strconv"
	"strings"
)

// Quoted shows a value in an error, cut short when it is long.
func Quoted(value string) string {
	const most = 64
	if len(value) > most {
		return strconv.Quote(value[:most]) + "..."
	}
	return strconv.Quote(value)
}

// Nearest returns the word that name is, or may be a misspelling of with no more
// changes than most; or "".
func Nearest(name string, most int, words ...string) (word string) {
	for _, w := range words {
		if name == w {
			return w
		}
		if len(name) > len(w)+most {
			continue // and may be very long
		}
		if d := editDistance(strings.ToLower(name), strings.ToLower(w)); d <= most {
			word, most = w, d-1
		}
	}
	return word
}

// editDistance is the Levenshtein distance: how many bytes to change, add or
// remove to get from a to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
