package lsm

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// Account implements storage.Directory.
func (s *Store) Account(id storage.AccountID) (storage.Account, error) {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	r := s.dir.recordOf(id)
	if r == nil {
		return storage.Account{}, fmt.Errorf("%w: account %d", storage.ErrNotFound, id)
	}
	return s.dir.accountOf(r), nil
}

// Proofs implements storage.Store.
func (s *Store) Proofs() storage.Proofs {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	return s.dir.proofs
}

// CredentialChanges implements storage.Store.
func (s *Store) CredentialChanges() uint64 { return s.dir.changes.Load() }

// AddAccount implements storage.Directory.
func (s *Store) AddAccount(a storage.NewAccount) (storage.AccountID, error) {
	made, err := s.addAccounts([]storage.NewAccount{a})
	if err != nil {
		return 0, err
	}
	return made[0].ID, nil
}

// AddAccounts implements storage.Directory.
func (s *Store) AddAccounts(as []storage.NewAccount) error {
	_, err := s.addAccounts(as)
	return err
}

func (s *Store) addAccounts(as []storage.NewAccount) ([]storage.Account, error) {
	names := make(map[string]struct{}, len(as))
	for i := range as {
		if err := checkAccount(&as[i]); err != nil {
			return nil, err
		}
		key := string(addressKey(as[i].Name, as[i].Domain))
		if _, ok := names[key]; ok {
			return nil, fmt.Errorf("%w: %s@%s is named twice", storage.ErrExists, as[i].Name, as[i].Domain)
		}
		names[key] = struct{}{}
	}
	made := make([]storage.Account, 0, len(as))
	aliases := make([][]string, len(as)) // the targets of the aliases of their names
	created := time.UnixMilli(s.opts.Now().UnixMilli())
	return made, s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) error {
			for i := range as {
				targets, err := s.mayAdd(as[i].Name, as[i].Domain)
				if err != nil {
					return err
				}
				aliases[i] = targets
			}
			for i := range as {
				a := storage.Account{
					ID: s.nextAccount + storage.AccountID(i), Created: created,
					Name: as[i].Name, Domain: as[i].Domain,
					Hash: as[i].Hash, Secret: as[i].Secret, Quota: as[i].Quota, MaxMessages: as[i].MaxMessages,
				}
				made = append(made, a)
				setAccount(b, &a)
				setAddress(b, a.Name, a.Domain, addressValue{a.ID, aliases[i]})
			}
			return b.Set(keyNextAccount, binary.BigEndian.AppendUint64(nil, uint64(s.nextAccount)+uint64(len(as))), nil)
		},
		applied: func() {
			s.nextAccount += storage.AccountID(len(as))
			s.dir.mu.Lock()
			defer s.dir.mu.Unlock()
			for i := range made {
				s.dir.remove(made[i].Name, made[i].Domain)
				s.dir.insert(made[i].Name, made[i].Domain, made[i].ID, accountRest(&made[i], aliases[i]))
			}
		},
	})
}

// mayAdd reports whether a name is free for an account under a domain of ours, and what
// targets the alias of that name has, which names itself.
func (s *Store) mayAdd(local, domain string) (targets []string, err error) {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	if s.dir.domains[domain] == nil {
		return nil, fmt.Errorf("%w: domain %s", storage.ErrNotFound, domain)
	}
	ref := s.dir.find(local, domain)
	if ref == 0 {
		return nil, nil
	}
	a := storage.Alias{Name: local, Domain: domain, Targets: targetsOf(s.dir.at(ref))}
	if s.dir.at(ref).account() != 0 || !a.NamesItself() {
		return nil, fmt.Errorf("%w: %s@%s", storage.ErrExists, local, domain)
	}
	return a.Targets, nil
}

// SetPassword implements storage.Directory.
func (s *Store) SetPassword(id storage.AccountID, hash, secret string) error {
	if len(hash) > maxHash || len(secret) > maxHash {
		return fmt.Errorf("%w: a password hash of %d octets", storage.ErrInvalid, len(hash))
	}
	return s.changeAccount(id, true, func(a *storage.Account) error {
		a.Hash, a.Secret = hash, secret
		return nil
	})
}

