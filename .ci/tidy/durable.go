package tidy

import (
	"go/ast"
	"slices"
)

// shortLived are the folders whose files no promise rests on: what tests and loads make,
// uploads of the web client, copies of what is damaged, files of uudecode, manual pages.
var shortLived = []string{"bench", "cmd/postbench", "cmd/postrider/manual", "cmd/postrider/shelltest", "cmd/postrider/uu", "engine/front/web", "engine/host/perms"}

// durable: a directory that is made, and a file that is renamed, are lost by a power cut until
// the directory that they are in is synced.
func durable(f *file) (found []finding) {
	store := in(f.folder, "storage/lsm")
	if f.isTest || in(f.folder, append(shortLived, "engine/host/disk", ".ci")...) || f.path == "storage/lsm/syncdir.go" {
		return nil
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, _ := s.X.(*ast.Ident)
		switch {
		case store && s.Sel.Name == "MkdirAll":
			found = append(found, f.at(n.Pos(), "calls MkdirAll: MakeDirs syncs the parents too"))
		case !store && x != nil && x.Name == "os" && slices.Contains([]string{"MkdirAll", "Rename"}, s.Sel.Name):
			found = append(found, f.at(n.Pos(), "calls os.%s: a power cut may take away what it made; use package engine/host/disk", s.Sel.Name))
		}
		return true
	})
	return found
}
