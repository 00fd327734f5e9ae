// Typecheck checks that packages compile for other platforms, tests included,
// without compiling them and all that they import, which takes minutes:
//
//	typecheck linux/arm64,windows/amd64 ./...
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	here, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	failed := false
	for platform := range strings.SplitSeq(os.Args[1], ",") {
		for _, err := range check(here, platform, os.Args[2:]) {
			fmt.Fprintf(os.Stderr, "%s: %v\n", platform, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// check returns the errors of the packages on the platform. It skips the function
// bodies of packages from elsewhere.
func check(here, platform string, patterns []string) (errs []error) {
	system, processor, _ := strings.Cut(platform, "/")
	inside := func(file string) bool { return strings.HasPrefix(file, here+string(filepath.Separator)) }
	config := &packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedDeps | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedTypesSizes,
		Tests: true,
		Env:   append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0", "GOFLAGS="),
		ParseFile: func(set *token.FileSet, name string, text []byte) (*ast.File, error) {
			file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
			if file != nil && !inside(name) {
				for _, declaration := range file.Decls {
					if function, ok := declaration.(*ast.FuncDecl); ok {
						function.Body = nil
					}
				}
			}
			return file, err
		},
	}
	loaded, err := packages.Load(config, patterns...)
	if err != nil {
		return []error{err}
	}
	for _, p := range loaded {
		if strings.HasSuffix(p.ID, ".test") {
			continue // a main package that go test makes
		}
		for _, err := range p.Errors {
			errs = append(errs, err)
		}
	}
	return errs
}
