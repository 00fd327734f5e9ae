package telemetry

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestServer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		addrs  []string
		master string
		want   server
		text   string
	}{
		"none":             {nil, "", server{}, ""},
		"default port":     {[]string{"h:6379"}, "", server{"h", 0}, "h"},
		"own port":         {[]string{"h:7000"}, "", server{"h", 7000}, "h:7000"},
		"no port":          {[]string{"h"}, "", server{"h", 0}, "h"},
		"not a port":       {[]string{"h:redis"}, "", server{"h", 0}, "h"},
		"IPv6":             {[]string{"[::1]:7000"}, "", server{"::1", 7000}, "[::1]:7000"},
		"socket":           {[]string{"/run/redis.sock"}, "", server{"/run/redis.sock", 0}, "/run/redis.sock"},
		"in one order":     {[]string{"b:6379", "a:6379", "b:6379"}, "", server{"a,b", 0}, "a,b"},
		"one port for all": {[]string{"b:7000", "a:7000"}, "", server{"a,b", 7000}, "a,b:7000"},
		"several ports":    {[]string{"a:7000", "a:6379"}, "", server{"a:6379,a:7000", 0}, "a:6379,a:7000"},
		"sentinels":        {[]string{"b:26379", "a:26379"}, "mymaster", server{"a:26379,b:26379/mymaster", 0}, "a:26379,b:26379/mymaster"},
	} {
		t.Run(name, func(t *testing.T) {
			got := serverOf(test.addrs, test.master)
			assert.Equal(t, test.want, got)
			assert.Equal(t, test.text, got.String())
		})
	}
}

func TestServerLeavesItsArgumentAlone(t *testing.T) {
	t.Parallel()
	addrs := []string{"b:1", "a:1"}
	serverOf(addrs, "")
	assert.Equal(t, []string{"b:1", "a:1"}, addrs)
}
