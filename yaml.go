package redisbinding

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/redisbinding/redisbinding/internal/wording"
)

// unreadable says what the parser would refuse without saying where, or would
// make too much of.
func unreadable(data []byte) (line int, reason string) {
	line = 1
	for before := '\n'; len(data) > 0; {
		c, size := utf8.DecodeRune(data)
		switch {
		case c == utf8.RuneError && size == 1:
			return line, "a byte is no UTF-8"
		case c == 0:
			return line, "there is a NUL byte: if this is UTF-16, save it as UTF-8"
		case c < ' ' && c != '\t' && c != '\n' && c != '\r', c > '~' && c < '\u00a0' && c != '\u0085', c == '\ufffe', c == '\uffff':
			return line, fmt.Sprintf("there is the character %U, which YAML does not take", c)
		case c == '%' && strings.ContainsRune("\n\r\u0085\u2028\u2029\ufeff", before) && bytes.HasPrefix(data, []byte("%TAG")):
			// It makes a long text of each short tag, gigabytes in all. No tag of one's own is taken, anyway.
			return line, "%TAG directives are not taken"
		case c == '\n':
			line++
		}
		before, data = c, data[size:]
	}
	return 0, ""
}

// decodeNode reads the next document. Into a node nothing is converted and no
// alias expanded.
func decodeNode(decoder *yaml.Decoder) (document *yaml.Node, err error) {
	defer func() {
		if recover() != nil { // there have been texts that the parser panics for
			err = errors.New("the parser failed")
		}
	}()
	document = &yaml.Node{}
	return document, decoder.Decode(document)
}

// explainSyntax says where the data is no YAML, and why. The documents before the
// line from are.
func explainSyntax(data []byte, from int, err error) (line int, reason string) {
	reason = strings.TrimPrefix(err.Error(), "yaml: ")
	if at, rest, ok := strings.Cut(strings.TrimPrefix(reason, "line "), ": "); ok {
		if n, err := strconv.Atoi(at); err == nil {
			reason, line = rest, n
		}
	}
	// The parser's line is often that of what the mistake is in, or missing. The
	// mistake is where the shortest beginning of the text ends that has it. For
	// documents larger than any component is, that would take seconds. Those before
	// it need not be read again: empty lines stand for them.
	at := 0
	for range from - 1 {
		at += 1 + bytes.IndexByte(data[at:], '\n')
	}
	data = append(bytes.Repeat([]byte("\n"), from-1), data[at:]...)
	ends := []int{0}
	for part := range bytes.Lines(data) {
		ends = append(ends, ends[len(ends)-1]+len(part))
	}
	last := len(ends) - 1
	if len(data)-from <= 64<<10 {
		line = from + sort.Search(last-from, func(i int) bool { return syntaxError(data[:ends[from+i]]) == err.Error() })
	}
	if _, name, ok := strings.Cut(reason, "unknown anchor '"); ok && line == 0 {
		name, _, _ = strings.Cut(name, "'")
		line = 1 + bytes.Count(data[:max(0, bytes.Index(data, []byte("*"+name)))], []byte("\n"))
	}
	if line < from || line > last {
		line = from
	}
	switch {
	case isTabbed(data[:ends[line]]):
		reason = "the line is indented with a tab, and YAML takes spaces"
	case strings.HasPrefix(reason, "unknown anchor"): // and its name, which may be a password
		reason = noAnchor
	case strings.HasPrefix(reason, "found character that cannot start"):
		reason += "; a value that begins with @, ` or % must be in quotes"
	case strings.HasPrefix(reason, "mapping values are not allowed"):
		reason += `; check the indentation; a value with ": " in it must be in quotes`
	}
	return line, "this is no YAML: " + reason
}

const noAnchor = "an alias (*) has no anchor (&) before it in its document; a value that begins with * must be in quotes"

// syntaxError is the first error in the data, or "".
func syntaxError(data []byte) string {
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		if _, err := decodeNode(decoder); errors.Is(err, io.EOF) {
			return ""
		} else if err != nil {
			return err.Error()
		}
	}
}

// isTabbed says whether the last line is indented with tabs.
func isTabbed(data []byte) bool {
	line := data[bytes.LastIndexByte(data[:len(data)-1], '\n')+1:]
	return bytes.ContainsRune(line[:len(line)-len(bytes.TrimLeft(line, " \t"))], '\t')
}

