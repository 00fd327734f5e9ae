//go:build !windows

package hosting

import "os"

// understandsEscapes tells whether a terminal knows escape sequences: all do.
func understandsEscapes(*os.File) bool { return true }
