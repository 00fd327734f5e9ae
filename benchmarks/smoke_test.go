package benchmarks

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every experiment, with next to no time, comes to a complete result.
func TestSmoke(t *testing.T) {
	keys = keys[:101] // prime, as before; filling caches takes most of the time
	for _, e := range []*experiment{table, integrity, distance, cluster, overTLS, manyCallers, batches, caches} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			smoke(t, e)
		})
	}
}

func smoke(t *testing.T, e *experiment) {
	selected := e.defaults
	selected.callers = "2"
	if e == table {
		selected.peers += ",asyncautopipeline"
	}
	s, err := newSettings(selected, 1, 20*time.Millisecond)
	require.NoError(t, err)
	sections := e.run(t, *s)

	require.NotEmpty(t, sections)
	for _, section := range sections {
		require.NotEmpty(t, section.rows)
		for _, r := range section.rows {
			rounds := 1
			if r.operation == hit || r.operation == hitStruct {
				rounds = localRounds
			}
			for _, peer := range r.peers {
				require.Len(t, r.samples[peer], rounds, "%s: %s", r.title(), peer)
				assert.Positive(t, r.median(peer, opsPerSecond), "%s: %s", r.title(), peer)
			}
		}
	}
	text := string(e.markdown(sections))
	for _, section := range sections {
		for _, peer := range section.rows[0].peers {
			assert.Contains(t, text, "| "+peer+" |")
		}
	}
	assert.NotContains(t, text, "NaN")
	assert.NotContains(t, text, "Inf")
	if e.plotted {
		requireXML(t, plotRows(t, sections))
	}
}

func requireXML(t *testing.T, data []byte) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(data))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}
