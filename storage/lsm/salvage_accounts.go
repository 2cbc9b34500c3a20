package lsm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"postrider/storage"
)

// lostAndFound is the account that gets the bodies without an owner.
const lostAndFound = "lost-and-found"

// directory writes the domains, accounts and aliases.
func (s *salvage) directory() error {
	if err := s.domainRows(); err != nil {
		return err
	}
	for _, r := range s.set.Under(string(tagDoomed)) {
		if len(r.Key) == accountKeyLen {
			s.doomed[accountOfKey([]byte(r.Key))] = true
		}
	}
	rows := s.set.Under(string(tagAccount))
	for i := range rows {
		if len(rows[i].Key) != accountKeyLen {
			continue
		}
		id := accountOfKey([]byte(rows[i].Key))
		v, err := s.set.Value(&rows[i])
		var a storage.Account
		if err == nil {
			a, err = parseAccount(id, v)
		}
		if err != nil {
			s.lose(id, 0, "the account's row can't be read")
			continue
		}
		s.accounts[id] = a
		if err := s.put([]byte(rows[i].Key), v); err != nil {
			return err
		}
	}
	if err := s.removedAccounts(); err != nil {
		return err
	}
	if err := s.addresses(); err != nil {
		return err
	}
	return s.unnamed()
}

// domainRows writes the domains, with their quotas, and then the domain aliases.
func (s *salvage) domainRows() error {
	var aliases []storage.Domain
	rows := s.set.Under(string(tagDomain))
	for i := range rows {
		name := rows[i].Key[1:]
		v, err := s.set.Value(&rows[i])
		var d storage.Domain
		if err == nil {
			d, err = parseDomain(name, v)
		}
		switch {
		case err != nil:
			s.lose(0, 0, "the row of the domain %s can't be read: it has no quota, and is no alias, until you set it", name)
			d = storage.Domain{Name: name}
		case d.AliasOf != "":
			aliases = append(aliases, d)
			continue
		}
		if err := s.writeDomain(d); err != nil {
			return err
		}
	}
	for _, d := range aliases {
		if err := s.domain(d.AliasOf); err != nil {
			return err
		}
		if err := s.writeDomain(d); err != nil {
			return err
		}
	}
	return nil
}

// domain writes a domain that has no row, once.
func (s *salvage) domain(name string) error {
	if _, there := s.domains[name]; there || name == "" {
		return nil
	}
	return s.writeDomain(storage.Domain{Name: name})
}

func (s *salvage) writeDomain(d storage.Domain) error {
	s.domains[d.Name] = d.AliasOf == ""
	return s.put(domainKey(d.Name), appendDomain(nil, d))
}

// addresses writes the A rows. One that leads to an account without a row makes it
// again, without a password.
func (s *salvage) addresses() error {
	rows := s.set.Under(string(tagAddress))
	for i := range rows {
		domain, local, ok := strings.Cut(rows[i].Key[1:], "\x00")
		v, err := s.set.Value(&rows[i])
		var to addressValue
		if err == nil {
			to, err = parseAddress(v)
		}
		if err != nil || !ok {
			s.lose(0, 0, "the row of the address %s@%s can't be read", local, domain)
			continue
		}
		a, there := s.accounts[to.account]
		switch {
		case to.account == 0:
		case !there:
			s.lose(to.account, 0, "the row of account %s@%s is lost: it has no password and no quota until you set them", local, domain)
			a = storage.Account{ID: to.account, Name: local, Domain: domain, Created: time.Now()}
			if err := s.account(a); err != nil {
				return err
			}
		case a.Name != local || a.Domain != domain:
			continue // an older address of it
		}
		if err := s.domain(domain); err != nil {
			return err
		}
		s.names[[2]string{local, domain}] = true
		if err := s.put([]byte(rows[i].Key), v); err != nil {
			return err
		}
	}
	return nil
}

// account writes an account that has no row.
func (s *salvage) account(a storage.Account) error {
	s.accounts[a.ID] = a
	var k [accountKeyLen]byte
	return s.put(putAccountKey(&k, tagAccount, a.ID), appendAccount(nil, &a))
}

// unnamed gives the accounts without an address one.
func (s *salvage) unnamed() error {
	for _, id := range slices.Sorted(maps.Keys(s.accounts)) {
		a := s.accounts[id]
		s.result.Accounts++
		if s.names[[2]string{a.Name, a.Domain}] {
			continue
		}
		s.lose(id, 0, "the address of account %s@%s is lost: it was made again, without an alias of its name", a.Name, a.Domain)
		if err := s.address(a); err != nil {
			return err
		}
	}
	return nil
}

// address writes the address of an account.
func (s *salvage) address(a storage.Account) error {
	if err := s.domain(a.Domain); err != nil {
		return err
	}
	s.names[[2]string{a.Name, a.Domain}] = true
	v := addressValue{account: a.ID}
	return s.put(addressKey(a.Name, a.Domain), v.row())
}

// invent makes an account under a name that is free.
func (s *salvage) invent(id storage.AccountID, name string) error {
	domain := "localhost"
	for _, name := range slices.Sorted(maps.Keys(s.domains)) {
		if s.domains[name] {
			domain = name
			break
		}
	}
	free := name
	for n := 2; s.names[[2]string{free, domain}]; n++ {
		free = fmt.Sprintf("%s.%d", name, n)
	}
	a := storage.Account{ID: id, Name: free, Domain: domain, Created: time.Now()}
	if err := s.account(a); err != nil {
		return err
	}
	s.result.Accounts++
	return s.address(a)
}

// owned makes sure that a maildrop has an account; false: its account is being removed.
func (s *salvage) owned(id storage.AccountID) (bool, error) {
	if _, ok := s.accounts[id]; ok || s.removed[id] {
		return true, nil
	}
	if s.doomed[id] {
		return false, nil
	}
	name := fmt.Sprintf("lost-%d", id)
	s.lose(id, 0, "the name and the password of the account are lost: its mail is in the account %s", name)
	return true, s.invent(id, name)
}
