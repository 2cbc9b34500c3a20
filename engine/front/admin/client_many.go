package admin

import (
	"fmt"

	"postrider/storage"
)

// What a command asks about many names at once: a request for each would take minutes.

// Name is an address, folded.
type Name struct{ Local, Domain string }

// Found is what LookupAll has found under a name.
type Found struct {
	storage.Address
	There  bool // something is stored under the name
	Hosted bool // its domain is ours
}

// lookupStep is how many names go in one request of LookupAll.
const lookupStep = 10_000

// LookupAll is Lookup and HostsDomain for many names, in the order of the names.
func (c *Client) LookupAll(names []Name) ([]Found, error) {
	all := make([]Found, 0, len(names))
	for len(names) > 0 {
		n := min(len(names), lookupStep)
		var found []Found
		if err := c.ask("lookup-all", names[:n], &found); err != nil {
			return nil, err
		}
		if len(found) != n {
			return nil, c.gone(fmt.Errorf("%d answers for %d names", len(found), n))
		}
		all, names = append(all, found...), names[n:]
	}
	return all, nil
}

// Usages is Usage of many accounts; zero for accounts that are gone.
func (c *Client) Usages(ids []storage.AccountID) ([]storage.Quota, error) {
	all := make([]storage.Quota, 0, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), lookupStep)
		var used []storage.Quota
		if err := c.ask("usages", ids[:n], &used); err != nil {
			return nil, err
		}
		if len(used) != n {
			return nil, c.gone(fmt.Errorf("%d answers for %d accounts", len(used), n))
		}
		all, ids = append(all, used...), ids[n:]
	}
	return all, nil
}
