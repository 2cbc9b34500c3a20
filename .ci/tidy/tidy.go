// Package tidy turns the project's layout and taste into red builds: which
// package may import which, what the pure packages may not know, how long a file
// and a function may be, what is documented. `.ci/run` runs it; by hand it is
//
//	go test ./.ci/tidy
//
// Each finding says where, what, and what to do. The rules are those of the
// design: cmd -> engine -> {smtpd, pop3d, router ...} -> codec, and the store's
// contract beside them. A rule that prevents better code is changed
// here, in the same commit, with the reason.
package tidy

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A file is one parsed Go file of the module.
type file struct {
	path    string // from the top of the module, with slashes
	folder  string // of path; the package's import path after "postrider/"
	isTest  bool
	content []byte
	syntax  *ast.File
	set     *token.FileSet
}

// A finding is a broken rule.
type finding struct {
	path string
	line int // 0: the whole file
	text string
}

func (f finding) String() string {
	if f.line == 0 {
		return f.path + ": " + f.text
	}
	return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.text)
}

// check runs all rules over the module in root.
func check(root string) ([]finding, error) {
	files, err := load(root)
	if err != nil {
		return nil, err
	}
	var all []finding
	for _, f := range files {
		for _, rule := range []func(*file) []finding{imports, pure, receipts, durable, size, documented, words, english, formatted} {
			all = append(all, rule(f)...)
		}
	}
	all = append(all, packages(files)...)
	all = append(all, topLevel(root)...)
	slices.SortFunc(all, func(a, b finding) int {
		return cmp.Or(strings.Compare(a.path, b.path), a.line-b.line)
	})
	return all, nil
}

// load parses every Go file that isn't under a dot folder or testdata, and this
// package.
func load(root string) (files []*file, err error) {
	set := token.NewFileSet()
	err = filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && p != root && (strings.HasPrefix(name, ".") && name != ".ci" || name == "out" || name == "testdata") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		f, err := parse(set, filepath.ToSlash(relative), content)
		files = append(files, f)
		return err
	})
	return files, err
}

func parse(set *token.FileSet, name string, content []byte) (*file, error) {
	syntax, err := parser.ParseFile(set, name, content, parser.ParseComments)
	return &file{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), content, syntax, set}, err
}

// at makes a finding at a place in f.
func (f *file) at(pos token.Pos, format string, args ...any) finding {
	return finding{f.path, f.set.Position(pos).Line, fmt.Sprintf(format, args...)}
}

// imported lists the import paths of f with their places.
func (f *file) imported() map[string]token.Pos {
	paths := make(map[string]token.Pos)
	for _, spec := range f.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths[p] = spec.Pos()
		}
	}
	return paths
}

// in says whether folder is one of rooms or lies under one.
func in(folder string, rooms ...string) bool {
	for _, room := range rooms {
		if folder == room || strings.HasPrefix(folder, room+"/") {
			return true
		}
	}
	return false
}

func formatted(f *file) []finding {
	want, err := format.Source(f.content)
	if err != nil || bytes.Equal(want, f.content) {
		return nil
	}
	return []finding{{f.path, 0, "isn't formatted: run gofmt -w"}}
}
