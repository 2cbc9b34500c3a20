package lsm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cockroachdb/pebble/v2"

	"postrider/codec/address"
	"postrider/storage"
)

// The kinds of an A row: the first octet of its value.
const (
	kindAccount = 1 // account(4) follows
	kindAlias   = 2 // targets follow, each ended by NUL
	kindBoth    = 3 // account(4) and targets follow
)

// The limits on what the directory holds, in octets. A name is below RFC 5321's
// 64 for a local part as sent, and far above it in UTF-8; the others keep a
// record within one block of the arena.
const (
	maxName    = 255
	maxDomain  = 255
	maxHash    = 4096
	maxTargets = 512 << 10
)

// HostsDomain implements storage.Directory.
func (s *Store) HostsDomain(domain string) bool {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	return s.dir.domains[domain] != nil || s.dir.aliases[domain] != ""
}

// Lookup implements storage.Directory.
func (s *Store) Lookup(local, domain string) (storage.Address, error) {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	ref := s.dir.find(local, domain)
	if ref == 0 {
		return storage.Address{}, storage.ErrNotFound
	}
	r := s.dir.at(ref)
	a := storage.Address{Account: storage.AccountID(r.account()), Targets: targetsOf(r)}
	a.Refused = a.Account != 0 && r.access() == storage.NoMail
	_, a.Full = s.dir.full[a.Account]
	return a, nil
}

// Domains implements storage.Directory.
func (s *Store) Domains() []string {
	s.dir.mu.RLock()
	names := make([]string, 0, len(s.dir.domains))
	for name := range s.dir.domains {
		names = append(names, name)
	}
	s.dir.mu.RUnlock()
	slices.Sort(names)
	return names
}

// AddDomain implements storage.Directory.
func (s *Store) AddDomain(domain string) error {
	if err := checkName("domain", domain, maxDomain, address.FoldDomain); err != nil {
		return err
	}
	return s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) error {
			if s.HostsDomain(domain) {
				return fmt.Errorf("%w: domain %s", storage.ErrExists, domain)
			}
			return b.Set(domainKey(domain), appendDomain(nil, storage.Domain{}), nil)
		},
		applied: func() {
			s.dir.mu.Lock()
			s.dir.addDomain(domain)
			s.dir.mu.Unlock()
		},
	})
}

// RemoveDomain implements storage.Directory.
func (s *Store) RemoveDomain(domain string) error {
	return s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) error {
			s.dir.mu.RLock()
			defer s.dir.mu.RUnlock()
			d := s.dir.domains[domain]
			switch {
			case d == nil && s.dir.aliases[domain] == "":
				return fmt.Errorf("%w: domain %s", storage.ErrNotFound, domain)
			case d != nil && d.addresses+d.aliases > 0:
				return fmt.Errorf("%w: domain %s has %d addresses and %d domain aliases", storage.ErrInUse, domain, d.addresses, d.aliases)
			}
			return b.Delete(domainKey(domain), nil)
		},
		applied: func() {
			s.dir.mu.Lock()
			s.dir.removeDomain(domain)
			s.dir.mu.Unlock()
		},
	})
}

// SetAliases implements storage.Directory.
func (s *Store) SetAliases(as []storage.Alias) error {
	for i := range as {
		if err := checkAlias(&as[i]); err != nil {
			return err
		}
	}
	return s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) error {
			for i := range as {
				account, err := s.maySetAlias(&as[i])
				if err != nil {
					return err
				}
				setAddress(b, as[i].Name, as[i].Domain, addressValue{account, as[i].Targets})
			}
			return nil
		},
		applied: func() {
			s.dir.mu.Lock()
			defer s.dir.mu.Unlock()
			for i := range as {
				s.dir.setTargets(as[i].Name, as[i].Domain, as[i].Targets)
			}
		},
	})
}

