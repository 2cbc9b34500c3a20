package lsm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"postrider/codec/address"
	"postrider/storage"
)

// ChangeAccount implements storage.Directory.
func (s *Store) ChangeAccount(id storage.AccountID, change storage.AccountChange) error {
	var was, is storage.Account
	var old storage.Address
	var targets []string // the alias that has the new name
	var used counter
	return s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) (err error) {
			if was, err = s.Account(id); err != nil {
				return err
			}
			if is, err = changed(was, change); err != nil {
				return err
			}
			if old, err = s.Lookup(was.Name, was.Domain); err != nil {
				return err
			}
			targets = old.Targets
			if is.Name != was.Name || is.Domain != was.Domain {
				if targets, err = s.mayAdd(is.Name, is.Domain); err != nil {
					return err
				}
				if used, err = s.counter(id); err != nil {
					return err
				}
				if len(old.Targets) > 0 {
					setAddress(b, was.Name, was.Domain, addressValue{targets: old.Targets})
				} else {
					_ = b.Delete(addressKey(was.Name, was.Domain), nil)
				}
				setAddress(b, is.Name, is.Domain, addressValue{id, targets})
			}
			setAccount(b, &is)
			return nil
		},
		applied: func() {
			s.dir.mu.Lock()
			defer s.dir.mu.Unlock()
			is.LastLogin = timeOf(s.dir.recordOf(id).number(3)) // it may have come since
			s.dir.remove(was.Name, was.Domain)
			if is.Name != was.Name || is.Domain != was.Domain {
				s.dir.setTargets(was.Name, was.Domain, old.Targets)
				s.dir.remove(is.Name, is.Domain)
			}
			s.dir.insert(is.Name, is.Domain, id, accountRest(&is, targets))
			s.dir.move(was.Domain, is.Domain, used)
			s.dir.changes.Add(1)
		},
	})
}

// changed is an account after a change, if it can be stored.
func changed(a storage.Account, c storage.AccountChange) (storage.Account, error) {
	set(&a.Name, c.Name)
	set(&a.Domain, c.Domain)
	set(&a.Quota, c.Quota)
	set(&a.MaxMessages, c.MaxMessages)
	set(&a.Access, c.Access)
	set(&a.Expire, c.Expire)
	if a.Access > storage.NoMail {
		return a, fmt.Errorf("%w: access %d", storage.ErrInvalid, a.Access)
	}
	if a.Expire != 0 && a.Expire != storage.NeverExpire &&
		(a.Expire < storage.LeastExpire || a.Expire > storage.MaxExpire || a.Expire%storage.LeastExpire != 0) {
		return a, fmt.Errorf("%w: mail can't expire after %v: expected whole days", storage.ErrInvalid, a.Expire)
	}
	if c.Name == nil && c.Domain == nil {
		return a, checkLimits(a.Quota, a.MaxMessages)
	}
	return a, checkAccount(&storage.NewAccount{Name: a.Name, Domain: a.Domain, Quota: a.Quota, MaxMessages: a.MaxMessages})
}

func set[T any](p *T, to *T) {
	if to != nil {
		*p = *to
	}
}

func checkLimits(octets, messages int64) error {
	if octets < 0 || messages < 0 {
		return fmt.Errorf("%w: a negative quota", storage.ErrInvalid)
	}
	return nil
}

// DomainAlias implements storage.Directory.
func (s *Store) DomainAlias(domain string) string {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	return s.dir.aliases[domain]
}

// AddDomainAlias implements storage.Directory.
func (s *Store) AddDomainAlias(domain, of string) error {
	if err := checkName("domain", domain, maxDomain, address.FoldDomain); err != nil {
		return err
	}
	return s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) error {
			s.dir.mu.RLock()
			defer s.dir.mu.RUnlock()
			if s.dir.domains[of] == nil {
				return fmt.Errorf("%w: domain %s", storage.ErrNotFound, of)
			}
			if s.dir.domains[domain] != nil || s.dir.aliases[domain] != "" {
				return fmt.Errorf("%w: domain %s", storage.ErrExists, domain)
			}
			return b.Set(domainKey(domain), appendDomain(nil, storage.Domain{AliasOf: of}), nil)
		},
		applied: func() {
			s.dir.mu.Lock()
			defer s.dir.mu.Unlock()
			s.dir.addAlias(domain, of)
		},
	})
}

// addAlias makes a domain alias known. Call it with mu held.
func (d *directory) addAlias(domain, of string) {
	d.aliases[domain] = of
	d.domains[of].aliases++
}

// removeDomain forgets a domain or a domain alias. Call it with mu held.
func (d *directory) removeDomain(name string) {
	if of := d.aliases[name]; of != "" {
		delete(d.aliases, name)
		d.domains[of].aliases--
		return
	}
	d.setQuota(name, storage.Quota{})
	delete(d.domains, name)
}

// DomainSettings implements storage.Directory.
func (s *Store) DomainSettings() []storage.Domain {
	s.dir.mu.RLock()
	all := make([]storage.Domain, 0, len(s.dir.domains)+len(s.dir.aliases))
	for name, d := range s.dir.domains {
		all = append(all, storage.Domain{Name: name, Quota: d.quota})
	}
	for name, of := range s.dir.aliases {
		all = append(all, storage.Domain{Name: name, AliasOf: of})
	}
	s.dir.mu.RUnlock()
	slices.SortFunc(all, func(a, b storage.Domain) int { return strings.Compare(a.Name, b.Name) })
	return all
}
