package resp

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// accepted are whole replies.
var accepted = []string{
	"+OK\r\n", "+\r\n", "-ERR no\r\n", ":-12\r\n", "_\r\n", ",1.5e300\r\n", "#t\r\n", "(123456789012345678901234567890\r\n",
	"$0\r\n\r\n", "$5\r\nhe\r\no\r\n", "$-1\r\n", "$10\r\n\r\n$-1\r\n|0\r\r\n", "=8\r\ntxt:text\r\n", "!5\r\nERR x\r\n",
	"*0\r\n", "*-1\r\n", "*2\r\n$1\r\na\r\n:1\r\n", "~1\r\n+a\r\n", "%0\r\n", "%1\r\n+a\r\n*1\r\n:1\r\n", "*1\r\n%1\r\n+a\r\n:1\r\n",
	">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n_\r\n",
	strings.Repeat("*1\r\n", MaxDepth) + ":1\r\n",
	"+" + strings.Repeat("x", MaxLine-3) + "\r\n", "," + strings.Repeat("1", MaxNumber-3) + "\r\n",
	"*3\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*0\r\n",
	"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nmodules\r\n*0\r\n",
}

// refused are replies, and why they are not let through.
var refused = []struct{ reply, reason string }{
	{"$536870913\r\n", "a string of 536870913 bytes, where 536870912 are the most"},
	{"!536870913\r\n", "a string of 536870913 bytes, where 536870912 are the most"},
	{"=536870913\r\n", "a string of 536870913 bytes, where 536870912 are the most"},
	{"$9999999999999\r\n", "a length of more than 9 digits"},
	{"$\r\n", "a length that is no number"},
	{"$-\r\n", "a length that is no number"},
	{"$--1\r\n", "a length that is no number"},
	{"$1-\r\n", "a length that is no number"},
	{"$+1\r\n", "a length that is no number"},
	{"$1\n", "a length that is no number"},
	{"$1\r1\n", "a length that is no number"},
	{"$1\r\r\n", "a length that is no number"},
	{"$?\r\n", "a length that is no number"},
	{"*?\r\n", "a length that is no number"},
	{"*s3cret", "a length that is no number"},
	{"$-2\r\n", "a length below 0"},
	{"$-0\r\n", "a length below 0"},
	{"*-2\r\n", "a length below 0"},
	{"%-1\r\n", "a length below 0"},
	{"~-1\r\n", "a length below 0"},
	{">-1\r\n", "a length below 0"},
	{"!-1\r\n", "a length below 0"},
	{"=-1\r\n", "a length below 0"},
	{"$1\r\nab\r\n", "a string that does not end where it must"},
	{"$1\r\na\rb", "a string that does not end where it must"},
	{"$0\r\n\n", "a string that does not end where it must"},
	{"+OK\n", "a line that does not end as it must"},
	{"+\n", "a line that does not end as it must"},
	{"_\n", "a line that does not end as it must"},
	{"+" + strings.Repeat("x", MaxLine-2) + "\r\n", "a line of more than 65536 bytes"},
	{"-" + strings.Repeat("x", MaxLine), "a line of more than 65536 bytes"},
	{":" + strings.Repeat("1", MaxNumber-2) + "\r\n", "a line of more than 1024 bytes"},
	{"#" + strings.Repeat("t", MaxNumber), "a line of more than 1024 bytes"},
	{"*1048577\r\n", "a reply of more than 1048576 elements"},
	{"~1048577\r\n", "a reply of more than 1048576 elements"},
	{">1048577\r\n", "a reply of more than 1048576 elements"},
	{"%524289\r\n", "a reply of more than 1048576 elements"},
	{"*2\r\n*1048574\r\n", ""}, // not yet
	{"*2\r\n*1048575\r\n", "a reply of more than 1048576 elements"},
	{"*2\r\n*0\r\n%524288\r\n", "a reply of more than 1048576 elements"},
	{strings.Repeat("*1\r\n", MaxDepth) + "*1\r\n", "a reply of more than 16 levels"},
	{strings.Repeat("%1\r\n+a\r\n", MaxDepth) + "*1\r\n", "a reply of more than 16 levels"},
	{"|1\r\n+a\r\n+b\r\n+OK\r\n", "attributes, which nobody has asked for"},
	{"|0\r\n", "attributes, which nobody has asked for"},
	{"*1\r\n|0\r\n", "attributes, which nobody has asked for"},
	{">0\r\n", "an empty push message"},
	{"*1\r\n>1\r\n", "a push message inside of a reply"},
	{"*1\r\n-ERR\r\n", "an error inside of a reply"},
	{"*2\r\n+a\r\n!3\r\nERR\r\n", "an error inside of a reply"},
	{"+OK\r\n%1\r\n_\r\n+a\r\n", "a map that has nil for a key"},
	{"+OK\r\n%2\r\n+a\r\n$-1\r\n*-1\r\n+a\r\n", "a map that has nil for a key"},
	{"+OK\r\n*1\r\n%1\r\n$-1\r\n+a\r\n", "a map that has nil for a key"},
	{"%1\r\n$-1\r\n+a\r\n", "a map that has nil for a key"},
	{"*2\r\n_\r\n+a\r\n", "a map that has nil for a key"}, // which the reply to HELLO is
	{"*4\r\n+a\r\n+b\r\n*-1\r\n+c\r\n", "a map that has nil for a key"},
	{"HTTP/1.1 400 Bad Request\r\n", `a reply of the type "H"`},
	{"\x15\x03\x01\x00\x02\x02\x46", `a reply of the type "\x15"`},
	{"\r\n", `a reply of the type "\r"`},
	{";4\r\n", `a reply of the type ";"`},
	{".\r\n", `a reply of the type "."`},
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for _, reply := range accepted {
		var g Guard
		assert.NoError(t, g.Check([]byte(reply)), "%.60q", reply)
		assert.True(t, g.Between(), "%.60q", reply)
		want := 1
		if reply[0] == '>' {
			want = 0
		}
		assert.Equal(t, want, g.Replies(), "%.60q", reply)
		assert.NoError(t, g.Check([]byte("+first\r\n"+reply+reply)), "%.60q", reply)
		assert.Equal(t, 3*want+1, g.Replies(), "%.60q", reply)
		assert.NoError(t, g.Check([]byte(reply[:len(reply)-1])))
		assert.False(t, g.Between(), "%.60q", reply)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, test := range refused {
		var g Guard
		err := g.Check([]byte(test.reply))
		if test.reason == "" {
			assert.NoError(t, err, "%.60q", test.reply)
			continue
		}
		assert.EqualError(t, err, "the server broke Redis's protocol with "+test.reason+": is this Redis?", "%.60q", test.reply)
		assert.Equal(t, err, g.Check([]byte("+OK\r\n")), "it stays refused")
		assert.Equal(t, err, g.Check(nil))
	}
}

// Nil may be anywhere but where a map has a key, which the first reply is also as an array.
func TestNil(t *testing.T) {
	t.Parallel()
	var g Guard
	assert.NoError(t, g.Check([]byte("_\r\n*3\r\n_\r\n$-1\r\n*-1\r\n%1\r\n+a\r\n_\r\n")))
	for _, first := range []string{"%1\r\n+a\r\n_\r\n", "*2\r\n+a\r\n$-1\r\n", "%1\r\n+a\r\n*2\r\n_\r\n+b\r\n"} {
		g = Guard{}
		assert.NoError(t, g.Check([]byte(first)), "%q", first)
	}
	g = Guard{}
	assert.NoError(t, g.Check([]byte(">1\r\n_\r\n")), "of a push message")
	assert.ErrorContains(t, g.Check([]byte("*2\r\n_\r\n+a\r\n")), "nil for a key")
}

// All that is counted is counted anew for the next reply.
func TestCountsAnew(t *testing.T) {
	t.Parallel()
	var g Guard
	for range 3 {
		require.NoError(t, g.Check([]byte("*1000000\r\n")))
		for range 1000 {
			require.NoError(t, g.Check([]byte(strings.Repeat(":1\r\n", 1000))))
		}
		require.True(t, g.Between())
	}
	mib := make([]byte, 1<<20)
	for range 3 {
		for range 2 { // twice the longest string is the longest reply
			require.NoError(t, g.Check([]byte("$536870912\r\n")))
			for range 512 {
				require.NoError(t, g.Check(mib))
			}
			require.NoError(t, g.Check([]byte("\r\n")))
		}
	}
	require.NoError(t, g.Check([]byte("*3\r\n")))
	for range 2 {
		require.NoError(t, g.Check([]byte("$536870912\r\n")))
		for range 512 {
			require.NoError(t, g.Check(mib))
		}
		require.NoError(t, g.Check([]byte("\r\n")))
	}
	assert.ErrorContains(t, g.Check([]byte("$1\r\n")), "a reply of more than 1073741824 bytes")
}

// FuzzGuard: how the bytes come makes no difference, and what is accepted is within the
// bounds, counted in another way.
func FuzzGuard(f *testing.F) {
	add := func(reply string, step uint8) {
		if len(reply) < 1<<10 { // long ones are slow
			f.Add([]byte(reply), step)
		}
	}
	for _, reply := range accepted {
		add(reply, 1)
	}
	for _, test := range refused {
		add(test.reply, 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		var whole, split Guard
		err := whole.Check(b)
		size := int(step)%7 + 1
		var errSplit error
		for rest := b; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			if errSplit = split.Check(rest[:min(size, len(rest))]); errSplit != nil {
				break
			}
		}
		require.Equal(t, fmt.Sprint(err), fmt.Sprint(errSplit))
		if err != nil {
			require.Equal(t, err, whole.Check([]byte("+OK\r\n")))
			require.Less(t, len(err.Error()), 120)
			return
		}
		require.Equal(t, whole, split)
		replies := whole.Replies()
		rest := b
		for len(rest) > 0 {
			n, ok := skip(rest, 0)
			if !ok {
				break
			}
			if rest[0] != '>' {
				replies--
			}
			rest = rest[n:]
		}
		require.Zero(t, replies, "it counts other replies")
		require.Equal(t, len(rest) == 0, whole.Between())
	})
}

