package redisbinding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// redisComponent is a component with the items, its spec.metadata begins at line 6.
func redisComponent(items string) string {
	return "kind: Component\nmetadata: {name: cache}\nauth: {secretStore: vault}\nspec:\n  type: bindings.redis\n  metadata:\n" + items
}

// hunter is a resolver whose secrets are all hunter2, but for those called missing.
func hunter(store, name, key string) (string, error) {
	if name == "missing" {
		return "", fmt.Errorf("%s: %w", store, os.ErrNotExist)
	}
	return "hunter2 of " + store + "/" + name + "/" + key, nil
}

func load(text string) ([]Component, error) { return LoadComponents(strings.NewReader(text), hunter) }

func TestLoadComponentsSpecExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/components/spec.yaml")
	require.NoError(t, err)
	components, err := LoadComponents(bytes.NewReader(text), nil)
	require.NoError(t, err)
	assert.Equal(t, []Component{{
		Name: "<NAME>", Type: "bindings.redis", Version: "v1", Line: 1,
		Metadata: map[string]string{"redisHost": "<address>:6379", "redisPassword": "**************", "useEntraID": "true", "enableTLS": "<bool>"},
	}}, components)
}

func TestLoadComponentsOfDapr(t *testing.T) {
	t.Setenv("VISITS_HOST", "visits:6379")
	text, err := os.ReadFile("testdata/components/shop.yaml")
	require.NoError(t, err)
	want := []Component{{
		Name: "carts", Namespace: "shop", Type: ComponentType, Version: "v1", SecretStore: "vault", Scopes: []string{"checkout", "web"}, Line: 30,
		Metadata: map[string]string{"redisHost": "redis-0:6379,redis-1:6379", "redisType": "cluster", "redisUsername": "carts",
			"redisPassword": "hunter2", "clientCert": "CERT", "enableTLS": "true", "poolSize": "20",
			"caCert": "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"},
	}, {
		Name: "visits", Type: ComponentType, Line: 72, Metadata: map[string]string{"redisHost": "visits:6379", "redisDB": "1"},
	}}
	for name, text := range map[string]string{
		"as it is": string(text),
		"CRLF":     strings.ReplaceAll(string(text), "\n", "\r\n"),
		"BOM":      "\ufeff" + strings.ReplaceAll(string(text), "\n---", "\n\ufeff---"),
	} {
		t.Run(name, func(t *testing.T) {
			components, err := LoadComponents(iotest.OneByteReader(strings.NewReader(text)), FileSecrets("testdata/components/secrets.json"))
			require.NoError(t, err)
			assert.Equal(t, want, components)
		})
	}
	m, err := ParseMetadata(want[1].Metadata)
	require.NoError(t, err)
	assert.Equal(t, 1, m.RedisDB)
}

// What is loaded, with redisHost being the value.
func TestComponentValues(t *testing.T) {
	t.Setenv("EMPTY", "")
	t.Setenv("HOST", "env:1")
	for text, want := range map[string]string{
		`value: h`: "h", `value: "h\n\t"`: "h\n\t", `value: ' h '`: " h ", `value: ""`: "", `value:`: "", `value: ~`: "", `value: null`: "",
		`value: 010`: "010", `value: 0x1F`: "0x1F", `value: 1_000`: "1_000", `value: 1e3`: "1e3", `value: -.5`: "-.5", `value: .NaN`: ".NaN",
		`value: 12345678901234567890123`: "12345678901234567890123", `value: yes`: "yes", `value: True`: "True", `value: 'null'`: "null",
		`value: 2001-12-14t21:59:43.10-05:00`: "2001-12-14t21:59:43.10-05:00", `value: 2002-12-14`: "2002-12-14",
		`value: !!str 5`: "5", `value: !!int "5"`: "5", `value: !!float 5`: "5", `value: !!bool true`: "true", `value: ! x`: "x",
		`value: !!null null`: "", `value: <<`: "<<", `value: "<<"`: "<<", `value: !<tag:yaml.org,2002:str> 1`: "1",
		"value: |\n      a\n      b": "a\nb\n", "value: |-\n      a\n      b": "a\nb", "value: >\n      a\n      b": "a b\n", "value: a\n      b": "a b",
		"value: h\n    secretKeyRef: {name: '', key: ''}\n    envRef: ''": "h", "value: null\n    secretKeyRef: {name: s}": "hunter2 of vault/s/s",
		"value: ''\n    secretKeyRef: {name: key}":       "hunter2 of vault/key/key",
		"value: ''\n    secretKeyRef:\n    envRef: HOST": "env:1", "value: ''\n    secretKeyRef: {name: ''}": "",
		`secretKeyRef: {name: s}`: "hunter2 of vault/s/s", `secretKeyRef: {name: s, key: k}`: "hunter2 of vault/s/k", `secretKeyRef: {name: s, key: }`: "hunter2 of vault/s/s",
		`envRef: HOST`: "env:1", `envRef: EMPTY`: "", `value: "{"`: "{", `value: "{}{x}{uuid{podname}"`: "{}{x}{uuid{podname}",
	} {
		components, err := load(redisComponent("  - name: redisHost\n    " + text + "\n"))
		require.NoError(t, err, text)
		assert.Equal(t, map[string]string{"redisHost": want}, components[0].Metadata, text)
	}
}

