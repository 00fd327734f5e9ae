//go:build unix

package dapr

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever has the folder can put a socket of his own in place of this one.
func TestFolderOfAnother(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	listen := func(dir string) string {
		log.Reset()
		s, err := Listen(filepath.Join(dir, "x.sock"), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		require.NoError(t, err)
		require.NoError(t, s.Serve(endedContext()))
		return log.String()
	}
	dir := folder(t)
	assert.NotContains(t, listen(dir), "another user")
	if os.Geteuid() != 0 {
		t.Skip("only root can give folders away")
	}
	require.NoError(t, os.Chown(dir, 4711, -1))
	assert.Contains(t, listen(dir), "belongs to another user")
	assert.Contains(t, log.String(), "user=4711")
}
