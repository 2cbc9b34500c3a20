package workspace

import (
	"fmt"

	"postrider/engine/mail/router"
	"postrider/storage"
)

// Roster is a copy of the directory, for commands that look at all aliases: one that
// asks a running server for each name would take too long.
type Roster struct {
	storage.Directory                   // the methods that change it are not called
	domains           map[string]string // our domains; of domain aliases what they lead to
	names             map[[2]string]storage.Address
	first             storage.Account // by domain and name
	List              []storage.Alias // all aliases
	Router            *router.Router  // over the copy
}

// HostsDomain implements storage.Directory.
func (r *Roster) HostsDomain(domain string) bool { _, ok := r.domains[domain]; return ok }

// DomainAlias implements storage.Directory.
func (r *Roster) DomainAlias(domain string) string { return r.domains[domain] }

// Lookup implements storage.Directory.
func (r *Roster) Lookup(local, domain string) (storage.Address, error) {
	a, ok := r.names[[2]string{local, domain}]
	if !ok {
		return a, storage.ErrNotFound
	}
	return a, nil
}

// Accounts implements storage.Directory as far as the router needs it.
func (r *Roster) Accounts(f func(storage.Account) bool) error {
	if r.first.ID != 0 {
		f(r.first)
	}
	return nil
}

// NewRoster copies the directory.
func NewRoster(ws *Workspace) (*Roster, error) {
	r := &Roster{domains: make(map[string]string), names: make(map[[2]string]storage.Address)}
	for _, d := range ws.DomainSettings() {
		r.domains[d.Name] = d.AliasOf
	}
	err := ws.Accounts(func(a storage.Account) bool {
		if r.first.ID == 0 {
			r.first = a
		}
		r.names[[2]string{a.Name, a.Domain}] = storage.Address{Account: a.ID}
		return true
	})
	if err != nil {
		return nil, err
	}
	err = ws.Aliases(func(a storage.Alias) bool {
		key := [2]string{a.Name, a.Domain}
		r.names[key] = storage.Address{Account: r.names[key].Account, Targets: a.Targets}
		r.List = append(r.List, a)
		return true
	})
	r.Router = router.New(r, ws.Config.RouterSettings())
	return r, err
}

// DeadWords words the targets of an alias that lead to no mailbox.
func DeadWords(a storage.Alias, dead []router.Dead) (words []string) {
	own := router.Mailbox(a.Name, a.Domain)
	for _, m := range dead {
		switch {
		case m.Outcome == router.Loop && m.Mailbox == own:
			words = append(words, fmt.Sprintf("the alias %s leads in a circle, or to more than %d addresses: its mail is refused", AliasName(a), router.MaxExpansion))
		case m.Outcome == router.Loop:
			words = append(words, fmt.Sprintf("the alias %s leads to %s, which leads in a circle: its copy is returned to the sender", AliasName(a), m.Mailbox))
		case m.Mailbox == own:
			words = append(words, fmt.Sprintf("the alias %s names itself, and no account has that name: no copy is kept", AliasName(a)))
		default:
			words = append(words, fmt.Sprintf("the alias %s leads to %s, which does not exist: its copy is returned to the sender", AliasName(a), m.Mailbox))
		}
	}
	return words
}

// AliasName writes the address of an alias; a catch-all is @DOMAIN.
func AliasName(a storage.Alias) string {
	if a.Name == "" {
		return "@" + a.Domain
	}
	return router.Mailbox(a.Name, a.Domain)
}