func TestComponentForms(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []Component
	}{
		"nothing":                 {"", nil},
		"comments":                {"# a\n---\n# b\n---\nnull\n...\n", nil},
		"no metadata":             {"kind: Component\nmetadata: {name: a}\nspec: {type: bindings.redis}", []Component{{Name: "a", Line: 1}}},
		"null metadata":           {"---\nkind: Component\nmetadata: {name: a}\nspec: {type: bindings.redis, version: , metadata: }\nscopes:\nauth:", []Component{{Name: "a", Line: 1}}},
		"unknown keys":            {"kind: Component\nx: 1\nmetadata: {name: a, uid: 5}\nspec: {type: bindings.redis, x: [a]}\nauth: {x: y}", []Component{{Name: "a", Line: 1}}},
		"one name, two namespace": {"kind: Component\nmetadata: {name: a}\nspec: {type: bindings.redis}\n---\nkind: Component\nmetadata: {name: a, namespace: b}\nspec: {type: bindings.redis}\n", []Component{{Name: "a", Line: 1}, {Name: "a", Namespace: "b", Line: 4}}},
		"JSON":                    {`{"kind": "Component", "metadata": {"name": "a"}, "spec": {"type": "bindings.redis", "metadata": [{"name": "redisDB", "value": 1}]}}`, []Component{{Name: "a", Line: 1, Metadata: map[string]string{"redisDB": "1"}}}},
		"anchors": {"kind: Component\nmetadata: {name: &n a}\nspec:\n  type: &t bindings.redis\n  metadata:\n  - &i {name: redisHost, value: &v h}\nscopes: [*n]\nauth: {secretStore: *v}\n---\nkind: Component\n" +
			"metadata: {name: b}\nx: &k redisDB\nspec:\n  type: bindings.redis\n  metadata:\n  - name: *k\n    value: &v 1\n  - {name: poolSize, value: *v}\n",
			[]Component{{Name: "a", Line: 1, Scopes: []string{"a"}, SecretStore: "h", Metadata: map[string]string{"redisHost": "h"}},
				{Name: "b", Line: 9, Metadata: map[string]string{"redisDB": "1", "poolSize": "1"}}}},
		"a list": {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret}\n- apiVersion: dapr.io/v1alpha1\n  kind: Component\n  metadata: {name: a}\n  spec: {type: bindings.redis}\n---\nkind: ComponentList\nitems:\n",
			[]Component{{Name: "a", Line: 5}}},
		"components of others": {"apiVersion: backstage.io/v1alpha1\nkind: Component\nspec: {type: service}\n---\napiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component", nil},
		"items by alias":       {"kind: Component\nmetadata: {name: a, labels: &l [&i {name: redisHost, value: h}, *i, *l]}\nspec: {type: bindings.redis, metadata: [*i]}", []Component{{Name: "a", Line: 1, Metadata: map[string]string{"redisHost": "h"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range test.want {
				test.want[i].Type = ComponentType
				if test.want[i].Metadata == nil {
					test.want[i].Metadata = map[string]string{}
				}
			}
			components, err := load(test.text)
			require.NoError(t, err)
			assert.Equal(t, test.want, components)
		})
	}
	for _, text := range []string{
		"kind: Configuration", "kind: Subscription\nmetadata: [", "kind: Deployment\nspec: &a {x: *a, <<: *a}",
		"kind: Component\nmetadata: 1\nspec: {type: state.redis, metadata: 5, version: v7}",
	} {
		components, err := load(strings.ReplaceAll(text, "[", "[]") + "\n---\n" + redisComponent(""))
		require.NoError(t, err, text)
		assert.Len(t, components, 1)
	}
	for _, block := range otherBlocks {
		components, err := load("kind: Component\nspec: {type: " + block + ".x}")
		assert.NoError(t, err)
		assert.Nil(t, components)
	}
}

