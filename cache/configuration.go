package cache

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// configuration is what .NET's configuration is: one flat table of strings, whose
// paths a:b:c are matched without regard to case. The keys are in lower case.
type configuration map[string]configured

// configured is one value.
type configured struct {
	path  string // as it was written, with colons
	value string
}

// set replaces what an earlier source has said.
func (c configuration) set(path, value string) {
	c[strings.ToLower(path)] = configured{path, value}
}

// get returns a value.
func (c configuration) get(path string) (value string, given bool) {
	found, given := c[strings.ToLower(path)]
	return found.value, given
}

// loadConfiguration reads the sources of a configuration, of which the later
// win: the JSON file, the one of the environment beside it (appsettings.json and
// appsettings.Production.json), and the environment variables, with __ for the
// colons of a path. The environment is DOTNET_ENVIRONMENT, ASPNETCORE_ENVIRONMENT
// or Production. file may be "": no files. A file that is missing is no error
// unless it is required; the one of the environment never is.
//
// environ is as from os.Environ. No error holds a value.
func loadConfiguration(file string, required bool, environ []string) (configuration, error) {
	c := configuration{}
	if file != "" {
		if err := c.addFile(file, required); err != nil {
			return nil, err
		}
		extension := filepath.Ext(file)
		if err := c.addFile(strings.TrimSuffix(file, extension)+"."+environmentName(environ)+extension, false); err != nil {
			return nil, err
		}
	}
	for _, variable := range environ {
		// On Windows there are some whose name begins with "=".
		if name, value, ok := strings.Cut(variable, "="); ok && name != "" {
			c.set(strings.ReplaceAll(name, "__", ":"), value)
		}
	}
	return c, nil
}

// environmentName is Development, Production or another one.
func environmentName(environ []string) string {
	var names [2]string
	for _, variable := range environ {
		switch name, value, _ := strings.Cut(variable, "="); name {
		case "DOTNET_ENVIRONMENT":
			names[0] = value
		case "ASPNETCORE_ENVIRONMENT":
			names[1] = value
		}
	}
	return cmp.Or(names[0], names[1], "Production")
}

// addFile adds a JSON file, which may have comments and trailing commas.
func (c configuration) addFile(file string, required bool) error {
	data, err := os.ReadFile(file) //nolint:gosec // the path is the application's own
	if errors.Is(err, fs.ErrNotExist) && !required {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cache: configuration: %w", err)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return fmt.Errorf("cache: configuration: %s: is not UTF-8", file)
	}
	root, err := hujson.Parse(data)
	if err != nil {
		line := 1 + bytes.Count(data, []byte("\n"))
		_, _ = fmt.Sscanf(err.Error(), "hujson: line %d,", &line) // the rest of it may show a value
		return atLine(file, line, "is no JSON")
	}
	object, ok := root.Value.(*hujson.Object)
	if !ok {
		return atLine(file, lineOf(data, root), "is no object: a configuration is one")
	}
	f := jsonFile{c: c, name: file, data: data, seen: map[string]bool{}}
	return f.addObject("", object)
}

func atLine(file string, line int, what string) error {
	return fmt.Errorf("cache: configuration: %s: line %d %s", file, line, what)
}

func lineOf(data []byte, v hujson.Value) int {
	return 1 + bytes.Count(data[:min(v.StartOffset, len(data))], []byte("\n"))
}

// jsonFile is one file that is being added.
type jsonFile struct {
	c    configuration
	name string
	data []byte
	seen map[string]bool // the paths in it, in lower case
}

func (f *jsonFile) addObject(prefix string, object *hujson.Object) error {
	for _, member := range object.Members {
		if err := f.add(prefix+member.Name.Value.(hujson.Literal).String(), member.Value); err != nil {
			return err
		}
	}
	return nil
}

func (f *jsonFile) add(path string, v hujson.Value) error {
	switch value := v.Value.(type) {
	case *hujson.Object:
		return f.addObject(path+":", value)
	case *hujson.Array:
		for i, element := range value.Elements {
			if err := f.add(path+":"+strconv.Itoa(i), element); err != nil {
				return err
			}
		}
	case hujson.Literal:
		if f.seen[strings.ToLower(path)] { // as upstream: which one is meant cannot be known
			return atLine(f.name, lineOf(f.data, v), "has "+quoted(path)+" for the second time")
		}
		f.seen[strings.ToLower(path)] = true
		if value.Kind() == 'n' { // takes back what an earlier source has said
			delete(f.c, strings.ToLower(path))
			return nil
		}
		f.c.set(path, value.String())
	}
	return nil
}