// maySetAlias reports whether an alias can be made, and which account has its name.
func (s *Store) maySetAlias(a *storage.Alias) (account storage.AccountID, err error) {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	if s.dir.domains[a.Domain] == nil {
		return 0, fmt.Errorf("%w: domain %s", storage.ErrNotFound, a.Domain)
	}
	if ref := s.dir.find(a.Name, a.Domain); ref != 0 {
		account = storage.AccountID(s.dir.at(ref).account())
	}
	if account != 0 && !a.NamesItself() {
		return 0, fmt.Errorf("%w: %s@%s is an account", storage.ErrExists, a.Name, a.Domain)
	}
	return account, nil
}

// RemoveAlias implements storage.Directory.
func (s *Store) RemoveAlias(local, domain string) error {
	return s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) error {
			a, err := s.Lookup(local, domain)
			if err != nil || len(a.Targets) == 0 {
				return fmt.Errorf("%w: alias %s@%s", storage.ErrNotFound, local, domain)
			}
			if a.Account != 0 {
				setAddress(b, local, domain, addressValue{account: a.Account})
				return nil
			}
			return b.Delete(addressKey(local, domain), nil)
		},
		applied: func() {
			s.dir.mu.Lock()
			s.dir.setTargets(local, domain, nil)
			s.dir.mu.Unlock()
		},
	})
}

// Aliases implements storage.Directory.
func (s *Store) Aliases(f func(storage.Alias) bool) error {
	return s.addresses(func(local, domain string, v addressValue) (bool, error) {
		if len(v.targets) == 0 {
			return true, nil
		}
		return f(storage.Alias{Name: local, Domain: domain, Targets: v.targets}), nil
	})
}

// addressValue is the value of an A row: an account, an alias, or both.
type addressValue struct {
	account storage.AccountID
	targets []string
}

// setAddress sets the A row of an address.
func setAddress(b *pebble.Batch, local, domain string, v addressValue) {
	_ = b.Set(addressKey(local, domain), v.row(), nil)
}

// row is the value of the A row.
func (v addressValue) row() []byte {
	row := []byte{kindAlias}
	if v.account != 0 {
		row[0] = kindAccount
		row = binary.BigEndian.AppendUint32(row, uint32(v.account))
		if len(v.targets) > 0 {
			row[0] = kindBoth
		}
	}
	return append(row, targetsRest(v.targets)[4:]...)
}

// addresses calls f for each A row, in the order of domain and name.
func (s *Store) addresses(f func(local, domain string, v addressValue) (more bool, err error)) (err error) {
	defer s.recoverRead(&err)
	return scan(s.db, []byte{tagAddress}, func(k, v []byte) (bool, error) {
		domain, local, ok := bytes.Cut(k[1:], []byte{0})
		val, err := parseAddress(v)
		if err != nil || !ok {
			return false, fmt.Errorf("%w: row of the address %q", storage.ErrCorrupt, k[1:])
		}
		return f(string(local), string(domain), val)
	})
}

func parseAddress(v []byte) (addressValue, error) {
	switch {
	case len(v) == 5 && v[0] == kindAccount:
		return addressValue{account: storage.AccountID(binary.BigEndian.Uint32(v[1:]))}, nil
	case len(v) >= 5 && v[0] == kindBoth:
		return addressValue{storage.AccountID(binary.BigEndian.Uint32(v[1:])), splitTargets(v[5:])}, nil
	case len(v) >= 1 && v[0] == kindAlias:
		return addressValue{targets: splitTargets(v[1:])}, nil
	}
	return addressValue{}, storage.ErrCorrupt
}

// splitTargets reads targets that each end with NUL.
func splitTargets(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	targets := make([]string, 0, bytes.Count(b, []byte{0}))
	for len(b) > 0 {
		t, rest, _ := bytes.Cut(b, []byte{0})
		targets = append(targets, string(t))
		b = rest
	}
	return targets
}

