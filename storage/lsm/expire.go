package lsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// Expire implements storage.Keeper. The time in a message's id, which is a stamp, is when it
// came; Entry.Arrival may be years before, if it was imported. A message that was undeleted
// keeps its id, so an O row says when that was: until it is over age, too, nothing of the
// maildrop is.
func (s *Store) Expire(account storage.AccountID) (x storage.Expired, err error) {
	ids, err := s.overAge(account)
	if err != nil || len(ids) == 0 {
		return x, err
	}
	l, err := s.hold(account)
	if err != nil {
		return x, err
	}
	defer l.Release()
	defer s.listings.drop(account)
	var gone counter
	err = s.doAlone(&call{stage: func(b *pebble.Batch) (err error) {
		if !l.valid() {
			return storage.ErrFenced
		}
		// Again, on the committer: since then the account may have got more time.
		if ids, err = s.overAge(account); err != nil {
			return err
		}
		if s.retention.deleted.Load() > 0 {
			gone, err = s.committer.keep(b, account, ids)
		} else {
			gone, err = s.committer.expunge(b, account, ids, nil)
		}
		return err
	}})
	if err != nil {
		return x, err
	}
	return storage.Expired{Mail: quotaOf(gone), More: len(ids) == purgeStep}, nil
}

// overAge is the oldest messages of a maildrop that are over age, at most purgeStep.
func (s *Store) overAge(account storage.AccountID) (ids []storage.MessageID, err error) {
	defer s.recoverRead(&err)
	a, err := s.Account(account)
	if err != nil {
		return nil, err
	}
	stay := a.ExpiresAfter(time.Duration(s.retention.mail.Load()))
	if stay == 0 {
		return nil, nil
	}
	end := timeSince(s.stamps.read(), stay)
	if since, err := s.since(account); err != nil || since > end {
		return nil, err
	}
	var from, to [maildropKeyLen]byte
	putMaildropKey(&from, account, 0)
	putMaildropKey(&to, account, storage.MessageID(end/1000<<idTimeShift))
	err = scanKeys(s.db, from[:], to[:], func(k []byte) bool {
		ids = append(ids, idOfMaildropKey(k))
		return len(ids) < purgeStep
	})
	return ids, err
}

// since reads the O row of an account; 0: there is none.
func (s *Store) since(account storage.AccountID) (uint64, error) {
	var k [accountKeyLen]byte
	v, closer, err := s.db.Get(putAccountKey(&k, tagSince, account))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, readError(err)
	}
	defer closer.Close()
	if len(v) != 8 {
		return 0, fmt.Errorf("%w: row of the last undelete of account %d", storage.ErrCorrupt, account)
	}
	return binary.BigEndian.Uint64(v), nil
}

// expires counts the accounts with each Expire. There are no more of them than days that can
// be set.
type expires struct {
	accounts map[time.Duration]int
	least    time.Duration // the shortest; 0: none has one, or NeverExpire only
}

// count adds n to the accounts with an Expire.
func (e *expires) count(stay time.Duration, n int) {
	before := e.accounts[stay]
	if e.accounts == nil {
		e.accounts = make(map[time.Duration]int)
	}
	e.accounts[stay] = before + n
	if before != 0 && before+n != 0 {
		return
	}
	if before+n == 0 {
		delete(e.accounts, stay)
	}
	e.least = 0
	for d := range e.accounts {
		if d > 0 && (e.least == 0 || d < e.least) {
			e.least = d
		}
	}
}

// MailExpiry implements storage.Keeper.
func (s *Store) MailExpiry() (least time.Duration, differs bool) {
	all := time.Duration(s.retention.mail.Load())
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	e := &s.dir.expires
	if least = all; e.least > 0 && (least == 0 || e.least < least) {
		least = e.least
	}
	for own := range e.accounts {
		if own != 0 && max(own, 0) != all { // NeverExpire is below 0
			return least, true
		}
	}
	return least, false
}
