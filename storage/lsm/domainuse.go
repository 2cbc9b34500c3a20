package lsm

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// What the maildrops of each domain hold together is kept in memory while a domain has a
// quota: there is no row for it that a crash could leave wrong. A start with such a domain
// adds it up from the C rows, and so does the first quota of a store. That may be a million
// rows: the caller of SetDomainQuota reads them, from a snapshot, and the committer notes
// meanwhile what changes after it.
type domainUse struct {
	kept []counter          // by domain.number; nil: it is not kept
	late map[uint32]counter // what has changed since a snapshot, by domain.number; nil: none is being read
}

// add adds to what a domain holds, if that is kept or is being added up.
func (u *domainUse) add(number uint32, by counter) {
	if u.late != nil {
		u.late[number] = u.late[number].plus(by)
	}
	if u.kept == nil {
		return
	}
	for int(number) >= len(u.kept) {
		u.kept = append(u.kept, counter{})
	}
	u.kept[number] = u.kept[number].plus(by)
}

// keep takes what a snapshot had, and adds what has come since.
func (u *domainUse) keep(of []counter) {
	late := u.late
	u.kept, u.late = of, nil
	for number, by := range late {
		u.add(number, by)
	}
}

// usedBy is what a domain with a quota holds. Only the committer changes it.
func (d *directory) usedBy(of *domain) counter {
	if int(of.number) >= len(d.use.kept) {
		return counter{}
	}
	return d.use.kept[of.number]
}

// spend adds to what the domain of an account holds, while a domain has a quota. The committer
// calls it. An account that is being removed counts for nothing: see RemoveAccount.
func (d *directory) spend(id storage.AccountID, by counter) {
	if d.use.kept == nil && d.use.late == nil {
		return // only the committer changes it
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.recordOf(id); r != nil {
		d.use.add(r.domain(), by)
	}
}

// move moves what an account holds from one domain to another; "": none. Call it with mu
// held.
func (d *directory) move(from, to string, by counter) {
	if from == to {
		return
	}
	if of := d.domains[from]; of != nil {
		d.use.add(of.number, counter{-by.messages, -by.octets})
	}
	if of := d.domains[to]; of != nil {
		d.use.add(of.number, by)
	}
}

// SetDomainQuota implements storage.Directory.
func (s *Store) SetDomainQuota(name string, q storage.Quota) error {
	if q.Octets < 0 || q.Messages < 0 {
		return fmt.Errorf("%w: a negative quota", storage.ErrInvalid)
	}
	s.counting.Lock() // so that one caller at a time adds up
	defer s.counting.Unlock()
	var used []counter
	if q != (storage.Quota{}) {
		var err error
		if used, err = s.countDomains(name); err != nil {
			return err
		}
	}
	return s.setDomainQuota(name, q, used)
}

// setDomainQuota sets the quota, and keeps what countDomains has added up.
func (s *Store) setDomainQuota(name string, q storage.Quota, used []counter) error {
	return s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) error {
			if err := s.dir.hosts(name); err != nil {
				return err
			}
			return b.Set(domainKey(name), appendDomain(nil, storage.Domain{Quota: q}), nil)
		},
		applied: func() {
			s.dir.mu.Lock()
			defer s.dir.mu.Unlock()
			s.dir.setQuota(name, q)
			switch {
			case used != nil:
				s.dir.use.keep(used)
			case s.dir.quotas == 0:
				s.dir.use.kept = nil
			}
		},
	})
}

// hosts is ErrNotFound for a domain that is none of ours.
func (d *directory) hosts(name string) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.domains[name] == nil {
		return fmt.Errorf("%w: domain %s", storage.ErrNotFound, name)
	}
	return nil
}

// setQuota sets the quota of a domain. Call it with mu held.
func (d *directory) setQuota(name string, q storage.Quota) {
	of := d.domains[name]
	if of.quota != (storage.Quota{}) {
		d.quotas--
	}
	if of.quota = q; q != (storage.Quota{}) {
		d.quotas++
	}
}

// countDomains adds up what each domain holds, before the domain name gets its quota; nil:
// that is kept already. Until use.keep is called, the committer notes what changes.
func (s *Store) countDomains(name string) ([]counter, error) {
	if err := s.guests.enter(); err != nil {
		return nil, err
	}
	defer s.guests.leave()
	var snapshot *pebble.Snapshot
	var limit uint32 // the number of the next domain that is made
	err := s.do(&call{alone: true, stage: func(*pebble.Batch) error {
		if err := s.dir.hosts(name); err != nil || s.dir.use.kept != nil {
			return err
		}
		snapshot = s.db.NewSnapshot()
		s.dir.mu.Lock()
		defer s.dir.mu.Unlock()
		limit, s.dir.use.late = uint32(len(s.dir.numbered)), make(map[uint32]counter)
		return nil
	}})
	if snapshot == nil {
		return nil, err
	}
	defer snapshot.Close()
	var used []counter
	if err == nil {
		used, err = s.countRows(snapshot, limit)
	}
	if err != nil {
		_ = s.do(&call{alone: true, stage: func(*pebble.Batch) error { // a store that has failed counts nothing
			s.dir.mu.Lock()
			defer s.dir.mu.Unlock()
			s.dir.use.late = nil
			return nil
		}})
		return nil, err
	}
	return used, nil
}

// countRows adds up the C rows of the accounts of each domain with a number below a limit.
// Accounts and counters are both in the order of AccountIDs.
func (s *Store) countRows(rows pebble.Reader, limit uint32) (used []counter, err error) {
	defer s.recoverRead(&err)
	used = make([]counter, limit)
	prefix := []byte{tagCount}
	counts, err := rows.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, readError(err)
	}
	defer func() { err = errors.Join(err, readError(counts.Close())) }()
	more := counts.First()
	err = scan(rows, []byte{tagAccount}, func(k, v []byte) (bool, error) {
		if s.closed.Load() {
			return false, storage.ErrClosed
		}
		id := accountOfKey(k)
		for more && accountOfKey(counts.Key()) < id {
			more = counts.Next()
		}
		if !more || accountOfKey(counts.Key()) != id {
			return true, nil
		}
		a, err := parseAccount(id, v)
		if err != nil {
			return false, err
		}
		v, err = counts.ValueAndErr()
		if err != nil {
			return false, readError(err)
		}
		n, err := parseCounter(v)
		if err != nil {
			return false, err
		}
		s.dir.mu.RLock()
		defer s.dir.mu.RUnlock()
		if of := s.dir.domains[a.Domain]; of != nil && of.number < limit {
			used[of.number] = used[of.number].plus(n)
		}
		return true, nil
	})
	return used, errors.Join(err, readError(counts.Error()))
}
