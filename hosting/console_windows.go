package hosting

import (
	"os"

	"golang.org/x/sys/windows"
)

// understandsEscapes tells whether a terminal knows escape sequences. Those of Windows do when
// they are asked to, since Windows 10.
func understandsEscapes(file *os.File) bool {
	var mode uint32
	handle := windows.Handle(file.Fd())
	if err := windows.GetConsoleMode(handle, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
