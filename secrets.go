package redisbinding

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/redisbinding/redisbinding/internal/wording"
)

// MaxSecretFileSize is how many bytes a file may have that [FolderSecrets] or
// [FileSecrets] reads: 1 MiB.
const MaxSecretFileSize = 1 << 20

// SecretResolver returns a secret: what the store has under the name and the
// key. The store is auth.secretStore of the component, and may be empty; a key
// that the component does not give is the name.
//
// [LoadComponents] asks one secret after the other, each once, and wraps the
// error, so that it must not hold a secret. An empty secret is an empty value,
// one that is missing has to be an error.
type SecretResolver func(store, name, key string) (string, error)

// EnvSecrets returns a resolver that takes secrets from the environment: name
// is the variable, and the key must be the same or be left out. A variable that
// is not set is an error, and so are DAPR_* and APP_API_TOKEN. It has one store,
// whatever its name. Any number of goroutines may use it.
func EnvSecrets() SecretResolver {
	return func(_, name, key string) (string, error) {
		if key != "" && key != name {
			return "", secretError("an environment variable has no keys: leave the key out, or make it the name")
		}
		return environment(name)
	}
}

// environment returns an environment variable that components may have.
func environment(name string) (string, error) {
	upper := strings.ToUpper(name)
	if upper == "APP_API_TOKEN" || strings.HasPrefix(upper, "DAPR_") {
		return "", secretError("the environment variable " + wording.Quoted(name) + " is refused, as DAPR_* and APP_API_TOKEN are")
	}
	value, set := os.LookupEnv(name)
	if !set {
		return "", secretError("the environment variable " + wording.Quoted(name) + " is not set")
	}
	return value, nil
}

