package hosting

import "os"

// lockFolder locks nothing: folders have no locks here, and no redis-server is released for
// Windows.
func lockFolder(string) (*os.File, error) { return nil, nil } //nolint:nilnil // as it says
