package lsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// lockTable has the session that holds each locked maildrop. It is memory only: a lock
// does not outlive its process, and no other process can have the store open.
type lockTable struct {
	mu   sync.Mutex
	held map[storage.AccountID]*lock
}

// lock is a maildrop that a session holds: it does while the table has this
// very lock for the account.
type lock struct {
	s       *Store
	account storage.AccountID
	listed  *storage.Listing // durable when List returned it
}

// LockMaildrop implements storage.Maildrops.
func (s *Store) LockMaildrop(account storage.AccountID) (storage.Lock, error) {
	l, err := s.hold(account)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// hold takes the maildrop if no session has it.
func (s *Store) hold(account storage.AccountID) (*lock, error) { return s.take(account, false) }

// seize takes the maildrop, from a session that has it too: that one is fenced.
func (s *Store) seize(account storage.AccountID) (*lock, error) { return s.take(account, true) }

func (s *Store) take(account storage.AccountID, held bool) (*lock, error) {
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	// Under the table's lock: RemoveAccount holds the maildrop while it takes the
	// account out of the directory.
	if !s.dir.has(account) {
		return nil, fmt.Errorf("%w: account %d", storage.ErrNotFound, account)
	}
	if s.locks.held[account] != nil && !held {
		return nil, storage.ErrInUse
	}
	l := &lock{s: s, account: account}
	s.locks.held[account] = l
	return l, nil
}

// valid reports whether the session still holds the maildrop.
func (l *lock) valid() bool {
	l.s.locks.mu.Lock()
	defer l.s.locks.mu.Unlock()
	return l.s.locks.held[l.account] == l
}

// notFound reports why a message of the maildrop is not there.
func (l *lock) notFound(id storage.MessageID) error {
	if !l.valid() {
		return storage.ErrFenced // with its account, perhaps
	}
	return fmt.Errorf("%w: message %s", storage.ErrNotFound, id)
}

// Release implements storage.Lock.
func (l *lock) Release() {
	l.s.locks.mu.Lock()
	defer l.s.locks.mu.Unlock()
	if l.s.locks.held[l.account] == l {
		delete(l.s.locks.held, l.account)
	}
}

// List implements storage.Lock.
func (l *lock) List(limit int) (_ *storage.Listing, err error) {
	defer l.s.recoverRead(&err)
	if !l.valid() {
		return nil, storage.ErrFenced
	}
	list, err := l.grown(limit)
	if err == nil && list == nil {
		list, err = l.scan(new(storage.Listing), 0, limit)
	}
	if err != nil {
		return nil, err
	}
	if err := l.s.awaitDurable(); err != nil {
		return nil, err
	}
	l.s.listings.put(l.account, list)
	l.listed = list
	return list, nil
}

// grown is the listing that is kept with what has come since; nil when there is none,
// or when the counter shows that something else has changed. See listings.
func (l *lock) grown(limit int) (*storage.Listing, error) {
	kept := l.s.listings.get(l.account)
	if kept == nil || kept.Len() > limit {
		return nil, nil
	}
	last, _ := kept.At(kept.Len() - 1)
	list, err := l.scan(kept, last+1, limit)
	if err != nil || list.More {
		return nil, err
	}
	now, err := l.s.counter(l.account) // after the rows were read
	if err != nil || now != (counter{int64(list.Len()), list.Octets()}) {
		return nil, err
	}
	return list, nil
}

// scan reads the rows of the maildrop from an id on, and returns known with them at
// its end: a copy, if there are any.
func (l *lock) scan(known *storage.Listing, from storage.MessageID, limit int) (*storage.Listing, error) {
	list := known
	var first [maildropKeyLen]byte
	var prefix [accountKeyLen]byte
	end := after(putAccountKey(&prefix, tagMaildrop, l.account))
	err := scanRange(l.s.db, putMaildropKey(&first, l.account, from), end, func(k, v []byte) (bool, error) {
		if list == known {
			list = known.Extend()
		}
		if list.Len() == limit {
			list.More = true
			return false, nil
		}
		var e entry
		if err := e.parse(v); err != nil {
			return false, err
		}
		list.AppendEntry(idOfMaildropKey(k), e.octets(), e.uidl)
		return true, nil
	})
	return list, err
}

// awaitDurable waits until all that can be seen now is synced: readers see a
// group as soon as it is applied.
func (s *Store) awaitDurable() error {
	if s.durable.await(s.applied.Load()) {
		return nil
	}
	return s.refusal()
}

// lists reports whether the session's listing has the message.
func (l *lock) lists(id storage.MessageID) bool {
	if l.listed == nil {
		return false
	}
	lo, hi := 0, l.listed.Len()
	for lo < hi {
		mid := (lo + hi) / 2
		if at, _ := l.listed.At(mid); at < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == l.listed.Len() {
		return false
	}
	at, _ := l.listed.At(lo)
	return at == id
}

// Open implements storage.Lock.
func (l *lock) Open(id storage.MessageID) (_ storage.Message, err error) {
	defer l.s.recoverRead(&err)
	if !l.valid() {
		return nil, storage.ErrFenced
	}
	var k [maildropKeyLen]byte
	v, closer, err := l.s.db.Get(putMaildropKey(&k, l.account, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, l.notFound(id)
	}
	if err != nil {
		return nil, readError(err)
	}
	if err := l.s.damaged.refuse(id); err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	m := &message{s: l.s, rows: l.s.db, id: id, lock: l, told: &l.s.damaged}
	err = m.entry.parse(slices.Clone(v))
	if err := errors.Join(err, closer.Close()); err != nil {
		return nil, readError(err)
	}
	if l.lists(id) {
		return m, nil
	}
	return m, l.s.awaitDurable()
}

// Expunge implements storage.Lock.
func (l *lock) Expunge(ids []storage.MessageID) error { return l.expunge(ids, true) }

// Purge implements storage.Lock.
func (l *lock) Purge(ids []storage.MessageID) error { return l.expunge(ids, false) }

// expunge deletes messages. keep: they are kept, if deleted mail is.
func (l *lock) expunge(ids []storage.MessageID, keep bool) error {
	if len(ids) == 0 {
		return nil
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	defer l.s.listings.drop(l.account)
	return l.s.do(&call{
		alone: true,
		stage: func(b *pebble.Batch) (err error) {
			switch c := &l.s.committer; {
			case !l.valid():
				return storage.ErrFenced
			case keep && l.s.retention.deleted.Load() > 0:
				_, err = c.keep(b, l.account, ids)
			default:
				_, err = c.expunge(b, l.account, ids, nil)
			}
			return err
		},
	})
}

// Remove implements storage.Maildrops.
func (s *Store) Remove(account storage.AccountID, ids []storage.MessageID) error {
	l, err := s.hold(account)
	if err != nil {
		return err
	}
	defer l.Release()
	return l.Expunge(ids)
}

// expunge adds the deletion of messages of a maildrop: their entries, and the
// bodies that no other maildrop has. Unknown ids are skipped, and what u passes over.
// It runs on the committer's goroutine, so that the R rows that it reads are the ones that
// the batch will meet: no body is left over and none is taken from another maildrop.
func (c *committer) expunge(b *pebble.Batch, account storage.AccountID, ids []storage.MessageID, u *unread) (gone counter, err error) {
	for _, id := range ids {
		e, size, err := c.entry(account, id)
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err == nil {
			err = c.disown(b, id, &e, nil)
		}
		if u.passOver(err) {
			continue
		}
		if err != nil {
			return gone, readError(err)
		}
		var k [maildropKeyLen]byte
		_ = b.DeleteSized(putMaildropKey(&k, account, id), uint32(size), nil)
		if len(e.uidl) > 0 {
			_ = b.Delete(uidlKey(account, string(e.uidl)), nil)
		}
		gone = gone.plus(counter{1, e.octets()})
	}
	if gone != (counter{}) {
		c.count(b, account, counter{-gone.messages, -gone.octets})
	}
	return gone, nil
}

// entry reads the row of a message, without its trace.
func (c *committer) entry(account storage.AccountID, id storage.MessageID) (e entry, size int, err error) {
	defer c.s.recoverRead(&err)
	var k [maildropKeyLen]byte
	v, closer, err := c.s.db.Get(putMaildropKey(&k, account, id))
	if err != nil {
		return e, 0, err
	}
	err = e.parse(v)
	e.trace, e.uidl = nil, bytes.Clone(e.uidl)
	return e, len(v), closeRow(closer, err)
}

// ownersOf reads how many owners a shared body has.
func (c *committer) ownersOf(id storage.MessageID) (n uint32, err error) {
	defer c.s.recoverRead(&err)
	var k [idKeyLen]byte
	v, closer, err := c.s.db.Get(putIDKey(&k, tagRefs, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, fmt.Errorf("%w: owners of message %s: their row is missing", storage.ErrCorrupt, id)
	}
	if err != nil {
		return 0, fmt.Errorf("owners of message %s: %w", id, readError(err))
	}
	defer closer.Close()
	if len(v) != 4 {
		return 0, fmt.Errorf("%w: owners of message %s", storage.ErrCorrupt, id)
	}
	return binary.BigEndian.Uint32(v), nil
}

// setOwners writes how many owners a shared body has; 0: the body goes.
func setOwners(b *pebble.Batch, id storage.MessageID, n uint32) {
	var k [idKeyLen]byte
	key := putIDKey(&k, tagRefs, id)
	if n == 0 {
		_ = b.Delete(key, nil)
		return
	}
	var v [4]byte
	binary.BigEndian.PutUint32(v[:], n)
	_ = b.Set(key, v[:], nil)
}

// rangeDeleteFrom is the number of chunks from which one range tombstone is
// cheaper than one tombstone each.
const rangeDeleteFrom = 9

// deleteBody adds the deletion of a body.
func deleteBody(b *pebble.Batch, id storage.MessageID, chunks uint32) {
	var from, to [bodyKeyLen]byte
	if chunks >= rangeDeleteFrom {
		_ = b.DeleteRange(putBodyKey(&from, id, 0), putBodyKey(&to, id+1, 0), nil)
		return
	}
	for i := range chunks {
		_ = b.Delete(putBodyKey(&from, id, i), nil)
	}
}

// deleteSizedBody adds the deletion of an entry's body. Where the sizes of its
// rows are known they show Pebble where compaction frees space.
func deleteSizedBody(b *pebble.Batch, id storage.MessageID, e *entry) {
	if e.chunks >= rangeDeleteFrom || e.packed() {
		deleteBody(b, id, e.chunks)
		return
	}
	var k [bodyKeyLen]byte
	wire := e.wire
	for i := range e.chunks {
		n := min(wire, chunkLen)
		wire -= n
		_ = b.DeleteSized(putBodyKey(&k, id, i), uint32(n+chunkHeadLen), nil)
	}
}

// count adds a change to a maildrop's counter.
func (c *committer) count(b *pebble.Batch, account storage.AccountID, by counter) {
	var k [accountKeyLen]byte
	var v [counterLen]byte
	by.put(v[:])
	_ = b.Merge(putAccountKey(&k, tagCount, account), v[:], nil)
	if u, ok := c.usage[account]; ok {
		c.usage[account] = u.plus(by)
	}
	c.s.dir.spend(account, by)
	if by.octets < 0 {
		c.s.dir.markFull(account, false)
	}
}

// maxUsage bounds the counters, of accounts with a quota, that are kept in memory.
const maxUsage = 1 << 20

// used is the counter of an account with a quota, the open group included: if the open
// group changes the account's rows, the counter is in memory already.
func (c *committer) used(account storage.AccountID) (counter, error) {
	if u, ok := c.usage[account]; ok {
		return u, nil
	}
	if len(c.usage) >= maxUsage {
		c.flush() // what is forgotten must be readable
		clear(c.usage)
	}
	u, err := c.s.counter(account)
	if err == nil {
		c.usage[account] = u
	}
	return u, err
}

// counter reads the C row of an account.
func (s *Store) counter(account storage.AccountID) (_ counter, err error) {
	defer s.recoverRead(&err)
	var k [accountKeyLen]byte
	v, closer, err := s.db.Get(putAccountKey(&k, tagCount, account))
	if errors.Is(err, pebble.ErrNotFound) {
		return counter{}, nil
	}
	if err != nil {
		return counter{}, readError(err)
	}
	defer closer.Close()
	return parseCounter(v)
}

// Usage implements storage.Maildrops.
func (s *Store) Usage(account storage.AccountID) (messages, octets int64, err error) {
	if !s.dir.has(account) {
		return 0, 0, fmt.Errorf("%w: account %d", storage.ErrNotFound, account)
	}
	c, err := s.counter(account)
	return c.messages, c.octets, err
}

// messagesFrom is the ids of limit messages of a maildrop, or of the deleted messages of its
// account, by the tag of their rows: the oldest from an id on.
func (s *Store) messagesFrom(tag byte, account storage.AccountID, from storage.MessageID, limit int) (ids []storage.MessageID, err error) {
	defer s.recoverRead(&err)
	if limit == 0 {
		return nil, nil
	}
	var begin [maildropKeyLen]byte
	putMaildropKey(&begin, account, from)
	begin[0] = tag
	var k [accountKeyLen]byte
	err = scanKeys(s.db, begin[:], after(putAccountKey(&k, tag, account)), func(k []byte) bool {
		ids = append(ids, idOfMaildropKey(k))
		return len(ids) < limit
	})
	return ids, err
}
