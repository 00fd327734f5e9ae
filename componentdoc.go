package redisbinding

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/redisbinding/redisbinding/internal/wording"
)

// load reads one document.
func (l *componentLoader) load(root *yaml.Node) {
	at := entry{root, l.line}
	if at.isNull() {
		return // nothing but comments
	}
	if !at.is(yaml.MappingNode) {
		l.fail(root.Line, "a document takes a mapping with kind, metadata and spec")
		return
	}
	kinds := valuesOf(root, "kind")
	switch {
	case len(kinds) > 1:
		l.fail(kinds[1].line, "kind is given twice: the first is at line "+strconv.Itoa(kinds[0].line))
	case len(kinds) == 0, kinds[0].isNull():
		l.fail(l.line, "kind is missing: it takes Component")
	default:
		l.loadKind(root, kinds[0])
	}
}

func (l *componentLoader) loadKind(root *yaml.Node, at entry) {
	switch kind, ok := l.text(at, "kind"); {
	case !ok:
	case kind == "Component":
		if l.isDapr(root) {
			l.loadComponent(root)
		}
	case kind == "List", kind == "ComponentList": // what kubectl get writes
		if l.inList {
			l.fail(at.line, "kind is "+kind+" within another")
			return
		}
		l.inList = true
		for _, items := range valuesOf(root, "items") {
			if !items.isNull() && !items.is(yaml.SequenceNode) {
				l.fail(items.line, "items takes a list")
				continue
			}
			for _, item := range items.Content {
				l.component, l.line = "", item.Line
				l.load(entryOf(item).Node)
			}
		}
		l.inList = false
	case wording.Nearest(kind, 2, "Component") != "":
		l.fail(at.line, "kind is "+wording.Quoted(kind)+": did you mean Component?")
	}
}

// isDapr says whether a document of kind Component is Dapr's: others have that
// kind, too. One without apiVersion is.
func (l *componentLoader) isDapr(root *yaml.Node) bool {
	const group, version = "dapr.io/", "v1alpha1"
	for _, at := range valuesOf(root, "apiVersion") {
		is, ok := l.text(at, "apiVersion")
		switch {
		case !ok:
			return false
		case strings.HasPrefix(is, group) && is != group+version:
			l.fail(at.line, "apiVersion is "+wording.Quoted(is)+": it takes "+group+version)
			return false
		case is != "" && !strings.HasPrefix(is, group):
			return false
		}
	}
	return true
}

// loadComponent reads a document of kind Component.
func (l *componentLoader) loadComponent(root *yaml.Node) {
	for _, spec := range valuesOf(root, "spec") {
		if types := valuesOf(spec.Node, "type"); len(types) == 1 && isOtherBlock(types[0]) {
			return
		}
	}
	if alias := l.foreignAlias(root); alias != nil {
		l.fail(alias.Line, noAnchor)
		return
	}
	c := Component{Type: ComponentType, Metadata: map[string]string{}, Line: l.line}
	document := l.entries(root, "the document", open, "apiVersion", "kind", "metadata", "spec", "auth", "scopes")
	c.Name, c.Namespace = l.name(document)
	auth := l.mapping(document, "auth", "secretStore")
	c.SecretStore, _ = l.text(auth["secretStore"], "auth.secretStore")
	c.Scopes = l.scopes(document["scopes"])
	if document["spec"].isNull() {
		l.fail(cmp.Or(document["spec"].line, l.line), "spec is missing: it takes type "+ComponentType)
	} else if spec := l.mapping(document, "spec", "type", "version", "ignoreErrors", "initTimeout", "metadata"); spec != nil {
		l.spec(&c, spec, document["spec"].line)
	}
	l.components = append(l.components, c)
}

