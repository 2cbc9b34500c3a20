package lsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// A deleted message that is kept has, in the place of its M row, a K row with the same value
// after the time of the deletion, and a T row under that time; its I row is gone, so that
// another message can get its unique-id. It goes on owning its body. A removed account has a
// Y row in the place of its A, U and L rows, and its M, C and I rows as they were.
//
// Times are stamps: see stamp.go. The committer takes a stamp for each deletion, so that no
// T row comes before one that Purge has met.

// The kinds of rows of what is kept.
const (
	tagKept    = 'K'
	tagSince   = 'O'
	tagDeleted = 'T'
	tagRemoved = 'Y'
)

// keyKeptTotal is the row with the number and the octets of deleted messages.
var keyKeptTotal = []byte{'V'}

// retention is storage.Retention, for any goroutine.
type retention struct{ mail, deleted, removed atomic.Int64 }

// SetRetention implements storage.Keeper.
func (s *Store) SetRetention(r storage.Retention) {
	s.retention.mail.Store(int64(r.Mail))
	s.retention.deleted.Store(int64(r.DeletedMail))
	s.retention.removed.Store(int64(r.RemovedAccounts))
}

// timeSince is the stamp of d before now.
func timeSince(now uint64, d time.Duration) uint64 {
	return now - min(now, uint64(max(d, 0).Microseconds())) //nolint:gosec // not below 0
}

// machineTime is a stamp as the machine's clock has it now.
func (s *Store) machineTime(at uint64) time.Time {
	lead, _ := s.stamps.ahead()
	return time.UnixMicro(int64(at)).Add(-lead) //nolint:gosec // since 1970
}

// keptKeyLen and deletedKeyLen are the lengths of the keys of K and T rows.
const (
	keptKeyLen    = maildropKeyLen
	deletedKeyLen = 1 + 8 + 4 + 8
	keptHeadLen   = 8 // before the value of the M row
)

func putKeptKey(k *[keptKeyLen]byte, account storage.AccountID, id storage.MessageID) []byte {
	putMaildropKey(k, account, id)
	k[0] = tagKept
	return k[:]
}

func putDeletedKey(k *[deletedKeyLen]byte, at uint64, account storage.AccountID, id storage.MessageID) []byte {
	k[0] = tagDeleted
	binary.BigEndian.PutUint64(k[1:], at)
	binary.BigEndian.PutUint32(k[9:], uint32(account))
	binary.BigEndian.PutUint64(k[13:], uint64(id))
	return k[:]
}

// deletedKeyOf reads what putDeletedKey wrote.
func deletedKeyOf(k []byte) (at uint64, account storage.AccountID, id storage.MessageID, err error) {
	if len(k) != deletedKeyLen {
		return 0, 0, 0, fmt.Errorf("%w: key %x of a deleted message", storage.ErrCorrupt, k)
	}
	return binary.BigEndian.Uint64(k[1:]), storage.AccountID(binary.BigEndian.Uint32(k[9:])), storage.MessageID(binary.BigEndian.Uint64(k[13:])), nil
}

// parseKept reads the value of a K row. The entry is borrowed from v.
func parseKept(v []byte) (at uint64, e entry, err error) {
	if len(v) < keptHeadLen {
		return 0, e, fmt.Errorf("%w: row of a deleted message of %d octets", storage.ErrCorrupt, len(v))
	}
	return binary.BigEndian.Uint64(v), e, e.parse(v[keptHeadLen:])
}

// removedAccount is the value of a Y row.
type removedAccount struct {
	at      uint64
	account storage.Account
}

// removedVersion is the first octet of a Y row's value: at(8, us) login(8, ms) follow, and
// then the value of the U row.
const (
	removedVersion = 1
	removedHeadLen = 1 + 8 + 8
)

func (r *removedAccount) row() []byte {
	v := binary.BigEndian.AppendUint64([]byte{removedVersion}, r.at)
	v = binary.BigEndian.AppendUint64(v, uint64(millisOf(r.account.LastLogin))) //nolint:gosec // read back as it is
	return appendAccount(v, &r.account)
}

func parseRemoved(id storage.AccountID, v []byte) (r removedAccount, err error) {
	if len(v) < removedHeadLen || v[0] != removedVersion {
		return r, fmt.Errorf("%w: row of the removed account %d", storage.ErrCorrupt, id)
	}
	r.at = binary.BigEndian.Uint64(v[1:])
	r.account, err = parseAccount(id, v[removedHeadLen:])
	r.account.LastLogin = timeOf(int64(binary.BigEndian.Uint64(v[9:]))) //nolint:gosec // as above
	return r, err
}

// readRemoved reads a Y row; ErrNotFound.
func readRemoved(rows pebble.Reader, id storage.AccountID) (removedAccount, error) {
	var k [accountKeyLen]byte
	v, closer, err := rows.Get(putAccountKey(&k, tagRemoved, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return removedAccount{}, fmt.Errorf("%w: removed account %d", storage.ErrNotFound, id)
	}
	if err != nil {
		return removedAccount{}, readError(err)
	}
	defer closer.Close()
	return parseRemoved(id, v)
}

// Kept implements storage.Keeper.
func (s *Store) Kept() (k storage.Kept) {
	k.Deleted = quotaOf(counter{s.kept.messages.Load(), s.kept.octets.Load()})
	k.Removed = quotaOf(counter{s.removedHold.messages.Load(), s.removedHold.octets.Load()})
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	k.Accounts = int64(len(s.dir.removed))
	return k
}

// add adds to a counter that others read.
func (a *atomicCounter) add(by counter) {
	a.messages.Add(by.messages)
	a.octets.Add(by.octets)
}

// countKept adds to the total of deleted messages.
func (c *committer) countKept(b *pebble.Batch, by counter) {
	if by == (counter{}) {
		return
	}
	var v [counterLen]byte
	by.put(v[:])
	_ = b.Merge(keyKeptTotal, v[:], nil)
	c.s.kept.add(by)
}

// loadKept reads what is kept: the total, and which accounts were removed.
func (s *Store) loadKept() error {
	err := scan(s.db, keyKeptTotal, func(_, v []byte) (bool, error) {
		n, err := parseCounter(v)
		s.kept.add(n)
		return true, err
	})
	if err != nil {
		return err
	}
	return scan(s.db, []byte{tagRemoved}, func(k, v []byte) (bool, error) {
		id := accountOfKey(k)
		r, err := parseRemoved(id, v)
		if err != nil {
			return false, err
		}
		holds, err := s.counter(id)
		s.dir.removed[id] = r.at
		s.removedHold.add(holds)
		return true, err
	})
}

// ages reports whether something in the store is deleted when it is old enough: then a wrong
// clock at a start must not make it older than it is.
func (s *Store) ages() bool {
	if s.queued.messages.Load() > 0 || s.kept.messages.Load() > 0 {
		return true
	}
	least, _ := s.MailExpiry()
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	return least > 0 || len(s.dir.removed) > 0
}