// FolderSecrets returns a resolver that takes secrets from files, as Kubernetes
// mounts them: the file dir/name/key, or, when the key is the name or left out,
// also dir/name. A line break at the end of the file (\n or \r\n) is cut off,
// one and no more. It has one store, whatever its name.
//
// Files are read at each call, and only regular ones within dir, wherever
// relative symbolic links lead, of at most [MaxSecretFileSize]; all else is an error,
// which shows paths and names of keys. Any number of goroutines may use it.
func FolderSecrets(dir string) SecretResolver {
	return func(_, name, key string) (string, error) {
		key = cmp.Or(key, name)
		for _, part := range []string{name, key} {
			if strings.HasPrefix(part, "..") || part == "." || strings.ContainsAny(part, `/\`) || !filepath.IsLocal(part) {
				return "", secretError("the name or key " + wording.Quoted(part) + " is no file name")
			}
		}
		if info, err := os.Stat(dir); err == nil && !info.IsDir() { // which opening a pipe waits for ever to find out
			return "", secretError(dir + " is no folder")
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return "", fileError(dir, err)
		}
		defer func() { _ = root.Close() }()
		files := root.FS()

		file := name
		if info, err := fs.Stat(files, name); err != nil || info.IsDir() {
			file = name + "/" + key
		} else if key != name {
			return "", secretError(filepath.Join(dir, name) + " is a file, which has no keys: leave the key out")
		}
		data, err := readSecretFile(files, file, filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := fs.Stat(files, name); err != nil && key == name {
				return "", fileError("neither "+filepath.Join(dir, name)+" nor "+filepath.Join(dir, file), err)
			}
			return "", fmt.Errorf("%w%s", err, keysIn(files, name))
		}
		if err != nil {
			return "", err
		}
		value, cut := strings.CutSuffix(string(data), "\n")
		if cut {
			value = strings.TrimSuffix(value, "\r")
		}
		return value, nil
	}
}

// readSecretFile reads a file, whose path is for errors.
func readSecretFile(files fs.FS, name, path string) ([]byte, error) {
	info, err := fs.Stat(files, name) // before opening it, as that waits for who writes to a pipe
	switch {
	case err != nil:
		return nil, fileError(path, err)
	case info.IsDir():
		return nil, secretError(path + " is a folder: it takes a file")
	case !info.Mode().IsRegular():
		return nil, secretError(path + " is no regular file")
	}
	file, err := files.Open(name)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, MaxSecretFileSize+1))
	switch {
	case err != nil:
		return nil, fileError(path, err)
	case len(data) > MaxSecretFileSize:
		return nil, secretError(path + " is larger than " + strconv.Itoa(MaxSecretFileSize) + " bytes")
	}
	return data, nil
}

// fileError is the error of a file with its path as the caller knows it.
func fileError(path string, err error) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("redisbinding: %s: %w", path, err)
}

// secretError is an error of a resolver.
func secretError(text string) error { return errors.New("redisbinding: " + text) }

// keysIn adds to an error which keys a folder has.
func keysIn(files fs.FS, folder string) string {
	entries, _ := fs.ReadDir(files, folder)
	var names []string
	for _, entry := range entries {
		// Kubernetes has links to what it mounts, and those begin with two dots.
		if name := entry.Name(); !strings.HasPrefix(name, "..") {
			names = append(names, name)
		}
	}
	return listKeys(names)
}

// listKeys adds names to an error, not too many.
func listKeys(names []string) string {
	if len(names) == 0 {
		return ""
	}
	more := ""
	if len(names) > 10 {
		names, more = names[:10], " and others"
	}
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = wording.Quoted(name)
	}
	return "; the keys there are " + strings.Join(list, ", ") + more
}

// FileSecrets returns a resolver that takes secrets from a JSON file such as
// Dapr's local file store has: {"name": "secret"} for a secret whose key is the
// name or left out, or {"name": {"key": "secret"}}. Objects in objects are
// reached with colons: "redis:password" is the password in the object redis.
// Numbers and booleans are taken as they are written; lists, null and a name
// that is there twice are errors. It has one store, whatever its name.
//
// The file is read at each call. It is a regular one in UTF-8 of at most
// [MaxSecretFileSize]. Errors show its path and the names in it. Any number of
// goroutines may use it.
func FileSecrets(path string) SecretResolver {
	dir, file := filepath.Split(path)
	return func(_, name, key string) (string, error) {
		data, err := readSecretFile(os.DirFS(cmp.Or(dir, ".")), file, path)
		if err != nil {
			return "", err
		}
		value, err := findSecret(bytes.TrimPrefix(data, []byte("\ufeff")), name, cmp.Or(key, name))
		if err != nil {
			return "", fmt.Errorf("redisbinding: %s: %w", path, err)
		}
		return value, nil
	}
}

// findSecret looks a secret up in JSON.
func findSecret(data []byte, name, key string) (string, error) {
	if !utf8.Valid(data) {
		return "", errors.New("is not UTF-8")
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(data, new(json.RawMessage)); errors.As(err, &syntax) { // its text shows some of the file
		before := data[:min(max(int(syntax.Offset)-1, 0), len(data))]
		return "", errors.New("line " + strconv.Itoa(1+bytes.Count(before, []byte("\n"))) + " is no JSON")
	}
	if key == name {
		if found, err := findJSON(data, name, 0); err != nil || found != nil && found[0] != '{' {
			return scalarOf(found, name, err)
		}
	}
	if found, err := findJSON(data, name+":"+key, 0); err != nil || found != nil {
		return scalarOf(found, name+":"+key, err)
	}
	under, err := findJSON(data, name, 0)
	switch {
	case err != nil:
		return "", err
	case under == nil:
		return "", errors.New("there is no " + wording.Quoted(name))
	case under[0] != '{':
		return "", errors.New(wording.Quoted(name) + " has no keys: leave the key out")
	}
	names := []string{}
	_ = eachMember(under, "", func(name string, _ []byte) error {
		names = append(names, name)
		return nil
	})
	slices.Sort(names)
	return "", errors.New(wording.Quoted(name) + " has no key " + wording.Quoted(key) + listKeys(names))
}

// findJSON returns what an object has at a path of names with colons between
// them, or nil.
func findJSON(object []byte, path string, depth int) (found []byte, err error) {
	const deepest = 100 // each level is read once more
	err = eachMember(object, "", func(name string, value []byte) error {
		if name != path {
			rest, ok := strings.CutPrefix(path, name+":")
			if !ok || value[0] != '{' || depth == deepest {
				return nil
			}
			if value, err = findJSON(value, rest, depth+1); err != nil || value == nil {
				return err
			}
		}
		if found != nil {
			return errors.New(wording.Quoted(path) + " is there twice")
		}
		found = value
		return nil
	})
	return found, err
}

// scalarOf is the text of a secret in JSON, when it is one.
func scalarOf(value []byte, path string, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case value[0] == '"':
		text, err := readString(value)
		if err != nil {
			return "", fmt.Errorf("has %s %w", wording.Quoted(path), err)
		}
		return text, nil
	case strings.ContainsRune("{[n", rune(value[0])):
		return "", errors.New(wording.Quoted(path) + " takes a string, number or boolean, not an object, list or null")
	}
	return string(value), nil
}