// name reads the mapping metadata. From then on errors name the component.
func (l *componentLoader) name(document map[string]entry) (name, namespace string) {
	metadata := l.mapping(document, "metadata", "name", "namespace")
	namespace, _ = l.text(metadata["namespace"], "metadata.namespace")
	at := metadata["name"]
	name, ok := l.text(at, "metadata.name")
	if metadata == nil && !document["metadata"].isNull() || !ok {
		return "", "" // which has been reported
	}
	if name == "" {
		l.fail(cmp.Or(at.line, document["metadata"].line, l.line), "metadata.name is missing or empty")
		return "", ""
	}
	l.component = name
	id := [2]string{namespace, name}
	if first, taken := l.names[id]; taken {
		l.fail(at.line, "the name is given twice: the first is at line "+strconv.Itoa(first))
	} else {
		l.names[id] = at.line
	}
	return name, namespace
}

func (l *componentLoader) scopes(at entry) (scopes []string) {
	if at.isNull() {
		return nil
	}
	if !at.is(yaml.SequenceNode) {
		l.fail(at.line, "scopes takes a list of application IDs")
		return nil
	}
	for _, node := range at.Content {
		item := entryOf(node)
		scope, ok := l.text(item, "an item of scopes")
		if ok && scope == "" {
			l.fail(item.line, "an item of scopes is empty")
		}
		scopes = append(scopes, scope)
	}
	return scopes
}

// otherBlocks are what the types of Dapr's other building blocks begin with.
var otherBlocks = []string{"configuration", "conversation", "crypto", "lock", "middleware", "nameresolution", "pubsub",
	"secretstores", "state", "workflow", "workflowbackend"}

// isOtherBlock says whether a spec.type is of another building block.
func isOtherBlock(at entry) bool {
	block, name, _ := strings.Cut(at.Value, ".")
	return at.is(yaml.ScalarNode) && name != "" && slices.Contains(otherBlocks, block)
}

func (l *componentLoader) spec(c *Component, spec map[string]entry, line int) {
	const takes = ": it takes " + ComponentType + " (components of other building blocks than bindings are skipped)"
	at := spec["type"]
	switch is, ok := l.text(at, "spec.type"); {
	case !ok:
	case is == "":
		l.fail(cmp.Or(at.line, line), "spec.type is missing or empty"+takes)
	case is != ComponentType:
		l.fail(at.line, "spec.type is "+wording.Quoted(is)+takes)
		return // its metadata has rules of its own
	}
	at = spec["version"]
	if version, ok := l.text(at, "spec.version"); ok && version != "" && version != "v1" {
		l.fail(at.line, "spec.version is "+wording.Quoted(version)+": it takes v1")
	} else {
		c.Version = version
	}
	at = spec["metadata"]
	switch {
	case at.isNull():
	case at.is(yaml.SequenceNode):
		l.items(c, at.Content)
	default:
		l.fail(at.line, `spec.metadata takes a list of items, each with "- name: redisHost" and in the next line "value: ..."`)
	}
}

// items reads the items of spec.metadata.
func (l *componentLoader) items(c *Component, items []*yaml.Node) {
	lines := map[string]int{} // by name in small letters
	for _, node := range items {
		if l.tooMany || l.tooLarge {
			return
		}
		line, at := node.Line, entryOf(node)
		if !at.is(yaml.MappingNode) {
			l.fail(line, "an item of spec.metadata takes a mapping with name and value, secretKeyRef or envRef")
			continue
		}
		before := len(l.mistakes)
		item := l.entries(at.Node, "an item of spec.metadata", closed, "name", "value", "secretKeyRef", "envRef")
		misspelt := len(l.mistakes) > before // so that what is missing has been reported
		name, ok := l.text(item["name"], "the name of an item of spec.metadata")
		label := "an item without a name"
		switch small := strings.ToLower(name); {
		case !ok:
		case name == "" && misspelt:
		case name == "":
			l.fail(line, "an item of spec.metadata has no name")
		case lines[small] > 0:
			label = labelOf(name)
			l.fail(line, label+" is given twice: the first is at line "+strconv.Itoa(lines[small]))
		default:
			label = labelOf(name)
			lines[small] = line
		}
		if misspelt {
			continue
		}
		if value, ok := l.itemValue(item, line, label, c.SecretStore); ok {
			c.Metadata[name] = l.expand(value, line, label)
		}
	}
}
