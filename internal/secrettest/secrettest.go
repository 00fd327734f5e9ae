// Package secrettest is for tests that nothing shows a secret.
package secrettest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Nasty is a secret with what quoting, escaping and connection strings trip over. It has
// no comma, which a connection string cannot hold.
const Nasty = `hu%41nt"er\2=s3 <cr>&et'%s`

// Spellings are a secret as it is, and as it may come out of something.
func Spellings(secret string) []string {
	quoted := strconv.Quote(secret)
	inJSON, _ := json.Marshal(secret)
	spellings := []string{secret, quoted[1 : len(quoted)-1], string(inJSON[1 : len(inJSON)-1]),
		url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
		fmt.Sprintf("% x", secret), strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]")}
	// In base64 the end depends on what follows, and the rest on what is before.
	for skip := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			encoded := encoding.EncodeToString(append(make([]byte, skip), secret...))
			spellings = append(spellings, encoded[4*min(skip, 1):len(encoded)-2])
		}
	}
	return spellings
}

// Shown fails the test when the text shows the secret, in whatever spelling.
func Shown(t testing.TB, secret, text, what string) {
	t.Helper()
	shown(t, Spellings(secret), text, func() string { return what })
}

func shown(t testing.TB, spellings []string, text string, what func() string) {
	t.Helper()
	for _, spelling := range spellings {
		if strings.Contains(text, spelling) {
			t.Errorf("%s shows the secret as %s:\n%.1000s", what(), spelling, text)
			return
		}
	}
}

// Check fails the test when any way of printing one of the values shows the secret: by
// itself, behind a pointer, in a list and in a map. Of an error, what it wraps counts too.
func Check(t testing.TB, secret string, values ...any) {
	t.Helper()
	check(t, Spellings(secret), values...)
}

func check(t testing.TB, spellings []string, values ...any) {
	t.Helper()
	for _, value := range values {
		for _, in := range []any{value, &value, []any{value}, map[string]any{"key": value}, struct{ Value any }{value}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t"} {
				shown(t, spellings, fmt.Sprintf(verb, in), func() string { return fmt.Sprintf("%T with %s", in, verb) })
			}
			shown(t, spellings, fmt.Sprint(in), func() string { return fmt.Sprintf("Sprint of %T", in) })
			text, _ := json.Marshal(in)
			shown(t, spellings, string(text), func() string { return fmt.Sprintf("%T as JSON", in) })
			var log bytes.Buffer
			slog.New(slog.NewJSONHandler(&log, nil)).Info("", "value", in)
			slog.New(slog.NewTextHandler(&log, nil)).Info("", "value", in)
			shown(t, spellings, log.String(), func() string { return fmt.Sprintf("%T in a log", in) })
		}
		switch err := value.(type) {
		case interface{ Unwrap() error }:
			if inner := err.Unwrap(); inner != nil {
				check(t, spellings, inner)
			}
		case interface{ Unwrap() []error }:
			for _, inner := range err.Unwrap() {
				check(t, spellings, inner)
			}
		}
	}
}

// CheckTypes is Check for values of all exported types of the package whose files are in
// the folder, by their names. None may be left out: one that can hold no value, such as
// an interface, has nil.
func CheckTypes(t testing.TB, dir, secret string, values map[string][]any) {
	t.Helper()
	left := map[string]bool{}
	for name := range values {
		left[name] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), dir+"/"+entry.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range exportedTypes(file) {
			samples, known := values[name]
			if !known {
				t.Errorf("the type %s has no value here that is looked at for secrets", name)
			}
			delete(left, name)
			Check(t, secret, samples...)
		}
	}
	for name := range left {
		t.Errorf("there is no type %s", name)
	}
}

func exportedTypes(file *ast.File) (names []string) {
	for _, decl := range file.Decls {
		types, ok := decl.(*ast.GenDecl)
		if !ok || types.Tok != token.TYPE {
			continue
		}
		for _, spec := range types.Specs {
			if name := spec.(*ast.TypeSpec).Name; name.IsExported() { //nolint:forcetypeassert // as the token says
				names = append(names, name.Name)
			}
		}
	}
	return names
}