// foreignAlias returns an alias whose anchor is in another document: in YAML
// they end with theirs, in the parser they do not.
func (l *componentLoader) foreignAlias(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode && node.Alias.Line < l.begin {
		return node
	}
	for _, child := range node.Content {
		if alias := l.foreignAlias(child); alias != nil {
			return alias
		}
	}
	return nil
}

// entry is a node that an alias has been followed to.
type entry struct {
	*yaml.Node     // nil when there is none
	line       int // of the alias, when there is one
}

func entryOf(node *yaml.Node) entry {
	line := node.Line
	if node.Kind == yaml.AliasNode {
		node = node.Alias // which is no alias: YAML has no anchor on one
	}
	return entry{node, line}
}

// isNull says whether there is nothing.
func (e entry) isNull() bool {
	return e.Node == nil || e.Kind == yaml.ScalarNode && e.Tag == "!!null"
}

// is says whether the node is of the kind, and has no tag that makes something else of it.
func (e entry) is(kind yaml.Kind) bool {
	if e.Node == nil || e.Kind != kind {
		return false
	}
	switch kind {
	case yaml.MappingNode:
		return e.Tag == "!!map"
	case yaml.SequenceNode:
		return e.Tag == "!!seq"
	default:
		return e.Tag == "!!str"
	}
}

// text reads what takes a string. It is empty when there is none.
func (l *componentLoader) text(at entry, what string) (text string, ok bool) {
	if at.isNull() {
		return "", true
	}
	if !at.is(yaml.ScalarNode) {
		l.fail(at.line, what+" is no string: write one, in quotes if it looks like a number, a boolean or a date")
		return "", false
	}
	return at.Value, true
}

// valuesOf returns what a mapping has under the key, unchecked.
func valuesOf(node *yaml.Node, key string) (values []entry) {
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if at := entryOf(node.Content[i]); at.Kind == yaml.ScalarNode && at.Value == key {
			values = append(values, entry{entryOf(node.Content[i+1]).Node, at.line})
		}
	}
	return values
}

// Whether a mapping may have keys that nobody knows: an open one may.
const (
	open   = true
	closed = false
)

// mapping reads a mapping in a document; nil when there is none.
func (l *componentLoader) mapping(document map[string]entry, name string, known ...string) map[string]entry {
	at := document[name]
	if at.isNull() {
		return nil
	}
	if !at.is(yaml.MappingNode) {
		l.fail(at.line, name+" takes a mapping with "+strings.Join(known, ", "))
		return nil
	}
	return l.entries(at.Node, name, open, known...)
}

// entries reads the known keys of a mapping.
func (l *componentLoader) entries(mapping *yaml.Node, what string, open bool, known ...string) map[string]entry {
	entries, lines := map[string]entry{}, map[string]int{}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := entryOf(mapping.Content[i]), entryOf(mapping.Content[i+1])
		if key.Kind != yaml.ScalarNode {
			l.fail(key.line, what+" has a key that is no string")
			continue
		}
		first, twice := lines[key.Value]
		lines[key.Value] = key.line
		isKnown := slices.Contains(known, key.Value)
		near := wording.Nearest(key.Value, 2, known...)
		// A key is shown only when it is one that is known, or nearly: in
		// {name: redisPassword, value:hunter2} it is one that holds the value.
		switch {
		case key.Tag == "!!merge":
			l.fail(key.line, what+" has a merge key (<<): write out what it stands for")
		case twice && isKnown:
			l.fail(key.line, what+" has "+key.Value+" twice: the first is at line "+strconv.Itoa(first))
		case twice:
			l.fail(key.line, what+" has a key twice: the first is at line "+strconv.Itoa(first))
		case isKnown:
			entries[key.Value] = value
		case near != "" && (!open || wording.Nearest(key.Value, 1, near) != "" || len(near) > 5):
			l.fail(key.line, what+" has the key "+wording.Quoted(key.Value)+": did you mean "+near+"?")
		case !open:
			advice := ""
			if strings.Contains(key.Value, ":") {
				advice = " (and a space must follow the colon)"
			}
			l.fail(key.line, what+" has a key that is none of "+strings.Join(known, ", ")+advice)
		}
	}
	return entries
}
