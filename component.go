package redisbinding

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/redisbinding/redisbinding/internal/wording"
)

const (
	// ComponentType is the spec.type of the components that [LoadComponents] returns.
	ComponentType = "bindings.redis"

	// MaxComponentFileSize is how many bytes a stream of component files may
	// have, 512 KiB: parsing the worst of them takes a second and 150 MB.
	MaxComponentFileSize = 512 << 10

	// MaxComponentValueSize is how many bytes all values of a stream may have
	// together, secrets and templates filled in: 16 MiB.
	MaxComponentValueSize = 16 << 20

	// maxMistakes bounds what a hostile stream makes of errors.
	maxMistakes = 100
)

// Component is a Redis binding as a component file describes it. Make it with
// [LoadComponents].
//
// fmt and log/slog show the names in Metadata and no values, encoding/json *** for
// them: any may be a secret. But fmt shows all of a Component in an unexported
// field of a struct that it prints, where it cannot ask what to show.
type Component struct {
	// Name is metadata.name, never empty: what applications call the binding by.
	Name string
	// Namespace is metadata.namespace, default empty. Names are unique within one.
	Namespace string
	// Type is spec.type, always [ComponentType].
	Type string
	// Version is spec.version as it is written: "" or "v1", which mean the same.
	Version string
	// Metadata is spec.metadata with secrets and templates filled in: what
	// [NewRedisBinding] and [ParseMetadata] take. It is not nil, and holds secrets.
	Metadata map[string]string
	// Scopes are the IDs of the applications that may use the component; nil
	// means all. Heeding them is the runtime's business.
	Scopes []string
	// SecretStore is auth.secretStore, the store that the secrets are from. Default empty.
	SecretStore string
	// Line is where the document begins in the stream, from 1: at its ---, or
	// when it has none at what it begins with after comments.
	Line int
}

// String names the component and the fields of its metadata.
func (c Component) String() string {
	text := "component " + wording.Quoted(c.Name) + " of type " + c.Type
	if len(c.Metadata) > 0 {
		names := slices.Sorted(maps.Keys(c.Metadata))
		for i := range names {
			names[i] = labelOf(names[i])
		}
		text += " with " + strings.Join(names, ", ")
	}
	return text
}

// Format writes what String returns, whatever the verb.
func (c Component) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue does what String does, for log/slog.
func (c Component) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON writes all fields, with *** for the values of Metadata.
func (c Component) MarshalJSON() ([]byte, error) {
	type fields Component // without this method
	masked := make(map[string]Secret, len(c.Metadata))
	for name, value := range c.Metadata {
		masked[name] = Secret(value)
	}
	return json.Marshal(struct {
		fields
		Metadata map[string]Secret
	}{fields(c), masked})
}

// ComponentError says what is wrong with a component file, and where.
// [LoadComponents] reports every mistake at once, joined with errors.Join in
// the order of the lines; errors.As finds the first.
type ComponentError struct {
	// Line is where in the stream, from 1; 0 when it is about the whole stream.
	Line int
	// Component is the metadata.name of the component; empty when it is about
	// none, or the name is what is wrong.
	Component string
	// Reason says what is taken there. It never holds the value of a field.
	Reason string
	// Err is what the reader or the [SecretResolver] has answered, or why there
	// is no environment variable; otherwise nil.
	Err error
}

// Error names line and component and says what is wrong.
func (e *ComponentError) Error() string {
	text := "redisbinding: component file"
	if e.Line > 0 {
		text += " line " + strconv.Itoa(e.Line)
	}
	if e.Component != "" {
		text += ": component " + wording.Quoted(e.Component)
	}
	text += ": " + e.Reason
	if e.Err != nil {
		text += ": " + strings.TrimPrefix(e.Err.Error(), "redisbinding: ")
	}
	return text
}

// Unwrap returns Err.
func (e *ComponentError) Unwrap() error { return e.Err }

