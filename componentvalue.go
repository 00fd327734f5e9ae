package redisbinding

import (
	"cmp"
	"os"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/redisbinding/redisbinding/internal/wording"
)

// secretRef is a secret that a document refers to.
type secretRef struct{ store, name, key string }

// resolvedSecret is what the resolver has answered.
type resolvedSecret struct {
	value string
	err   error
}

// labelOf is the name of a field as errors show it.
func labelOf(name string) string {
	if _, known := canonicalName(name); known {
		return name
	}
	return wording.Quoted(name)
}

// itemValue reads what an item of spec.metadata has for a value.
func (l *componentLoader) itemValue(item map[string]entry, line int, label, store string) (value string, ok bool) {
	const takes = "one of value, secretKeyRef and envRef"
	var given, has []string
	for _, key := range []string{"value", "secretKeyRef", "envRef"} {
		at, ok := item[key]
		if ok {
			given = append(given, key)
		}
		if ok && !at.isUnused() {
			has = append(has, key)
		}
	}
	if len(has) == 0 && len(given) > 0 { // an empty value is one, when there is nothing else
		has = given[:1]
	}
	switch {
	case len(has) == 0:
		l.fail(line, label+": takes "+takes)
		return "", false
	case len(has) > 1:
		l.fail(line, label+": has "+strings.Join(has, " and ")+", and takes "+takes)
		return "", false
	}
	switch at := item[has[0]]; has[0] {
	case "value":
		value, reason := scalar(at.Node)
		if reason != "" {
			l.fail(at.line, label+": value "+reason)
		}
		return value, reason == ""
	case "secretKeyRef":
		return l.secretValue(at, label, store)
	default:
		return l.envValue(at, label)
	}
}

// isUnused says whether a place for a value has none: programs that write component
// files fill in all places, an unused secretKeyRef with an empty name and key.
func (e entry) isUnused() bool {
	if e.isNull() || e.Kind == yaml.ScalarNode && e.Value == "" && e.Anchor == "" && e.Style&yaml.TaggedStyle == 0 {
		return true
	}
	if e.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(e.Content); i += 2 {
		key, value := entryOf(e.Content[i]), entryOf(e.Content[i+1])
		if key.Value != "name" && key.Value != "key" || value.Kind != yaml.ScalarNode || !value.isUnused() {
			return false
		}
	}
	return true
}

// scalar returns a value as it is written, or what is wrong with it.
func scalar(node *yaml.Node) (value, reason string) {
	const takes = ": it takes a string, number or boolean"
	// What a tag such as !!int in the file has to fit; otherwise the same as node.Tag.
	means := (&yaml.Node{Kind: yaml.ScalarNode, Value: node.Value}).ShortTag()
	switch {
	case node.Kind == yaml.SequenceNode:
		return "", "is a list" + takes
	case node.Kind == yaml.MappingNode:
		return "", "is a mapping" + takes + "; what begins with { must be in quotes"
	case node.Tag == "!!str", node.Tag == "!!merge" && node.Style&yaml.TaggedStyle == 0: // a plain <<
		return node.Value, ""
	case node.Tag != means && (node.Tag != "!!float" || means != "!!int"):
		return "", "has a YAML tag that is not taken; what begins with ! must be in quotes" // which may be a password
	case node.Tag == "!!null" && node.Value == "" && node.Anchor != "":
		return "", "is an anchor and nothing else; what begins with & must be in quotes"
	case node.Tag == "!!null":
		return "", ""
	}
	return node.Value, ""
}

func (l *componentLoader) envValue(at entry, label string) (value string, ok bool) {
	variable, ok := l.text(at, label+": envRef")
	if !ok {
		return "", false
	}
	if variable == "" {
		l.fail(at.line, label+": envRef is empty: it takes the name of an environment variable")
		return "", false
	}
	value, err := environment(variable)
	if err != nil {
		l.failFor(at.line, label+": envRef", err)
	}
	return value, err == nil
}

func (l *componentLoader) secretValue(at entry, label, store string) (value string, ok bool) {
	if !at.is(yaml.MappingNode) {
		l.fail(at.line, label+": secretKeyRef takes a mapping with name and key")
		return "", false
	}
	before := len(l.mistakes)
	entries := l.entries(at.Node, label+": secretKeyRef", closed, "name", "key")
	name, ok := l.text(entries["name"], label+": the name in secretKeyRef")
	key, _ := l.text(entries["key"], label+": the key in secretKeyRef")
	if ok && name == "" {
		l.fail(at.line, label+": secretKeyRef has no name")
	}
	if len(l.mistakes) > before {
		return "", false
	}
	ref := secretRef{store, name, cmp.Or(key, name)}
	which := label + ": secret " + wording.Quoted(ref.name) + ", key " + wording.Quoted(ref.key) + ", store " + wording.Quoted(ref.store)
	if l.secrets == nil {
		l.fail(at.line, which+": there is no resolver for secrets")
		return "", false
	}
	secret, known := l.resolved[ref]
	if !known {
		secret.value, secret.err = l.secrets(ref.store, ref.name, ref.key)
		l.resolved[ref] = secret
	}
	if secret.err != nil {
		l.failFor(at.line, which, secret.err)
	}
	return secret.value, secret.err == nil
}

// expand fills in the templates of a value, in one pass: what they stand for is
// not looked at again.
func (l *componentLoader) expand(text string, line int, label string) string {
	var b strings.Builder
	for l.size+b.Len() <= MaxComponentValueSize {
		before, after, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			l.size += b.Len()
			if l.size <= MaxComponentValueSize {
				return b.String()
			}
			break
		}
		name, _, ok := strings.Cut(after[:min(len(after), len("namespace}"))], "}")
		value, missing := "", ""
		if ok {
			value, missing, ok = template(name)
		}
		switch {
		case !ok: // just a brace
			b.WriteByte('{')
			text = after
		case missing != "":
			l.fail(line, label+": {"+name+"} stands for the environment variable "+missing+", which is empty or not set")
			return ""
		default:
			b.WriteString(value)
			text = after[len(name)+1:]
		}
	}
	l.tooLarge = true
	l.fail(line, "the values up to here are larger than "+strconv.Itoa(MaxComponentValueSize)+" bytes")
	return ""
}

// template returns what a template stands for, or which variable is missing for that.
func template(name string) (value, missing string, ok bool) {
	var variables []string
	switch name {
	case "uuid":
		return uuid.NewString(), "", true
	case "podName":
		variables = []string{"POD_NAME"}
	case "namespace":
		variables = []string{"NAMESPACE", "APP_ID"}
	case "appID":
		variables = []string{"APP_ID"}
	default:
		return "", "", false
	}
	for i, variable := range variables {
		if variables[i] = os.Getenv(variable); variables[i] == "" {
			return "", variable, true
		}
	}
	return strings.Join(variables, "."), "", true
}
