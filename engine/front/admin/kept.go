package admin

import (
	"net/http"
	"strconv"
	"time"

	"postrider/storage"
)

type (
	undeleteArg struct {
		ID       storage.AccountID
		Messages []storage.MessageID
	}
	restoreArg struct {
		ID           storage.AccountID
		Name, Domain string
	}
)

// keptRoutes adds what is about deleted mail and removed accounts.
func keptRoutes(mux *http.ServeMux, s Store) {
	stream(mux, "deleted", func(id storage.AccountID, f func(*storage.DeletedMessage) bool) error {
		return s.Deleted(id, func(d storage.DeletedMessage) bool { return f(&d) })
	})
	stream(mux, "removed-accounts", func(_ none, f func(*storage.RemovedAccount) bool) error {
		return s.RemovedAccounts(func(a storage.RemovedAccount) bool { return f(&a) })
	})
	method(mux, "undelete", func(a undeleteArg) ([]storage.Undeleted, error) { return s.Undelete(a.ID, a.Messages) })
	method(mux, "restore-account", func(a restoreArg) (none, error) { return none{}, s.RestoreAccount(a.ID, a.Name, a.Domain) })
	method(mux, "purge-account", func(id storage.AccountID) (none, error) { return none{}, s.PurgeAccount(id) })
}

// Deleted implements storage.Keeper: the messages are read as they come.
func (c *Client) Deleted(account storage.AccountID, f func(storage.DeletedMessage) bool) error {
	return streamed(c, "deleted", account, func(d *storage.DeletedMessage) bool { return f(*d) })
}

// Undelete implements storage.Keeper.
func (c *Client) Undelete(account storage.AccountID, ids []storage.MessageID) (all []storage.Undeleted, err error) {
	return all, c.ask("undelete", undeleteArg{account, ids}, &all)
}

// RemovedAccounts implements storage.Keeper: they are read as they come.
func (c *Client) RemovedAccounts(f func(storage.RemovedAccount) bool) error {
	return streamed(c, "removed-accounts", none{}, func(a *storage.RemovedAccount) bool { return f(*a) })
}

// RestoreAccount implements storage.Keeper.
func (c *Client) RestoreAccount(id storage.AccountID, name, domain string) error {
	return c.ask("restore-account", restoreArg{id, name, domain}, new(none))
}

// PurgeAccount implements storage.Keeper.
func (c *Client) PurgeAccount(id storage.AccountID) error {
	return c.ask("purge-account", id, new(none))
}

// Undelete implements Store.
func (a *audited) Undelete(id storage.AccountID, ids []storage.MessageID) ([]storage.Undeleted, error) {
	all, err := a.Store.Undelete(id, ids)
	var back []storage.MessageID
	for _, u := range all {
		if !u.There {
			back = append(back, u.ID)
		}
	}
	if len(back) > 0 {
		a.did(nil, "messages undeleted", "account", a.name(id), "messages", len(back))
		a.history.AddUndeleted(back, a.name(id), a.by)
	}
	return all, err
}

// RestoreAccount implements Store.
func (a *audited) RestoreAccount(id storage.AccountID, name, domain string) error {
	err := a.Store.RestoreAccount(id, name, domain)
	messages, octets, _ := a.Usage(id)
	a.did(err, "account undeleted", "account", name+"@"+domain, "messages", messages, "size", octets)
	return err
}

// PurgeAccount implements Store.
func (a *audited) PurgeAccount(id storage.AccountID) error {
	name := a.name(id)
	messages, octets, _ := a.Usage(id)
	_ = a.RemovedAccounts(func(r storage.RemovedAccount) bool {
		if r.ID == id {
			name, messages, octets = r.Name+"@"+r.Domain, r.Holds.Messages, r.Holds.Octets
		}
		return r.ID != id
	})
	err := a.Store.PurgeAccount(id)
	a.did(err, "account purged", "account", name, "messages", messages, "size", octets)
	return err
}

// expireWord is an account's Expire for the log.
func expireWord(d time.Duration) string {
	switch d {
	case 0:
		return "default"
	case storage.NeverExpire:
		return "never"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}
