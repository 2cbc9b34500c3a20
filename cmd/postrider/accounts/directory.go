package accounts

import (
	"errors"
	"fmt"
	"strings"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// directory is what accounts and aliases are checked against before they are made.
type directory struct{ *workspace.Workspace }

// Free implements accountfile.Directory: it reports why no account can be made under the
// name; nil: one can.
func (d directory) Free(local, domain string) error {
	if !d.HostsDomain(domain) {
		return sysexits.NoUser.With(fmt.Errorf("the domain %s is not ours: add it with \"postrider domain add %s\"", domain, domain))
	}
	found, err := d.Lookup(local, domain)
	alias := storage.Alias{Name: local, Domain: domain, Targets: found.Targets}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		return err
	case found.Account != 0:
		return sysexits.CantCreate.With(fmt.Errorf("the account %s exists already (\"postrider account passwd\" changes its password)", router.Mailbox(local, domain)))
	case alias.NamesItself(): // the account gets a copy
		return nil
	}
	return sysexits.CantCreate.With(fmt.Errorf("%s is an alias: remove it first, or add the address to its targets, to keep a copy there", router.Mailbox(local, domain)))
}

// Alias implements aliasfile.Directory. "@DOMAIN" is the catch-all.
func (d directory) Alias(name string) (storage.Alias, error) {
	local, domain, err := router.ParseAddress(name, d.Config.DefaultDomain())
	if err != nil {
		return storage.Alias{}, sysexits.Usage.With(err)
	}
	if !d.HostsDomain(domain) {
		return storage.Alias{}, sysexits.NoUser.With(fmt.Errorf("the domain %s is not ours: add it with \"postrider domain add %s\"", domain, domain))
	}
	return storage.Alias{Name: local, Domain: domain}, nil
}

// Target implements aliasfile.Directory: an address, here or elsewhere. "\name" is name.
func (d directory) Target(text string) (string, error) {
	text = strings.TrimPrefix(strings.TrimSpace(text), `\`)
	local, domain, err := router.ParseMailbox(text, d.Config.DefaultDomain())
	if err == nil && d.HostsDomain(domain) {
		local, domain, err = router.ParseAddress(text, d.Config.DefaultDomain())
	}
	if err == nil && local == "" {
		err = fmt.Errorf("%q has no name before the @", text)
	}
	if err != nil {
		return "", sysexits.Usage.With(err)
	}
	return router.Mailbox(local, domain), nil
}

// TakesMail implements aliasfile.Directory. An alias replaces a placeholder.
func (d directory) TakesMail(a storage.Alias) bool {
	found, err := d.Lookup(a.Name, a.Domain)
	return err == nil && found.Account != 0 && !a.NamesItself() && !isPlaceholder(d.Workspace, found.Account)
}
