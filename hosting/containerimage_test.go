package hosting

import (
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/redisbinding/redisbinding/hosting/internal/dockertest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"strings"
	"testing"
)

func TestPullProgress(t *testing.T) {
	t.Parallel()
	var sum pullProgress
	var told []int64
	for _, m := range []jsonstream.Message{
		{Status: "Pulling from library/redis", ID: "8.6"},
		{Status: "Already exists", ID: "base"},
		{Status: "Downloading", ID: "a", Progress: &jsonstream.Progress{Current: 50, Total: 100}},
		{Status: "Downloading", ID: "a", Progress: &jsonstream.Progress{Current: 50, Total: 100}},
		{Status: "Downloading", ID: "b", Progress: &jsonstream.Progress{Current: 0, Total: 900}}, // 5 %
		{Status: "Download complete", ID: "a"},                                                   // 10 %
		{Status: "Downloading", ID: "b", Progress: &jsonstream.Progress{Current: 500, Total: 900}},
		{Status: "Downloading", ID: "b", Progress: &jsonstream.Progress{Current: 501, Total: 900}},
		{Status: "Extracting", ID: "a", Progress: &jsonstream.Progress{Current: 1, Total: 100}},
		{Status: "Verifying Checksum", ID: "b"},
		{Status: "Pull complete", ID: "b"},
		{Status: "Digest: sha256:..."},
	} {
		if percent, more := sum.add(m); more {
			told = append(told, percent)
		}
	}
	assert.Equal(t, []int64{50, 60, 100}, told)
}

func TestContainerImageIsPulled(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	told := make(chan string, 1000)
	var heard []string
	s := testServer("cache")
	s.image = dockertest.Registry(t, func() {
		// What has come so far is told before the rest is there.
		for !strings.HasSuffix(strings.Join(heard, ""), "%") {
			heard = append(heard, <-told)
		}
	})
	instances, err := test.start(within(t), []*server{s}, func(text string) { told <- text })
	require.NoError(t, err)
	dial(t, instances[0], s)
	require.NoError(t, instances[0].stop(within(t)))
	close(told)
	for text := range told {
		heard = append(heard, text)
	}
	name := strings.TrimPrefix(s.image, "docker.io/")
	assert.Equal(t, "pulling "+name, heard[0])
	assert.Equal(t, "pulling "+name+" 100%", heard[len(heard)-1])
	assert.Greater(t, len(heard), 2, heard)
}

func TestContainerImageMissing(t *testing.T) {
	t.Parallel()
	test := newContainerTest(t)
	s := testServer("cache")
	s.image = "localhost:1/nothing:1"
	var told []string
	_, err := test.start(within(t), []*server{s}, func(text string) { told = append(told, text) })
	require.ErrorContains(t, err, "pulling the image localhost:1/nothing:1: ")
	require.ErrorContains(t, err, "connection refused")
	require.ErrorContains(t, err, "WithImage")
	assert.Equal(t, []string{"pulling localhost:1/nothing:1"}, told)
	assert.Empty(t, test.left(t))
}