// componentErrors are the mistakes a stream may have, with all that is said of them.
var componentErrors = map[string]struct {
	text string
	want []string
}{
	"no kind":           {"# a\n---\nmetadata: {}", []string{"line 2: kind is missing: it takes Component"}},
	"null kind":         {"kind:", []string{"line 1: kind is missing: it takes Component"}},
	"kind twice":        {"kind: Component\nkind: Deployment", []string{"line 2: kind is given twice: the first is at line 1"}},
	"kind is no string": {"kind: [hunter2]", []string{"line 1: kind is no string: write one, in quotes if it looks like a number, a boolean or a date"}},
	"kind misspelt":     {"a: b\nkind: component", []string{`line 2: kind is "component": did you mean Component?`}},
	"bad items":         {"kind: List\nitems: hunter2", []string{"line 2: items takes a list"}},
	"list in a list":    {"kind: List\nitems: &l\n- {kind: ComponentList, items: *l}", []string{"line 3: kind is ComponentList within another"}},
	"items of a list": {"kind: List\nitems:\n- kind: Component\n  metadata: {name: a}\n  spec: {type: bindings.redis, metadata: [{name: x}]}\n- kind: Component\n- hunter2\n---\n{", []string{
		`line 5: component "a": "x": takes one of value, secretKeyRef and envRef`, "line 6: metadata.name is missing or empty",
		"line 6: spec is missing: it takes type bindings.redis", "line 7: a document takes a mapping with kind, metadata and spec",
		"line 9: this is no YAML: did not find expected node content"}},
	"apiVersion": {"apiVersion: dapr.io/v7\nkind: Component\n---\napiVersion: [hunter2]\nkind: Component", []string{`line 1: apiVersion is "dapr.io/v7": it takes dapr.io/v1alpha1`,
		"line 4: apiVersion is no string: write one, in quotes if it looks like a number, a boolean or a date"}},
	"a key of nothing": {redisComponent("  - {name: redisHost, value: h, \"\": hunter2}\n"), []string{
		`line 7: component "cache": an item of spec.metadata has a key that is none of name, value, secretKeyRef, envRef`}},
	"the name of another": {redisComponent("") + "---\nkind: Component\n", []string{"line 7: metadata.name is missing or empty", "line 7: spec is missing: it takes type bindings.redis"}},
	"behind much":         {strings.Repeat("kind: X\n---\n", 8000) + redisComponent("  - name: a\n   - b\n"), []string{"line 16008: this is no YAML: did not find expected key"}},
	"an alias behind much": {strings.Repeat("kind: X\n---\n", 8000) + "a: *hunter2", []string{
		"line 16001: this is no YAML: " + noAnchor}},
	"in a large document":  {"kind: X\n---\na: b\n" + strings.Repeat("# x\n", 20000) + "b: *hunter2\n", []string{"line 20004: this is no YAML: " + noAnchor}},
	"two byte order marks": {"\ufeff\ufeff%TAG !a! hunter2\n---\n", []string{"line 1: %TAG directives are not taken"}},
	"two full places": {redisComponent("  - name: a\n    value: hunter2\n    secretKeyRef: {name: x, key: ''}\n"), []string{
		`line 7: component "cache": "a": has value and secretKeyRef, and takes one of value, secretKeyRef and envRef`}},
	"no mapping":      {"- hunter2", []string{"line 1: a document takes a mapping with kind, metadata and spec"}},
	"a word":          {"kind: X\n---\nhunter2", []string{"line 3: a document takes a mapping with kind, metadata and spec"}},
	"tagged document": {"!hunter2\nkind: Component", []string{"line 1: a document takes a mapping with kind, metadata and spec"}},
	"empty component": {"kind: Component", []string{"line 1: metadata.name is missing or empty",
		"line 1: spec is missing: it takes type bindings.redis"}},
	"null parts": {"kind: Component\nmetadata:\nspec:\n", []string{"line 2: metadata.name is missing or empty",
		"line 3: spec is missing: it takes type bindings.redis"}},
	"wrong parts": {"kind: Component\nmetadata: [hunter2]\nspec: hunter2\nauth: hunter2\nscopes: hunter2", []string{
		"line 2: metadata takes a mapping with name, namespace", "line 3: spec takes a mapping with type, version, ignoreErrors, initTimeout, metadata",
		"line 4: auth takes a mapping with secretStore", "line 5: scopes takes a list of application IDs"}},
	"empty name":  {"kind: Component\nmetadata:\n  name: ''\nspec: {type: bindings.redis}", []string{"line 3: metadata.name is missing or empty"}},
	"number name": {"kind: Component\nmetadata:\n  name: 5\nspec: {type: bindings.redis}", []string{"line 3: metadata.name is no string: write one, in quotes if it looks like a number, a boolean or a date"}},
	"no type": {"kind: Component\nmetadata: {name: a}\nspec: {}", []string{
		`line 3: component "a": spec.type is missing or empty: it takes bindings.redis (components of other building blocks than bindings are skipped)`}},
	"type is a number": {"kind: Component\nmetadata: {name: a}\nspec: {type: 5}", []string{
		`line 3: component "a": spec.type is no string: write one, in quotes if it looks like a number, a boolean or a date`}},
	"version": {"kind: Component\nmetadata: {name: a}\nspec:\n  version: v2\n  type: bindings.redis", []string{`line 4: component "a": spec.version is "v2": it takes v1`}},
	"number for a version": {"kind: Component\nmetadata: {name: a}\nspec:\n  version: 1\n  type: bindings.redis", []string{
		`line 4: component "a": spec.version is no string: write one, in quotes if it looks like a number, a boolean or a date`}},
	"same name": {redisComponent("") + "---\n" + redisComponent(""), []string{`line 9: component "cache": the name is given twice: the first is at line 2`}},
	"scopes": {redisComponent("") + "scopes: ['', 5]", []string{`line 7: component "cache": an item of scopes is empty`,
		`line 7: component "cache": an item of scopes is no string: write one, in quotes if it looks like a number, a boolean or a date`}},
	"misspelt keys": {"kind: Component\nmetadta: {}\nscope: []\nmetadata: {name: a, namespaec: b}\nauth: {secretstore: a}\nspec: {type: bindings.redis, versin: v1}", []string{
		`line 2: the document has the key "metadta": did you mean metadata?`, `line 3: the document has the key "scope": did you mean scopes?`,
		`line 4: metadata has the key "namespaec": did you mean namespace?`,
		`line 5: component "a": auth has the key "secretstore": did you mean secretStore?`, `line 6: component "a": spec has the key "versin": did you mean version?`}},
	"keys twice": {"kind: Component\nmetadata: {name: a, name: b}\nspec:\n  type: bindings.redis\n  hunter2: a\n  hunter2: b\nspec: {}\n? [hunter2]\n: a", []string{
		"line 2: metadata has name twice: the first is at line 2", `line 6: component "a": spec has a key twice: the first is at line 5`,
		"line 7: the document has spec twice: the first is at line 3", "line 8: the document has a key that is no string"}},
	"merge keys": {"kind: Component\nmetadata: {name: a}\nspec:\n  type: bindings.redis\n  <<: {version: v1}\n  metadata:\n  - &i {name: poolSize, value: 1}\n  - <<: *i\n    name: redisDB\n    value: 2\n", []string{
		`line 5: component "a": spec has a merge key (<<): write out what it stands for`,
		`line 8: component "a": an item of spec.metadata has a merge key (<<): write out what it stands for`}},
	"metadata as a mapping": {redisComponent("    redisHost: hunter2"), []string{
		`line 7: component "cache": spec.metadata takes a list of items, each with "- name: redisHost" and in the next line "value: ..."`}},
	"item forms": {redisComponent("  - hunter2\n  - [hunter2]\n  -\n  - redisPassword: hunter2\n"), []string{
		`line 7: component "cache": an item of spec.metadata takes a mapping with name and value, secretKeyRef or envRef`,
		`line 8: component "cache": an item of spec.metadata takes a mapping with name and value, secretKeyRef or envRef`,
		`line 9: component "cache": an item of spec.metadata takes a mapping with name and value, secretKeyRef or envRef`,
		`line 10: component "cache": an item of spec.metadata has a key that is none of name, value, secretKeyRef, envRef`}},
	"no value": {redisComponent("  - name: redisHost\n  - {value: x}\n  - {}\n"), []string{`line 7: component "cache": redisHost: takes one of value, secretKeyRef and envRef`,
		`line 8: component "cache": an item of spec.metadata has no name`, `line 9: component "cache": an item of spec.metadata has no name`,
		`line 9: component "cache": an item without a name: takes one of value, secretKeyRef and envRef`}},
	"two values": {redisComponent("  - name: x y\n    value: hunter2\n    envRef: HOME\n"), []string{
		`line 7: component "cache": "x y": has value and envRef, and takes one of value, secretKeyRef and envRef`}},
	"no space": {redisComponent("  - {name: redisPassword, value:hunter2}\n"), []string{
		`line 7: component "cache": an item of spec.metadata has a key that is none of name, value, secretKeyRef, envRef (and a space must follow the colon)`}},
	"misspelt item": {redisComponent("  - name: redisHost\n    vaule: hunter2\n  - namme: redisDB\n    Value: hunter2\n"), []string{
		`line 8: component "cache": an item of spec.metadata has the key "vaule": did you mean value?`,
		`line 9: component "cache": an item of spec.metadata has the key "namme": did you mean name?`,
		`line 10: component "cache": an item of spec.metadata has the key "Value": did you mean value?`}},
	"wrong values": {redisComponent("  - name: a\n    value: [hunter2]\n  - name: b\n    value: {hunter2: x}\n  - name: c\n    value: !!binary aHVudGVyMg==\n" +
		"  - name: d\n    value: !hunter2\n  - name: e\n    value: &hunter2\n  - name: f\n    value: !!int hunter2\n  - name: [hunter2]\n    value: x\n"), []string{
		`line 8: component "cache": "a": value is a list: it takes a string, number or boolean`,
		`line 10: component "cache": "b": value is a mapping: it takes a string, number or boolean; what begins with { must be in quotes`,
		`line 12: component "cache": "c": value has a YAML tag that is not taken; what begins with ! must be in quotes`,
		`line 14: component "cache": "d": value has a YAML tag that is not taken; what begins with ! must be in quotes`,
		`line 16: component "cache": "e": value is an anchor and nothing else; what begins with & must be in quotes`,
		`line 18: component "cache": "f": value has a YAML tag that is not taken; what begins with ! must be in quotes`,
		`line 19: component "cache": the name of an item of spec.metadata is no string: write one, in quotes if it looks like a number, a boolean or a date`}},
	"field twice": {redisComponent("  - name: redisPassword\n    value: hunter2\n  - name: REDISPASSWORD\n    value: hunter2\n  - &i {name: redisDB, value: 1}\n  - *i\n"), []string{
		`line 9: component "cache": REDISPASSWORD is given twice: the first is at line 7`,
		`line 12: component "cache": redisDB is given twice: the first is at line 11`}},
	"secrets": {redisComponent("  - name: redisPassword\n    secretKeyRef: hunter2\n  - name: clientKey\n    secretKeyRef: {key: k}\n  - name: clientCert\n    secretKeyRef:\n      name: missing\n      key: k\n" +
		"  - name: x\n    secretKeyRef: {name: s, kee: k}\n  - name: y\n    secretKeyRef: {name: s, key: 5}\n  - name: z\n    secretKeyRef: {name: missing, hunter2: k}\n"), []string{
		`line 8: component "cache": redisPassword: secretKeyRef takes a mapping with name and key`,
		`line 10: component "cache": clientKey: secretKeyRef has no name`,
		`line 13: component "cache": clientCert: secret "missing", key "k", store "vault": vault: file does not exist`,
		`line 16: component "cache": "x": secretKeyRef has the key "kee": did you mean key?`,
		`line 18: component "cache": "y": the key in secretKeyRef is no string: write one, in quotes if it looks like a number, a boolean or a date`,
		`line 20: component "cache": "z": secretKeyRef has a key that is none of name, key`}},
	"environment": {redisComponent("  - name: a\n    envRef: UNSET_VARIABLE\n  - name: b\n    envRef: DAPR_API_TOKEN\n  - name: c\n    envRef: app_api_token\n  - name: d\n    envRef:\n  - name: e\n    envRef: 5\n"), []string{
		`line 8: component "cache": "a": envRef: the environment variable "UNSET_VARIABLE" is not set`,
		`line 10: component "cache": "b": envRef: the environment variable "DAPR_API_TOKEN" is refused, as DAPR_* and APP_API_TOKEN are`,
		`line 12: component "cache": "c": envRef: the environment variable "app_api_token" is refused, as DAPR_* and APP_API_TOKEN are`,
		`line 14: component "cache": "d": envRef is empty: it takes the name of an environment variable`,
		`line 16: component "cache": "e": envRef is no string: write one, in quotes if it looks like a number, a boolean or a date`}},
	"alias of another document": {"kind: X\na: &hunter2 b\n---\n" + redisComponent("  - name: redisHost\n    value: *hunter2\n"), []string{
		"line 11: an alias (*) has no anchor (&) before it in its document; a value that begins with * must be in quotes"}},
	"unknown anchor": {redisComponent("  - name: redisDB # *hunter2\n    value: '*hunter2'\n  - name: redisPassword\n    value: *hunter2\n"), []string{
		"line 10: this is no YAML: an alias (*) has no anchor (&) before it in its document; a value that begins with * must be in quotes"}},
	"all documents": {"a: b\n---\nkind: Component\n---\n- x\n---\na: [", []string{"line 1: kind is missing: it takes Component",
		"line 2: metadata.name is missing or empty", "line 2: spec is missing: it takes type bindings.redis",
		"line 5: a document takes a mapping with kind, metadata and spec", "line 7: this is no YAML: did not find expected node content"}},
	"cycles": {"kind: Component\nmetadata: {name: a}\nspec: &s {type: bindings.redis, metadata: *s}", []string{
		`line 3: component "a": spec.metadata takes a list of items, each with "- name: redisHost" and in the next line "value: ..."`}},
	"cyclic list": {"kind: Component\nmetadata: {name: a}\nspec: {type: bindings.redis, metadata: &m [*m]}", []string{
		`line 3: component "a": an item of spec.metadata takes a mapping with name and value, secretKeyRef or envRef`}},
	"tabs":                  {"kind: Component\nmetadata:\n\tname: hunter2", []string{"line 3: this is no YAML: the line is indented with a tab, and YAML takes spaces"}},
	"at sign":               {redisComponent("  - name: redisPassword\n    value: @hunter2\n"), []string{"line 8: this is no YAML: found character that cannot start any token; a value that begins with @, ` or % must be in quotes"}},
	"colons":                {redisComponent("  - name: redisPassword\n    value: hunter2: x\n"), []string{`line 8: this is no YAML: mapping values are not allowed in this context; check the indentation; a value with ": " in it must be in quotes`}},
	"no colon":              {redisComponent("  - name: redisPassword\n    hunter2\n    value: x\n"), []string{"line 8: this is no YAML: could not find expected ':'"}},
	"dedented":              {redisComponent("  - name: redisHost\n     value: hunter2\n"), []string{`line 8: this is no YAML: mapping values are not allowed in this context; check the indentation; a value with ": " in it must be in quotes`}},
	"bad list":              {redisComponent("  - name: redisHost\n    value: hunter2\n   - name: x\n"), []string{"line 9: this is no YAML: did not find expected key"}},
	"escape":                {redisComponent("  - name: redisPassword\n    value: \"hunter2\\q\"\n"), []string{"line 8: this is no YAML: found unknown escape character"}},
	"open list":             {redisComponent("  - [a, b\n"), []string{"line 7: this is no YAML: did not find expected ',' or ']'"}},
	"NUL":                   {"kind: X\na: hunter2\x00", []string{"line 2: there is a NUL byte: if this is UTF-16, save it as UTF-8"}},
	"escape character":      {"kind: X\r\na: \x1b[1m", []string{"line 2: there is the character U+001B, which YAML does not take"}},
	"UTF-16":                {"\xff\xfek\x00", []string{"line 1: this is UTF-16: save it as UTF-8"}},
	"tag directive":         {"kind: X\n---\n...\n%TAG !a! hunter2\n---\n", []string{"line 4: %TAG directives are not taken"}},
	"tag directive at once": {"%TAG !a! hunter2\n---\n", []string{"line 1: %TAG directives are not taken"}},
	"tag directive, CR":     {"kind: X\n---\n...\r%TAG !a! hunter2\n---\n", []string{"line 3: %TAG directives are not taken"}},
	"no UTF-8":              {"kind: X\n\n# \xe9", []string{"line 3: a byte is no UTF-8"}},
	"lists in lists":        {strings.Repeat("[", 20000), []string{"line 1: this is no YAML: exceeded max depth of 10000"}},
	"line breaks in names": {"kind: Component\nmetadata: {name: \"a\\nb\"}\nspec: {type: \"x\\ny\"}", []string{
		`line 3: component "a\nb": spec.type is "x\ny": it takes bindings.redis (components of other building blocks than bindings are skipped)`}},
}

