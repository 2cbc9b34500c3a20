package accounts

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"postrider/cmd/postrider/accounts/accountfile"
	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/engine/admit/password"
	"postrider/engine/front/admin"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// directory is what accounts and aliases are checked against before they are made.
type directory struct {
	*workspace.Workspace
	rules   *password.Rules   // for passwords; nil where none is given
	aliases map[string]string // domain aliases and what they lead to; nil: the store is asked
}

// withAliases is a directory that asks the store for the domain aliases once.
func withAliases(ws *workspace.Workspace, rules *password.Rules) directory {
	d := directory{ws, rules, make(map[string]string)}
	for _, domain := range ws.DomainSettings() {
		if domain.AliasOf != "" {
			d.aliases[domain.Name] = domain.AliasOf
		}
	}
	return d
}

// ParseName implements accountfile.Directory.
func (d directory) ParseName(text string) (local, domain string, err error) {
	if d.aliases == nil {
		return d.Workspace.ParseName(text)
	}
	if local, domain, err = workspace.ParseName(text, d.Config.DefaultDomain()); err == nil {
		domain = cmp.Or(d.aliases[domain], domain)
	}
	return local, domain, err
}

// rulesOf are the rules for new passwords.
func rulesOf(ws *workspace.Workspace) (*password.Rules, error) {
	rules := &password.Rules{MinLength: ws.Config.Auth.MinPassword}
	path := ws.Config.Auth.RefusedPasswords
	if path == "" {
		return rules, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, sysexits.NoInput.With(fmt.Errorf("auth.refused_passwords: %w", err))
	}
	defer f.Close()
	if rules.Refused, err = password.ReadRefused(f); err != nil {
		return nil, sysexits.IOErr.With(fmt.Errorf("auth.refused_passwords: %s: %w", path, err))
	}
	return rules, nil
}

// Accepts implements accountfile.Directory.
func (d directory) Accepts(word []byte, local, domain string) error {
	return d.rules.Check(word, local, domain)
}

// Free implements accountfile.Directory. A running server is asked for all names at once.
func (d directory) Free(accounts []accountfile.Account) ([]error, error) {
	found, err := d.lookupAll(accounts)
	if err != nil {
		return nil, err
	}
	taken := make([]error, len(accounts))
	for i := range found {
		taken[i] = whyTaken(accounts[i].New.Name, accounts[i].New.Domain, found[i])
	}
	return taken, nil
}

func (d directory) lookupAll(accounts []accountfile.Account) ([]admin.Found, error) {
	names := make([]admin.Name, len(accounts))
	for i, a := range accounts {
		names[i] = admin.Name{Local: a.New.Name, Domain: a.New.Domain}
	}
	if server := d.Running(); server != nil {
		return server.LookupAll(names)
	}
	return admin.LookupAll(d.Store, names)
}

// mayMake reports why no account can be made under a name; nil: one can.
func (d directory) mayMake(local, domain string) error {
	one := []accountfile.Account{{New: storage.NewAccount{Name: local, Domain: domain}}}
	taken, err := d.Free(one)
	if err != nil {
		return err
	}
	return taken[0]
}

// whyTaken says why no account can be made under a name where that was found; nil: one can.
func whyTaken(local, domain string, found admin.Found) error {
	alias := storage.Alias{Name: local, Domain: domain, Targets: found.Targets}
	switch {
	case !found.Hosted:
		return sysexits.NoUser.With(fmt.Errorf("the domain %s is not ours: add it with \"postrider domain add %s\"", domain, domain))
	case !found.There:
		return nil
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
	return storage.Alias{Name: local, Domain: cmp.Or(d.DomainAlias(domain), domain)}, nil
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
