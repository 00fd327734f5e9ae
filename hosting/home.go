package hosting

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// home is the folder where an app keeps what outlives it: passwords, certificates,
// volumes of the process runtime, and the folders of its runs. Nobody but the user can
// read it.
//
//	{app}-{hash}/passwords/{resource}
//	             certificates/{resource}/
//	             persistent/{resource}/   servers that outlive the app
//	             runs/{run}/              locked while the run lives
//	volumes/{volume}/                     apps may share them
//	locks/
type home struct {
	dir string // of the app
	id  string // {app}-{hash}
}

// HomeVariable is the environment variable with the folder to use in place of
// redisbinding/hosting in the user's configuration folder.
const HomeVariable = "REDISBINDING_HOSTING_HOME"

// appID is the name of the app with the beginning of a hash of its path: apps of the same name
// in other places share nothing.
func appID(name, path string) string {
	hash := sha256.Sum256([]byte(path))
	return name + "-" + hex.EncodeToString(hash[:])[:10]
}

// openHome makes the app's folder.
func openHome(dir, name, path string) (*home, error) {
	if dir == "" {
		dir = os.Getenv(HomeVariable)
	}
	if dir == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("no folder for passwords and data: %w; set %s", err, HomeVariable)
		}
		dir = filepath.Join(config, "redisbinding", "hosting")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	h := &home{id: appID(name, path)}
	h.dir = filepath.Join(dir, h.id)
	if err := h.writable(); err != nil {
		return nil, fmt.Errorf("the folder for passwords and data: %w; make it writable, or set %s to another", err, HomeVariable)
	}
	return h, nil
}

func (h *home) writable() error {
	for _, folder := range []string{h.path("runs"), h.shared("locks")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	file, err := os.CreateTemp(h.dir, "")
	if err != nil {
		return err
	}
	_ = file.Close()
	return os.Remove(file.Name())
}

func (h *home) path(elements ...string) string {
	return filepath.Join(append([]string{h.dir}, elements...)...)
}

// shared is the path of what is not of this app alone.
func (h *home) shared(elements ...string) string {
	return filepath.Join(append([]string{filepath.Dir(h.dir)}, elements...)...)
}

// volumeName is the name of a resource's volume where none was given.
func (h *home) volumeName(resource string) string { return h.id + "-" + resource + "-data" }

// run is one run of an app. What it starts it writes down in its folder, which is
// locked as long as the run lives: a later run finds the folders of those that died.
type run struct {
	*home
	id   string
	dir  string
	lock *flock.Flock

	claims []*flock.Flock
}

// startRun makes the folder of a new run.
func (h *home) startRun() (*run, error) {
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	id := hex.EncodeToString(random[:])
	r := &run{home: h, id: id, dir: h.path("runs", id)}
	// The lock is there before the folder: a run that has a folder and no lock is dead.
	r.lock = flock.New(r.dir + ".lock")
	if locked, err := r.lock.TryLock(); err != nil || !locked {
		return nil, fmt.Errorf("locking %s: %w", r.lock.Path(), errors.Join(err, errInUse))
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}

// end takes the folder of the run away. Whatever was started has ended before.
func (r *run) end() {
	_ = os.RemoveAll(r.dir)
	for _, claim := range r.claims {
		_ = claim.Unlock()
	}
	_ = os.Remove(r.lock.Path())
	_ = r.lock.Unlock()
}

var errInUse = errors.New("it is in use")

// claim takes something for this run alone: data that two servers must not share. what says
// it in an error.
func (r *run) claim(key, what string) error {
	hash := sha256.Sum256([]byte(key))
	lock := flock.New(r.shared("locks", hex.EncodeToString(hash[:])[:20]))
	locked, err := lock.TryLock()
	switch {
	case err != nil:
		return err
	case !locked:
		_ = lock.Close()
		return fmt.Errorf("%s: %w by another run; stop that first, or take other data", what, errInUse)
	}
	r.claims = append(r.claims, lock)
	return nil
}

// dead returns the folders of runs that ended without taking them away, with their locks held.
func (h *home) dead() ([]*run, error) {
	entries, err := os.ReadDir(h.path("runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var runs []*run
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		r := &run{home: h, id: entry.Name(), dir: h.path("runs", entry.Name())}
		r.lock = flock.New(r.dir + ".lock")
		if locked, err := r.lock.TryLock(); err == nil && locked {
			runs = append(runs, r)
		} else {
			_ = r.lock.Close()
		}
	}
	return runs, nil
}

// writeFile writes a file that only the user can read, as a whole or not at all.
func writeFile(name string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