func TestComponentErrors(t *testing.T) {
	t.Parallel()
	for name, test := range componentErrors {
		t.Run(name, func(t *testing.T) {
			components, err := load(test.text)
			assert.Nil(t, components)
			assert.EqualError(t, err, "redisbinding: component file "+strings.Join(test.want, "\nredisbinding: component file "))
			assertNoSecret(t, "hunter2", err)
			for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
				assert.IsType(t, &ComponentError{}, err)
			}
		})
	}
	for _, is := range []string{"bindings.kafka", "bindings.Redis", "bindings.redis/v1", "binding.redis", "redis", "State.redis", "state", "state.", " bindings.redis"} {
		_, err := load("kind: Component\nmetadata: {name: a}\nspec:\n  type: '" + is + "'\n  metadata: hunter2")
		assert.EqualError(t, err, `redisbinding: component file line 4: component "a": spec.type is "`+is+
			`": it takes bindings.redis (components of other building blocks than bindings are skipped)`)
	}
}

func TestComponentErrorWraps(t *testing.T) {
	t.Parallel()
	_, err := load(redisComponent("  - name: redisPassword\n    secretKeyRef: {name: missing}\n"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	var bad *ComponentError
	require.ErrorAs(t, err, &bad)
	assert.Equal(t, 8, bad.Line)
	assert.Equal(t, "cache", bad.Component)
	assert.Equal(t, `redisPassword: secret "missing", key "missing", store "vault"`, bad.Reason)

	_, err = LoadComponents(strings.NewReader(redisComponent("  - name: redisPassword\n    secretKeyRef: {name: s}\n")), nil)
	assert.EqualError(t, err, `redisbinding: component file line 8: component "cache": redisPassword: secret "s", key "s", store "vault": there is no resolver for secrets`)

	_, err = LoadComponents(io.MultiReader(strings.NewReader("kind: X"), iotest.ErrReader(io.ErrClosedPipe)), nil)
	assert.EqualError(t, err, "redisbinding: component file: cannot be read: io: read/write on closed pipe")
	assert.ErrorIs(t, err, io.ErrClosedPipe)
}

// Of a failing component nothing is returned, of a secret only one is asked for.
func TestSecretsAreAskedForOnce(t *testing.T) {
	t.Parallel()
	asked := []string{}
	components, err := LoadComponents(strings.NewReader(redisComponent("  - {name: a, secretKeyRef: {name: s}}\n  - {name: b, secretKeyRef: {name: s, key: s}}\n  - {name: c, secretKeyRef: {name: s, key: t}}\n")),
		func(store, name, key string) (string, error) {
			asked = append(asked, store+" "+name+" "+key)
			return fmt.Sprint(len(asked)), nil
		})
	require.NoError(t, err)
	assert.Equal(t, []string{"vault s s", "vault s t"}, asked)
	assert.Equal(t, map[string]string{"a": "1", "b": "1", "c": "2"}, components[0].Metadata)
}

func TestComponentTemplates(t *testing.T) {
	t.Setenv("POD_NAME", "pod-{uuid}")
	t.Setenv("NAMESPACE", "ns")
	t.Setenv("APP_ID", "app")
	secret := func(_, _, _ string) (string, error) { return "{podName}/{namespace}/{appID}/{PodName}", nil }
	stream := redisComponent("  - {name: a, value: '{uuid}{uuid}'}\n  - {name: b, secretKeyRef: {name: s}}\n  - {name: '{appID}', envRef: POD_NAME}\n")
	components, err := LoadComponents(strings.NewReader(stream), secret)
	require.NoError(t, err)
	metadata := components[0].Metadata
	assert.Regexp(t, "^([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}){2}$", metadata["a"])
	assert.NotEqual(t, metadata["a"][:36], metadata["a"][36:])
	assert.Equal(t, "pod-{uuid}/ns.app/app/{PodName}", metadata["b"])
	assert.Regexp(t, "^pod-[0-9a-f]{8}-", metadata["{appID}"])

	const want = `redisbinding: component file line 7: component "cache": "a": {%s} stands for the environment variable %s, which is empty or not set`
	for template, variables := range map[string][]string{"podName": {"POD_NAME"}, "appID": {"APP_ID"}, "namespace": {"NAMESPACE", "APP_ID"}} {
		for _, variable := range variables {
			t.Run(template+" without "+variable, func(t *testing.T) {
				t.Setenv(variable, "")
				_, err := load(redisComponent("  - {name: a, value: 'hunter2{" + template + "}'}"))
				assert.EqualError(t, err, fmt.Sprintf(want, template, variable))
				require.NoError(t, os.Unsetenv(variable))
				_, err = load(redisComponent("  - {name: a, value: 'hunter2{" + template + "}'}"))
				assert.EqualError(t, err, fmt.Sprintf(want, template, variable))
			})
		}
	}
}

func TestComponentHidesValues(t *testing.T) {
	t.Parallel()
	components, err := load(redisComponent("  - {name: redisPassword, value: hunter2}\n  - {name: redisHost, value: hunter2}\n  - {name: redisDB, value: ''}\n"))
	require.NoError(t, err)
	c := components[0]
	assertNoSecret(t, "hunter2", c, &c, components, map[string]Component{"a": c}, struct{ C *Component }{&c})
	assert.Equal(t, `component "cache" of type bindings.redis with redisDB, redisHost, redisPassword`, fmt.Sprintf("%+v", c))
	text, err := json.Marshal(c)
	require.NoError(t, err)
	assert.JSONEq(t, `{"Name": "cache", "Namespace": "", "Type": "bindings.redis", "Version": "", "Scopes": null, "SecretStore": "vault", "Line": 1,
		"Metadata": {"redisPassword": "***", "redisHost": "***", "redisDB": ""}}`, string(text))
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("loaded", "component", c)
	assert.Contains(t, log.String(), "redisPassword")
	assert.Equal(t, c.String(), c.LogValue().String())
}

func TestComponentLimits(t *testing.T) {
	t.Parallel()
	endless := &countingReader{Reader: zeros{}}
	_, err := LoadComponents(endless, nil)
	assert.EqualError(t, err, "redisbinding: component file: is larger than 524288 bytes")
	assert.LessOrEqual(t, endless.n, MaxComponentFileSize+1)

	for text, want := range map[string]string{
		"kind: X\n" + strings.Repeat("#", MaxComponentFileSize-8): "",
		"kind: X\n" + strings.Repeat("#", MaxComponentFileSize-7): ": is larger than 524288 bytes",
	} {
		_, err := load(text)
		if want == "" {
			assert.NoError(t, err)
			continue
		}
		assert.EqualError(t, err, "redisbinding: component file"+want)
	}

	_, err = load(redisComponent(strings.Repeat("  - x\n", 200)))
	errs := err.(interface{ Unwrap() []error }).Unwrap()
	assert.Len(t, errs, 101)
	assert.EqualError(t, errs[99], `redisbinding: component file line 106: component "cache": an item of spec.metadata takes a mapping with name and value, secretKeyRef or envRef`)
	assert.EqualError(t, errs[100], "redisbinding: component file: has more mistakes than these 100")

	// Small streams whose values would be large.
	const tooLarge = "the values up to here are larger than 16777216 bytes"
	large := func(_, _, _ string) (string, error) { return strings.Repeat("x", 1<<20), nil }
	secrets, aliases := "", "  - {name: a, value: &a '"+strings.Repeat("{uuid}", 10000)+"'}\n"
	for i := range 20 {
		secrets += fmt.Sprintf("  - {name: a%d, secretKeyRef: {name: s%d}}\n", i, i)
	}
	for i := range 10000 {
		aliases += fmt.Sprintf("  - {name: a%d, value: *a}\n", i)
	}
	for stream, line := range map[string]int{secrets: 23, aliases: 53} {
		_, err := LoadComponents(strings.NewReader(redisComponent(stream)+"---\nno: component"), large)
		assert.EqualError(t, err, fmt.Sprintf(`redisbinding: component file line %d: component "cache": %s`, line, tooLarge))
	}
	sixteen := redisComponent(strings.Join(strings.SplitAfter(secrets, "\n")[:16], ""))
	_, err = LoadComponents(strings.NewReader(sixteen), large)
	assert.NoError(t, err)
}

// zeros is a stream of zeros without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type countingReader struct {
	io.Reader
	n int
}

func (r *countingReader) Read(p []byte) (n int, err error) {
	n, err = r.Reader.Read(p)
	r.n += n
	return n, err
}

// What is hostile to parsers ends, soon, and without a panic.
func TestComponentHostileInput(t *testing.T) {
	bomb := "kind: Component\nmetadata: {name: a}\na0: &a0 [x]\n"
	for i := range 50 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i)
	}
	components, err := load(bomb + "spec: {type: bindings.redis}\nscopes: [*a50]\n")
	assert.Nil(t, components)
	assert.ErrorContains(t, err, "an item of scopes is no string")
	for _, unit := range []string{"[", "{", "- ", "? ", "a: &a ", "[a, ", "{a, ", "{a: {", "---\n", "---\na\n", "- #\n", "?\n", "a:\n", "a:\n #\n", "*a ", "!a ", "%a\n", "\t", " ", "\n", "\r", "'\n", "{uuid}"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := load(strings.Repeat(unit, MaxComponentFileSize/len(unit)))
		runtime.ReadMemStats(&after)
		var bad *ComponentError
		assert.True(t, err == nil || errors.As(err, &bad), unit)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(512<<20), "%q", unit)
	}
	_, err = load(redisComponent("  - &i {name: a, value: b}\n") + strings.Repeat("  - *i\n", 50000))
	assert.ErrorContains(t, err, "has more mistakes than these 100")
}
