package hosting

import (
	"testing"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/stretchr/testify/assert"
)

func TestPullProgress(t *testing.T) {
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