// SetVerifier implements storage.Directory.
func (s *Store) SetVerifier(id storage.AccountID, hash, verifier string) error {
	return s.changeAccount(id, false, func(a *storage.Account) error {
		if a.Hash != hash {
			return fmt.Errorf("%w: account %d has another hash", storage.ErrFenced, id)
		}
		if a.Hash += " " + verifier; hash == "" || len(a.Hash) > maxHash {
			return fmt.Errorf("%w: a password hash of %d octets", storage.ErrInvalid, len(a.Hash))
		}
		return nil
	})
}

// changeAccount carries out a change of an account's row that leaves its name.
// credentials: sessions have to look at the account again.
func (s *Store) changeAccount(id storage.AccountID, credentials bool, change func(a *storage.Account) error) error {
	var a storage.Account
	return s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) (err error) {
			if a, err = s.Account(id); err != nil {
				return err
			}
			if err = change(&a); err != nil {
				return err
			}
			setAccount(b, &a)
			return nil
		},
		applied: func() {
			s.dir.mu.Lock()
			defer s.dir.mu.Unlock()
			r := s.dir.recordOf(id)
			targets := targetsOf(r)
			a.LastLogin = timeOf(r.number(3)) // it may have come since
			s.dir.remove(a.Name, a.Domain)
			s.dir.insert(a.Name, a.Domain, a.ID, accountRest(&a, targets))
			if credentials {
				s.dir.changes.Add(1)
			}
		},
	})
}

// Accounts implements storage.Directory.
func (s *Store) Accounts(f func(storage.Account) bool) error {
	return s.addresses(func(local, domain string, v addressValue) (bool, error) {
		if v.account == 0 {
			return true, nil
		}
		a, err := s.Account(v.account)
		if err != nil {
			return true, nil // removed since the scan began
		}
		return f(a), nil
	})
}

func setAccount(b *pebble.Batch, a *storage.Account) {
	var k [accountKeyLen]byte
	_ = b.Set(putAccountKey(&k, tagAccount, a.ID), appendAccount(nil, a), nil)
}

// The versions of a U row's value: its first octet. Programs before format 5 wrote the
// first, which has no messages and no access; programs before format 6 wrote the second,
// which has no expire.
const (
	accountVersion1 = 1
	accountVersion2 = 2
	accountVersion  = 3
)

// appendAccount appends the value of a U row: version(1) quota(8) created(8, ms)
// messages(8) access(1) expire(8, ns) and name, domain, hash and secret, each as length(2) and octets.
func appendAccount(dst []byte, a *storage.Account) []byte {
	dst = append(dst, accountVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Quota))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Created.UnixMilli()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.MaxMessages))
	dst = append(dst, byte(a.Access))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Expire)) //nolint:gosec // read back as it is
	for _, t := range [...]string{a.Name, a.Domain, a.Hash, a.Secret} {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(t)))
		dst = append(dst, t...)
	}
	return dst
}

// parseAccount reads what appendAccount wrote, in any version.
func parseAccount(id storage.AccountID, v []byte) (storage.Account, error) {
	a := storage.Account{ID: id}
	if len(v) < 17 || v[0] < accountVersion1 || v[0] > accountVersion {
		return a, fmt.Errorf("%w: row of account %d", storage.ErrCorrupt, id)
	}
	version := v[0]
	a.Quota = int64(binary.BigEndian.Uint64(v[1:]))
	a.Created = time.UnixMilli(int64(binary.BigEndian.Uint64(v[9:])))
	v = v[17:]
	if version >= accountVersion2 {
		if len(v) < 9 || v[8] > byte(storage.NoMail) {
			return a, fmt.Errorf("%w: row of account %d", storage.ErrCorrupt, id)
		}
		a.MaxMessages, a.Access = int64(binary.BigEndian.Uint64(v)), storage.Access(v[8])
		v = v[9:]
	}
	if version == accountVersion {
		if len(v) < 8 {
			return a, fmt.Errorf("%w: row of account %d", storage.ErrCorrupt, id)
		}
		a.Expire = time.Duration(binary.BigEndian.Uint64(v)) //nolint:gosec // as it was written
		v = v[8:]
	}
	for _, t := range [...]*string{&a.Name, &a.Domain, &a.Hash, &a.Secret} {
		if len(v) < 2 || len(v) < 2+int(binary.BigEndian.Uint16(v)) {
			return a, fmt.Errorf("%w: row of account %d is cut short", storage.ErrCorrupt, id)
		}
		n := 2 + int(binary.BigEndian.Uint16(v))
		*t = string(v[2:n])
		v = v[n:]
	}
	return a, nil
}
