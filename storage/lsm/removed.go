package lsm

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// RemoveAccount implements storage.Directory.
func (s *Store) RemoveAccount(id storage.AccountID) error {
	return s.removeAccount(id, s.retention.removed.Load() > 0)
}

// PurgeAccount implements storage.Keeper.
func (s *Store) PurgeAccount(id storage.AccountID) error {
	err := s.removeAccount(id, false)
	if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if _, err := s.doom(id); err != nil {
		return err
	}
	return s.clearAll(id)
}

// removeAccount takes an account out of the directory, so that nothing is delivered to it
// any more. keep: a Y row has it, and its mail stays. Otherwise a Z row has it; then its
// mail goes in steps of bounded size, the last of which takes the Z row. A start finishes
// what a crash cut off.
//
// A session that holds the maildrop loses it: else a connected client would keep the
// account for ever, and it may be removed because that client has stolen the password.
func (s *Store) removeAccount(id storage.AccountID, keep bool) error {
	lock, err := s.seize(id)
	if err != nil {
		return err
	}
	defer lock.Release()
	var r removedAccount
	var found storage.Address
	var used counter
	err = s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) (err error) {
			a := &r.account
			if *a, err = s.Account(id); err != nil {
				return err
			}
			if found, err = s.Lookup(a.Name, a.Domain); err != nil {
				return err
			}
			if used, err = s.counter(id); err != nil {
				return err
			}
			var k [accountKeyLen]byte
			if len(found.Targets) > 0 {
				setAddress(b, a.Name, a.Domain, addressValue{targets: found.Targets})
			} else {
				_ = b.Delete(addressKey(a.Name, a.Domain), nil)
			}
			_ = b.Delete(putAccountKey(&k, tagAccount, id), nil)
			_ = b.Delete(putAccountKey(&k, tagLogin, id), nil)
			if !keep {
				return b.Set(putAccountKey(&k, tagDoomed, id), nil, nil)
			}
			r.at = s.stamps.next()
			return b.Set(putAccountKey(&k, tagRemoved, id), r.row(), nil)
		},
		applied: func() {
			a := &r.account
			s.dir.mu.Lock()
			defer s.dir.mu.Unlock()
			s.dir.remove(a.Name, a.Domain)
			s.dir.setTargets(a.Name, a.Domain, found.Targets)
			s.dir.move(a.Domain, "", used)
			if keep {
				s.dir.removed[id] = r.at
				s.removedHold.add(used)
			}
			s.dir.changes.Add(1)
		},
	})
	if err != nil {
		return err
	}
	s.listings.drop(id)
	if keep {
		return nil
	}
	return s.clearAll(id)
}

// isRemoved reports whether an account was removed and is kept.
func (d *directory) isRemoved(id storage.AccountID) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, ok := d.removed[id]
	return ok
}

// RemovedAccounts implements storage.Keeper.
func (s *Store) RemovedAccounts(f func(storage.RemovedAccount) bool) (err error) {
	defer s.recoverRead(&err)
	return scan(s.db, []byte{tagRemoved}, func(k, v []byte) (bool, error) {
		r, err := parseRemoved(accountOfKey(k), v)
		if err != nil {
			return false, err
		}
		a, err := s.removedAccount(r)
		return f(a), err
	})
}

// removedAccount is a removed account in the words of the contract.
func (s *Store) removedAccount(r removedAccount) (storage.RemovedAccount, error) {
	holds, err := s.counter(r.account.ID)
	at := s.machineTime(r.at)
	return storage.RemovedAccount{
		Account: r.account, Removed: at, Until: at.Add(time.Duration(s.retention.removed.Load())), Holds: quotaOf(holds),
	}, err
}

// RestoreAccount implements storage.Keeper.
func (s *Store) RestoreAccount(id storage.AccountID, name, domain string) error {
	if err := checkAccount(&storage.NewAccount{Name: name, Domain: domain}); err != nil {
		return err
	}
	var a storage.Account
	var targets []string // the alias that has the name
	var holds counter
	return s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) error {
			r, err := readRemoved(s.db, id)
			if err != nil {
				return err
			}
			if targets, err = s.mayAdd(name, domain); err != nil {
				return err
			}
			if holds, err = s.counter(id); err != nil {
				return err
			}
			a = r.account
			a.Name, a.Domain = name, domain
			setAccount(b, &a)
			setAddress(b, name, domain, addressValue{id, targets})
			if !a.LastLogin.IsZero() {
				setLogin(b, id, a.LastLogin)
			}
			var k [accountKeyLen]byte
			_ = b.Delete(putAccountKey(&k, tagRemoved, id), nil)
			s.committer.setSince(b, id)
			return nil
		},
		applied: func() {
			s.dir.mu.Lock()
			defer s.dir.mu.Unlock()
			s.dir.remove(name, domain)
			s.dir.insert(name, domain, id, accountRest(&a, targets))
			s.dir.move("", domain, holds)
			delete(s.dir.removed, id)
			s.removedHold.add(counter{-holds.messages, -holds.octets})
		},
	})
}

// doom puts a Z row in the place of the Y row of a removed account.
func (s *Store) doom(id storage.AccountID) (a storage.RemovedAccount, err error) {
	return a, s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) error {
			r, err := readRemoved(s.db, id)
			if err != nil {
				return err
			}
			if a, err = s.removedAccount(r); err != nil {
				return err
			}
			var k [accountKeyLen]byte
			_ = b.Delete(putAccountKey(&k, tagRemoved, id), nil)
			return b.Set(putAccountKey(&k, tagDoomed, id), nil, nil)
		},
		applied: func() {
			s.dir.mu.Lock()
			defer s.dir.mu.Unlock()
			delete(s.dir.removed, id)
			s.removedHold.add(counter{-a.Holds.Messages, -a.Holds.Octets})
		},
	})
}
