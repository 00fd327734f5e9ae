package hosting

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// dataFolder is where the server keeps its data: what is mounted, or a folder of its own.
func (p *processes) dataFolder(m *mount, folder string) (string, error) {
	own := filepath.Join(folder, "data")
	if m == nil {
		return own, os.MkdirAll(own, 0o700)
	}
	mounted := m.folder
	if m.volume != "" {
		mounted = p.run.shared("volumes", m.volume)
	}
	if m.readOnly {
		if _, err := os.Stat(mounted); err != nil && m.folder != "" {
			return "", fmt.Errorf("the folder with data, %s: %w", mounted, err)
		}
		return own, copyDump(own, mounted)
	}
	if err := writableFolder(mounted); err != nil {
		return "", fmt.Errorf("the folder for data, %s: %w", mounted, err)
	}
	return mounted, nil
}

func writableFolder(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, ".new-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// lockData keeps two servers from writing the same data: the last to save would win. The lock goes
// with the server, which inherits it, and not with the app: a server that is left behind has
// it still. It is on the folder itself, whatever it is called. nil where there is nothing to
// lock.
func lockData(m *mount, folder string) (*os.File, error) {
	if m == nil || m.readOnly {
		return nil, nil //nolint:nilnil // that is what it says
	}
	lock, err := lockFolder(folder)
	if err != nil {
		return nil, fmt.Errorf("the folder for data, %s: %w", folder, err)
	}
	return lock, nil
}

var errInUse = errors.New("it is in use by another server; stop that first, or take other data")

// copyDump makes a folder with a copy of another's data: redis-server has no way to only
// read it.
func copyDump(folder, from string) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	dump, err := os.Open(filepath.Join(from, "dump.rdb"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no data
	}
	if err != nil {
		return fmt.Errorf("the folder with data, %s: %w", from, err)
	}
	defer func() { _ = dump.Close() }()
	out, err := os.OpenFile(filepath.Join(folder, "dump.rdb"), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, dump)
	return errors.Join(err, out.Close())
}