// LoadComponents reads the Redis bindings of a stream of Dapr component files:
// YAML documents with --- between them, in the order of the stream.
//
// It returns the documents of kind Component and type bindings.redis, those in a
// List as kubectl writes it included, and skips those of other kinds, of an
// apiVersion that is not dapr.io's, and of other building blocks (state.*,
// pubsub.* and so on). Another binding, or a type that is none, is an error: a runtime must not
// leave out silently what it was asked for. A stream without a Redis binding
// is none. Keys that nobody knows are ignored, unless they are in an item of
// spec.metadata or nearly spell one that is known.
//
// An item of spec.metadata has a name, each only once whatever its case, and
// one of
//   - value: a string, number, boolean or timestamp, taken as it is written, so
//     that 010 stays 010; null is empty;
//   - secretKeyRef: the name and the key (default: the name) of a secret, which
//     the resolver is asked for, with auth.secretStore. It may be nil when there
//     are none;
//   - envRef: an environment variable, which must be set; DAPR_* and
//     APP_API_TOKEN are refused.
//
// In the values, secrets included, {uuid} stands for a random UUID, each time
// another one, {podName} for the environment variable POD_NAME, {appID} for
// APP_ID, and {namespace} for NAMESPACE, a dot and APP_ID, as daprd has it. A
// variable that is needed and unset or empty is an error.
//
// Every mistake is reported, up to 100, as a *[ComponentError], joined with
// errors.Join; what is no YAML ends the stream. The metadata itself is checked
// by [NewRedisBinding]. On an error there are no components.
//
// The stream is UTF-8 and at most [MaxComponentFileSize] long, and its values
// together at most [MaxComponentValueSize]. Anchors and aliases work, within a
// document; merge keys (<<) are errors.
func LoadComponents(r io.Reader, secrets SecretResolver) ([]Component, error) {
	l := &componentLoader{secrets: secrets, resolved: map[secretRef]resolvedSecret{}, names: map[[2]string]int{}}
	if data, ok := l.read(r); ok {
		l.loadAll(data)
	}
	if len(l.mistakes) == 0 {
		return l.components, nil
	}
	slices.SortStableFunc(l.mistakes, func(a, b *ComponentError) int { return cmp.Compare(a.Line, b.Line) })
	errs := make([]error, 0, len(l.mistakes)+1)
	for _, mistake := range l.mistakes {
		errs = append(errs, mistake)
	}
	if l.tooMany {
		errs = append(errs, &ComponentError{Reason: "has more mistakes than these " + strconv.Itoa(maxMistakes)})
	}
	return nil, errors.Join(errs...)
}

// componentLoader is one run of LoadComponents.
type componentLoader struct {
	secrets  SecretResolver
	resolved map[secretRef]resolvedSecret

	components []Component
	names      map[[2]string]int // the line of each name and namespace
	size       int               // of all values
	tooLarge   bool              // the values are

	mistakes []*ComponentError
	tooMany  bool

	begin     int    // where the YAML document begins
	line      int    // where the document, or in a List the item, begins
	inList    bool   // of kind List
	component string // its name, when that is known
}

// fail notes a mistake. A value must not get into the reason.
func (l *componentLoader) fail(line int, reason string) { l.failFor(line, reason, nil) }

// failFor is fail with the error that is to blame.
func (l *componentLoader) failFor(line int, reason string, err error) {
	if l.tooMany = l.tooMany || len(l.mistakes) == maxMistakes; !l.tooMany {
		l.mistakes = append(l.mistakes, &ComponentError{Line: line, Component: l.component, Reason: reason, Err: err})
	}
}

// read returns the stream, when it is text of a size that can be parsed.
func (l *componentLoader) read(r io.Reader) (data []byte, ok bool) {
	data, err := io.ReadAll(io.LimitReader(r, MaxComponentFileSize+1))
	switch {
	case err != nil:
		l.failFor(0, "cannot be read", err)
		return nil, false
	case len(data) > MaxComponentFileSize:
		l.fail(0, "is larger than "+strconv.Itoa(MaxComponentFileSize)+" bytes")
		return nil, false
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		l.fail(1, "this is UTF-16: save it as UTF-8")
		return nil, false
	}
	// Files put one behind the other have the byte order mark in the middle, too.
	const mark = "\ufeff"
	data = bytes.ReplaceAll(bytes.TrimPrefix(data, []byte(mark)), []byte("\n"+mark), []byte("\n"))
	if line, reason := unreadable(data); reason != "" {
		l.fail(line, reason)
		return nil, false
	}
	return data, true
}

// loadAll reads all documents.
func (l *componentLoader) loadAll(data []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for !l.tooMany && !l.tooLarge {
		l.component = ""
		document, err := decodeNode(decoder)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			l.fail(explainSyntax(data, max(l.begin, 1), err))
			return
		}
		l.begin, l.line = document.Line, document.Line
		l.load(document.Content[0])
	}
}