// checkAccount reports whether an account's fields can be stored.
func checkAccount(a *storage.NewAccount) error {
	if err := checkName("name", a.Name, maxName, address.FoldLocal); err != nil {
		return err
	}
	if err := checkName("domain", a.Domain, maxDomain, address.FoldDomain); err != nil {
		return err
	}
	if len(a.Hash) > maxHash || len(a.Secret) > maxHash {
		return fmt.Errorf("%w: account %s@%s: hash or secret over %d octets", storage.ErrInvalid, a.Name, a.Domain, maxHash)
	}
	return checkLimits(a.Quota, a.MaxMessages)
}

// checkAlias reports whether an alias's fields can be stored.
func checkAlias(a *storage.Alias) error {
	if a.Name != "" {
		if err := checkName("name", a.Name, maxName, address.FoldLocal); err != nil {
			return err
		}
	}
	if err := checkName("domain", a.Domain, maxDomain, address.FoldDomain); err != nil {
		return err
	}
	octets := 0
	for _, t := range a.Targets {
		if err := checkName("target", t, maxName+1+maxDomain, nil); err != nil {
			return err
		}
		octets += len(t) + 1
	}
	if octets == 0 || octets > maxTargets {
		return fmt.Errorf("%w: alias %s@%s has %d octets of targets: expected 1 to %d", storage.ErrInvalid, a.Name, a.Domain, octets, maxTargets)
	}
	return nil
}

// checkName refuses what a row's key can't hold, or what could never be found, since it
// is not folded; fold may be nil.
func checkName(what, name string, limit int, fold func(string) string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: an empty %s", storage.ErrInvalid, what)
	case len(name) > limit:
		return fmt.Errorf("%w: a %s of %d octets: at most %d are possible", storage.ErrInvalid, what, len(name), limit)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: the %s %q holds a control character or is not UTF-8", storage.ErrInvalid, what, name)
	case fold != nil && fold(name) != name:
		return fmt.Errorf("%w: the %s %q is kept as %q", storage.ErrInvalid, what, name, fold(name))
	}
	return nil
}

// loadDirectory fills the memory copy from the rows.
func (s *Store) loadDirectory() error {
	if err := s.loadDomains(); err != nil {
		return err
	}
	err := scan(s.db, []byte{tagAccount}, func(k, v []byte) (bool, error) {
		a, err := parseAccount(accountOfKey(k), v)
		if err != nil {
			return false, err
		}
		if s.dir.domains[a.Domain] == nil {
			return false, fmt.Errorf("%w: account %s@%s has no domain", storage.ErrCorrupt, a.Name, a.Domain)
		}
		s.dir.insert(a.Name, a.Domain, a.ID, accountRest(&a, nil))
		return true, nil
	})
	if err != nil {
		return err
	}
	if err := s.loadLogins(); err != nil {
		return err
	}
	err = s.addresses(func(local, domain string, v addressValue) (bool, error) {
		if len(v.targets) == 0 {
			return true, nil
		}
		if s.dir.domains[domain] == nil {
			return false, fmt.Errorf("%w: alias %s@%s has no domain", storage.ErrCorrupt, local, domain)
		}
		s.dir.setTargets(local, domain, v.targets)
		return true, nil
	})
	if err != nil || s.dir.quotas == 0 {
		return err
	}
	used, err := s.countRows(s.db, uint32(len(s.dir.numbered)))
	s.dir.use.keep(used)
	return err
}

// loadDomains reads the D rows. A domain alias is made known after its domain.
func (s *Store) loadDomains() error {
	var aliases []storage.Domain
	err := scan(s.db, []byte{tagDomain}, func(k, v []byte) (bool, error) {
		d, err := parseDomain(string(k[1:]), v)
		switch {
		case err != nil:
			return false, err
		case d.AliasOf != "":
			aliases = append(aliases, d)
		default:
			s.dir.addDomain(d.Name)
			s.dir.setQuota(d.Name, d.Quota)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, d := range aliases {
		if s.dir.domains[d.AliasOf] == nil {
			return fmt.Errorf("%w: the domain alias %s has no domain %s", storage.ErrCorrupt, d.Name, d.AliasOf)
		}
		s.dir.addAlias(d.Name, d.AliasOf)
	}
	return nil
}
