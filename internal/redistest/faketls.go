package redistest

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
)

// StartFakeTLS starts something like Redis, for this test only, that speaks TLS as it is
// told: also as no redis-server does. It answers OK to whatever it knows, "value" to GET.
func StartFakeTLS(t testing.TB, config *tls.Config) (fake *server.Server, addr string) {
	t.Helper()
	fake, err := server.NewServerTLS("127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	answers := map[string]server.Cmd{
		"GET": func(c *server.Peer, _ string, _ []string) { c.WriteBulk("value") },
		"PING": func(c *server.Peer, _ string, args []string) {
			c.WriteInline(strings.Join(append(args, "PONG")[:1], ""))
		},
	}
	for _, command := range []string{"AUTH", "SET", "UNLINK", "SUBSCRIBE"} {
		answers[command] = func(c *server.Peer, _ string, _ []string) { c.WriteOK() }
	}
	for command, answer := range answers {
		if err := fake.Register(command, answer); err != nil {
			t.Fatal(err)
		}
	}
	return fake, fake.Addr().String()
}