// skip returns how long the first reply in b is, and false when it is not complete. It
// takes for granted what the guard has to see to.
func skip(b []byte, depth int) (n int, ok bool) {
	if depth > MaxDepth {
		panic("too deep")
	}
	header, _, ok := bytes.Cut(b, []byte("\r\n"))
	line := string(header)
	if !ok {
		return 0, false
	}
	n = len(line) + 2
	var length int
	if strings.ContainsRune("$=!*~%>", rune(b[0])) {
		var err error
		if length, err = strconv.Atoi(line[1:]); err != nil || length > MaxBulk {
			panic(line)
		}
	}
	switch b[0] {
	case '%':
		length *= 2
	case '$', '=', '!':
		if length < 0 {
			return n, true
		}
		n += length + 2
		return n, n <= len(b)
	}
	for range length {
		size, ok := skip(b[min(n, len(b)):], depth+1)
		if n += size; !ok {
			return n, false
		}
	}
	return n, true
}

func BenchmarkGuard(b *testing.B) {
	for _, test := range []struct{ name, reply string }{
		{"status", "+OK\r\n"},
		{"string-5", "$5\r\nhello\r\n"},
		{"string-1k", "$1024\r\n" + strings.Repeat("x", 1024) + "\r\n"},
		{"string-32k", "$32000\r\n" + strings.Repeat("x", 32000) + "\r\n"},
		{"array-4", "*4\r\n$2\r\n-1\r\n$2\r\n-1\r\n$5\r\nvalue\r\n$-1\r\n"},
	} {
		b.Run(test.name, func(b *testing.B) {
			var g Guard
			reply := []byte(test.reply)
			_ = g.Check([]byte("+first\r\n"))
			b.ReportAllocs()
			for b.Loop() {
				if err := g.Check(reply); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Every reply has to be one to a command, and of its form, however the bytes come.
func TestRepliesToCommands(t *testing.T) {
	t.Parallel()
	command := func(args ...string) string {
		text := fmt.Sprintf("*%d\r\n", len(args))
		for _, arg := range args {
			text += fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg)
		}
		return text
	}
	set, get, incr := command("set", "k", "*1\r\n$4\r\nping\r\n"), command("get", "k"), command("incr", "n")
	increment, getDel := command("eval", "script", "1", "k", "5"), command("eval", "script", "1", "k")
	for _, test := range []struct{ sent, replies, reason string }{
		{set + get + incr, "+OK\r\n$2\r\nOK\r\n:1\r\n", ""},
		{set + get + incr, "-OOM\r\n-WRONGTYPE no\r\n!3\r\nERR\r\n", ""},
		{get + get + getDel, "_\r\n$-1\r\n$-1\r\n", ""},
		{get, ">2\r\n+invalidate\r\n_\r\n$1\r\nv\r\n", ""},
		{increment, "$1\r\n7\r\n", ""},
		{increment, "$2\r\n-7\r\n", ""},
		{command("echo", "7x"), "$2\r\n7x\r\n", ""},
		{command("cluster", "slots"), "*0\r\n", ""},
		{command("subscribe", "c"), "*3\r\n+a\r\n+b\r\n:1\r\n*3\r\n+a\r\n+b\r\n:1\r\n", ""},
		{"", "+OK\r\n", "a reply that no command asked for"},
		{set, "+OK\r\n+OK\r\n", "a reply that no command asked for"},
		{set, "+QUEUED\r\n", "another reply where OK has to come"},
		{set, "+OKAY\r\n", "another reply where OK has to come"},
		{set, "_\r\n", "another reply where OK has to come"},
		{get, "#t\r\n", "another reply where a string has to come"},
		{incr, "$1\r\n1\r\n", "another reply where an integer has to come"},
		{increment, "$-1\r\n", "another reply where a number has to come"},
		{increment, "$1\r\nx\r\n", "another reply where a number has to come"},
		{command("echo", "7x"), "$2\r\n7y\r\n", "another reply where an echo has to come"},
		{command("echo", "7x"), "$3\r\n7xx\r\n", "another reply where an echo has to come"},
	} {
		for _, size := range []int{1, 3, 1000} {
			var g Guard
			g.Sent(nil)
			for rest := []byte(test.sent); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				g.Sent(rest[:min(size, len(rest))])
			}
			var err error
			for rest := []byte(test.replies); len(rest) > 0 && err == nil; rest = rest[min(size, len(rest)):] {
				err = g.Check(rest[:min(size, len(rest))])
			}
			if test.reason == "" {
				assert.NoError(t, err, "%q %q", test.sent, test.replies)
			} else {
				assert.ErrorContains(t, err, test.reason, "%q %q", test.sent, test.replies)
			}
		}
	}
}

// READONLY is seen anywhere, and where a server before Redis 7 puts it into the error of a script.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]bool{
		"+OK\r\n": false, "$8\r\nREADONLY\r\n": false, "-ERR not READONLY at all\r\n": false,
		"-READONLY You can't write against a read only replica.\r\n":                                        true,
		"-ERR Error running script (call to f_0): @user_script:1: @user_script: 1: -READONLY You can't\r\n": true,
	} {
		var g Guard
		assert.NoError(t, g.Check([]byte("+OK\r\n"+reply+":1\r\n")))
		assert.Equal(t, want, g.ReadOnly(), reply)
	}
}
