package hosting

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// home is the folder where an app keeps what outlives it: passwords, certificates,
// volumes of the process runtime, and the folders of its runs. Nobody but the user can
// read it, and it is not taken where others could write to it.
//
//	{app}-{hash}/passwords/{resource}
//	             certificates/{resource}/
//	             persistent/{resource}/   servers that outlive the app
//	             runs/{run}/              locked while the run lives
//	volumes/{volume}/                     apps may share them
//	npm/                                  Redis Commander
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
	// Who could put files in place of these would have the passwords, and programs run.
	for _, folder := range []string{dir, h.dir} {
		if err := owned(folder); err != nil {
			return nil, fmt.Errorf("the folder for passwords and data: %s: %w, or set %s to another", folder, err, HomeVariable)
		}
	}
	return h, nil
}

func (h *home) writable() error {
	return writableFolder(h.path("runs"))
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
	// startTimeout is that of the app; 0: the default.
	startTimeout time.Duration
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
		return nil, errors.Join(fmt.Errorf("cannot lock %s", r.lock.Path()), err)
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
	_ = os.Remove(r.lock.Path())
	_ = r.lock.Unlock()
}

// leave keeps the folder of the run for the next one, which clears away what is left.
func (r *run) leave() { _ = r.lock.Unlock() }

// patient is a context that bounds how long what was started may take to answer.
func (r *run) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(r.startTimeout, DefaultStartTimeout))
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

// lockFile waits until nobody else has the lock, or ctx ends.
func lockFile(ctx context.Context, name string) (unlock func(), err error) {
	lock := flock.New(name)
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, err
	}
	return func() { _ = lock.Unlock() }, nil
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
