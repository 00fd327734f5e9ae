package redistest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// request writes a request as client libraries do.
func request(args ...string) string {
	text := fmt.Sprintf("*%d\r\n", len(args))
	for _, arg := range args {
		text += fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg)
	}
	return text
}

func TestLogins(t *testing.T) {
	t.Parallel()
	auth := request("auth", "user", "token")
	for _, test := range []struct {
		name, sent string
		want       []string
	}{
		{"AUTH", auth, []string{"user:token"}},
		{"AUTH of the default user", request("AUTH", "token"), nil},
		{"HELLO", request("HELLO", "3", "AUTH", "user", "token"), []string{"user:token"}},
		{"HELLO with a name", request("hello", "3", "setname", "auth", "auth", "user", "token"), []string{"user:token"}},
		{"HELLO with a name last", request("hello", "2", "AUTH", "user", "token", "SETNAME", "AUTH"), []string{"user:token"}},
		{"HELLO without AUTH", request("HELLO", "3", "SETNAME", "AUTH"), nil},
		{"HELLO cut short", request("HELLO", "3", "AUTH", "user"), nil},
		{"nothing but HELLO", request("HELLO"), nil},
		{"a value like AUTH", request("SET", "AUTH", auth) + request("GET", "AUTH", "user", "token"), nil},
		{"a token with line ends", request("AUTH", "user", "\r\n*1\r\n"), []string{"user:\r\n*1\r\n"}},
		{"an empty token", request("AUTH", "user", ""), []string{"user:"}},
		{"pipeline", request("PING") + auth + request("SET", "key", "") + request("AUTH", "user", "newer") + request("PING"),
			[]string{"user:token", "user:newer"}},
		{"after empty requests and lines", "*0\r\n*-1\r\n\n\r\n" + auth, []string{"user:token"}},
		{"after a text", "PING\r\n" + auth, []string{"user:token"}},
		{"unfinished", strings.TrimSuffix(auth, "\n"), nil},
		{"no arguments", "*2\r\n:1\r\n:2\r\n", nil},
	} {
		for _, size := range []int{1, 2, 3, 7, len(test.sent)} {
			t.Run(fmt.Sprintf("%s/%d at a time", test.name, size), func(t *testing.T) {
				var got []string
				l := logins{tell: func(user, password string) { got = append(got, user+":"+password) }}
				for sent := []byte(test.sent); len(sent) > 0; sent = sent[min(size, len(sent)):] {
					l.read(sent[:min(size, len(sent))])
				}
				assert.Equal(t, test.want, got)
			})
		}
	}
}

// What is not a login must not be kept: a value may be as big as it likes.
func TestLoginsKeepNoValues(t *testing.T) {
	t.Parallel()
	l := logins{tell: func(string, string) { t.Error("there is none") }}
	l.read([]byte(request("SET", "key", strings.Repeat("a", 1<<20))))
	assert.Less(t, cap(l.arg), 1<<10)
	assert.Len(t, l.args, 1, "the name")
}
