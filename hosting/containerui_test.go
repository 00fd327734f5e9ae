package hosting

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// askUI returns what the stand-in for a user interface says.
func askUI(t *testing.T, i instance) (report struct{ Env, Pings map[string]string }) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	require.Eventually(t, func() bool {
		require.NoError(t, i.err())
		answer, err := (&http.Client{Transport: transport}).Get("http://" + i.address())
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return json.NewDecoder(answer.Body).Decode(&report) == nil
	}, time.Minute, 10*time.Millisecond)
	return report
}

func TestContainerUI(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s, lasting := testServer("cache"), testServer("lasting")
	lasting.persistent = true
	group := testGroup(t, 2, func(*server) {})
	group[0].directives, group[1].directives = nil, nil
	dial(t, up(t, test.containers, s)[0], s)
	i := up(t, test.containers, lasting)[0]
	test.discard(t, i)
	dial(t, i, lasting)
	for n, i := range up(t, test.containers, group...) {
		dial(t, i, group[n])
	}

	var targets []uiTarget
	for _, s := range []*server{s, lasting, group[1]} {
		targets = append(targets, uiTarget{name: "my-" + s.name, server: s, host: "127.0.0.1", port: 1, password: s.password})
	}
	answers := map[string]string{"my-cache": "+OK +PONG", "my-lasting": "+OK +PONG", "my-cluster-2": "+OK +PONG"}
	for _, u := range []*uiServer{
		{kind: commander, name: commanderName, image: "localhost/commander:1", targets: targets},
		{kind: insight, name: insightName, image: "localhost/insight:1", targets: targets},
	} {
		test.docker.UI(t, u.image, u.innerPort())
		i, err := test.startUI(within(t), u, func(string) {})
		require.NoError(t, err)
		report := askUI(t, i)
		assert.Equal(t, answers, report.Pings)
		if u.kind == insight {
			assert.Equal(t, "cache", report.Env["RI_REDIS_HOST1"])
			assert.Equal(t, "6379", report.Env["RI_REDIS_PORT1"])
		} else {
			assert.Contains(t, report.Env["REDIS_HOSTS"], "my-cache:cache:6379:0:"+testPassword+",")
		}
		assert.Equal(t, "127.0.0.1", targets[0].host, "the caller's own are as they were")
		require.NoError(t, i.stop(within(t)))
		<-i.done()
	}
}
