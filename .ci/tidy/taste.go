package tidy

import (
	"bytes"
	"fmt"
	"go/ast"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	longFile     = 500 // lines; over it, the first lines say why the file is one idea
	longFunction = 100 // lines; about a screen and a half
)

// clocksAndGoroutines finds reads of the clock, and go statements.
func clocksAndGoroutines(f *file) (found []finding) {
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, f.at(n.Pos(), "starts a goroutine: a pure package doesn't"))
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "NewTimer", "Sleep", "Tick"}, n.Sel.Name) {
				found = append(found, f.at(n.Pos(), "reads the clock with time.%s: hand the time in", n.Sel.Name))
			}
		}
		return true
	})
	return found
}

// receipts: the proof that a message is durable is made in one place.
func receipts(f *file) (found []finding) {
	// engine/front/admin hands on the receipt of the store at the other end of its socket;
	// shelltest has a queue in memory, for tests.
	if f.isTest || in(f.folder, "storage/lsm", "storage/storetest", "engine/front/admin", "cmd/postrider/shelltest", ".ci") {
		return nil
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "NewReceipt" {
			found = append(found, f.at(n.Pos(), "calls NewReceipt: only a store's commit path may, after its sync"))
		}
		return true
	})
	return found
}

// size bounds files and functions. Tests may be longer.
func size(f *file) (found []finding) {
	lines := bytes.Count(f.content, []byte("\n"))
	opening := bytes.SplitAfterN(f.content, []byte("\n"), 21)
	head := bytes.ToLower(bytes.Join(opening[:min(20, len(opening))], nil))
	if lines > longFile && !f.isTest && !bytes.Contains(head, []byte("one idea")) {
		found = append(found, finding{f.path, 0, fmt.Sprintf("has %d lines, over %d: split it, or say in its first lines why it is one idea", lines, longFile)})
	}
	for _, decl := range f.syntax.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || f.isTest {
			continue
		}
		length := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1
		if length > longFunction {
			found = append(found, f.at(fn.Pos(), "function %s has %d lines, over %d: split it at its ideas", fn.Name.Name, length, longFunction))
		}
	}
	return found
}

// documented wants a doc comment on every exported name of a package that others
// import.
func documented(f *file) (found []finding) {
	if f.isTest || f.syntax.Name.Name == "main" {
		return nil
	}
	missing := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if name.IsExported() && !slices.ContainsFunc(docs, func(c *ast.CommentGroup) bool { return c != nil }) {
			found = append(found, f.at(name.Pos(), "exported %s has no doc comment: say what it is, its units, who owns what", name.Name))
		}
	}
	for _, decl := range f.syntax.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if isExportedReceiver(d) && !isWellKnown(d) {
				missing(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					missing(s.Name, d.Doc, s.Doc, s.Comment)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						missing(name, d.Doc, s.Doc, s.Comment)
					}
				}
			}
		}
	}
	return found
}

// isExportedReceiver says whether a function, or the type it is a method of, can
// be seen from outside.
func isExportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	name, ok := t.(*ast.Ident)
	return ok && name.IsExported()
}

// isWellKnown: these methods mean what they mean everywhere.
func isWellKnown(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{"Error", "String", "Unwrap", "Is", "Len", "Less", "Swap", "Write", "Read", "Close"}, d.Name.Name)
}

// unwanted are words that don't belong into a finished tree.
var unwanted = []struct {
	form *regexp.Regexp
	why  string
}{
	{regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`), "finish it, or file an issue"},
	{regexp.MustCompile(`(?i)not (yet )?implemented`), "build it, or leave it out"},
	{regexp.MustCompile(`/(work|tmp|home|root)/[a-z]`), "a path of one machine; take it from an argument or os.MkdirTemp"},
}

func words(f *file) (found []finding) {
	if in(f.folder, ".ci") {
		return nil
	}
	for i, line := range bytes.Split(f.content, []byte("\n")) {
		for _, rule := range unwanted {
			// "Command not implemented" is what RFC 5321 section 4.2.4 calls a 502.
			if word := rule.form.Find(line); word != nil && !bytes.Contains(line, []byte("502")) {
				found = append(found, finding{f.path, i + 1, fmt.Sprintf("%q: %s", word, rule.why)})
			}
		}
	}
	return found
}

// banned are names that say nothing.
var banned = []string{"util", "utils", "common", "helper", "helpers", "manager", "types", "misc", "base", "shared"}

// packages wants each package to have a telling name and a comment that says
// what it is.
func packages(files []*file) (found []finding) {
	has, first := make(map[string]bool), make(map[string]*file)
	for _, f := range files {
		if slices.Contains(banned, strings.TrimSuffix(f.syntax.Name.Name, "_test")) || slices.Contains(banned, path.Base(f.folder)) {
			found = append(found, f.at(f.syntax.Name.Pos(), "package %s: name it for what it is about", f.syntax.Name.Name))
		}
		if first[f.folder] == nil {
			first[f.folder] = f
		}
		has[f.folder] = has[f.folder] || f.syntax.Doc != nil
	}
	for folder, f := range first {
		if !has[folder] {
			found = append(found, finding{f.path, 0, fmt.Sprintf("package %s has no comment in any file: write its manual page (doc.go)", f.syntax.Name.Name)})
		}
	}
	return found
}

// rooms are the entries that the top of the tree may have beside dot files.
var rooms = []string{"bench", "cmd", "codec", "engine", "go.mod", "go.sum", "README.md", "storage"}

// topLevel keeps the top of the tree a table of contents. What git ignores (the
// built program, the data of a trial run) is listed here too.
func topLevel(root string) (found []finding) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return []finding{{root, 0, err.Error()}}
	}
	ignored := []string{"postrider", "postbench", "postrider-data"}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, ".") && !slices.Contains(rooms, name) && !slices.Contains(ignored, name) {
			found = append(found, finding{name, 0, "doesn't belong at the top; the rooms are " + strings.Join(rooms, " ")})
		}
	}
	return found
}
