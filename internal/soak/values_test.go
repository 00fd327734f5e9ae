package soak

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// filler is what values are made of, but for their beginning.
var filler = bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz\r\n$-1\r\n"), 3<<20)

// value returns the value of that name, which says how long it is: at least size.
// It is made in buf if that is large enough.
func value(buf []byte, name string, size int) []byte {
	head := fmt.Sprintf("%s %d|", name, size)
	buf = append(buf[:0], head...)
	return append(buf, filler[:max(size-len(head), 0)]...)
}

// nameOf returns the name of a value, or what is wrong with it when it is not, to the
// last byte, what was written under some name.
func nameOf(data []byte) string {
	head, _, whole := bytes.Cut(data[:min(len(data), 100)], []byte("|"))
	if !whole {
		return string(head) // the digits of a counter, say
	}
	name, size, _ := strings.Cut(string(head), " ")
	rest := data[len(head)+1:]
	if long, _ := strconv.Atoi(size); len(data) != max(long, len(head)+1) || !bytes.Equal(rest, filler[:len(rest)]) {
		return fmt.Sprintf("torn %s of %d bytes", name, len(data))
	}
	return name
}
