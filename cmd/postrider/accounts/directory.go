package accounts

import (
	"postrider/cmd/postrider/workspace"
	"postrider/storage"
)

// directory is what files of accounts and of aliases are checked against.
type directory struct{ *workspace.Workspace }

// Free implements accountfile.Directory.
func (d directory) Free(local, domain string) error { return free(d.Workspace, local, domain) }

// Alias implements aliasfile.Directory.
func (d directory) Alias(name string) (storage.Alias, error) { return newAlias(d.Workspace, name, nil) }

// Target implements aliasfile.Directory.
func (d directory) Target(text string) (string, error) { return aliasTarget(d.Workspace, text) }

// TakesMail implements aliasfile.Directory. A stand-in gives way to an alias.
func (d directory) TakesMail(a storage.Alias) bool {
	found, err := d.Lookup(a.Name, a.Domain)
	return err == nil && found.Account != 0 && !a.NamesItself() && !isStandIn(d.Workspace, found.Account)
}
