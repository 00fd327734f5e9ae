package redisbinding

import (
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// FuzzLoadComponents looks for what panics, for values in errors, and for
// streams that are read in two ways.
func FuzzLoadComponents(f *testing.F) {
	const secret = "hunter2hunter2"
	for _, test := range componentErrors {
		f.Add(test.text)
	}
	for _, seed := range []string{
		redisComponent("  - {name: redisHost, value: h}\n  - {name: redisPassword, secretKeyRef: {name: s, key: k}}\n  - name: redisDB\n    value: 010\n"),
		redisComponent("  - &a {name: a, value: '{uuid}'}\n  - {name: b, value: !!int 5}\nscopes: [a, b]\n---\n# c\n---\nkind: X\n"),
		redisComponent("  - name: caCert\n    value: |\n      -----BEGIN\n"),
		redisComponent("  - name: redisPassword\n    value: " + secret + ": x\n"),
		redisComponent("  - {name: redisPassword, value:" + secret + "}\n"),
		redisComponent("  - name: redisPassword\n    value: *" + secret + "\n"),
	} {
		f.Add(seed)
	}
	// Where a value stands, plainly: what else the text may make of it is its own affair.
	value := regexp.MustCompile(`(?m)^ *value: *["'|>*&!@]?` + secret)
	resolver := func(_, name, _ string) (string, error) {
		if name == "missing" {
			return "", errors.New("it is missing")
		}
		return secret, nil
	}
	uuids := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	f.Fuzz(func(t *testing.T, text string) {
		components, err := LoadComponents(strings.NewReader(text), resolver)
		if err != nil {
			if components != nil {
				t.Fatalf("%v and the error %v", components, err)
			}
			onlyValues := strings.Count(text, secret) == len(value.FindAllString(text, -1))
			for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
				bad, ok := err.(*ComponentError)
				if !ok || bad.Line < 0 || bad.Line > 1+strings.Count(text, "\n")+strings.Count(text, "\r")+
					strings.Count(text, "\u0085")+strings.Count(text, "\u2028")+strings.Count(text, "\u2029") || bad.Reason == "" {
					t.Fatalf("%#v", err)
				}
				if onlyValues && strings.Contains(err.Error(), secret) {
					t.Fatalf("a value in the error %v", err)
				}
			}
			return
		}
		again, err := LoadComponents(strings.NewReader(text), resolver)
		if err != nil || len(again) != len(components) {
			t.Fatalf("once %v, and then %v, %v", components, again, err)
		}
		for i, c := range components {
			if c.Name == "" || c.Type != ComponentType || c.Line < 1 || c.Metadata == nil {
				t.Fatalf("%#v", c)
			}
			for _, metadata := range []map[string]string{c.Metadata, again[i].Metadata} {
				for name, value := range metadata {
					metadata[name] = uuids.ReplaceAllString(value, uuid.Nil.String())
				}
			}
			if !reflect.DeepEqual(c, again[i]) {
				t.Fatalf("once %v, and then %v", c, again[i])
			}
			if strings.Contains(c.String(), secret) && !strings.Contains(text, secret) {
				t.Fatalf("a secret in %v", c)
			}
		}
	})
}
