package lsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// keep is expunge for a store that keeps deleted mail: the messages leave the maildrop and
// are kept. Unknown ids are skipped.
func (c *committer) keep(b *pebble.Batch, account storage.AccountID, ids []storage.MessageID) (gone counter, err error) {
	at := c.mail.stamps.next()
	for _, id := range ids {
		octets, err := c.keepOne(b, account, id, at)
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err != nil {
			return gone, err
		}
		gone = gone.plus(counter{1, octets})
	}
	if gone != (counter{}) {
		c.count(b, account, counter{-gone.messages, -gone.octets})
		c.countKept(b, gone)
	}
	return gone, nil
}

// keepOne moves a message from its M row to a K row.
func (c *committer) keepOne(b *pebble.Batch, account storage.AccountID, id storage.MessageID, at uint64) (octets int64, err error) {
	var k [maildropKeyLen]byte
	v, closer, err := c.s.db.Get(putMaildropKey(&k, account, id))
	if err != nil {
		return 0, err
	}
	defer func() { err = closeRow(closer, err) }()
	var e entry
	if err := e.parse(v); err != nil {
		return 0, err
	}
	_ = b.DeleteSized(k[:], uint32(len(v)), nil) //nolint:gosec // a row
	if len(e.uidl) > 0 {
		_ = b.Delete(uidlKey(account, string(e.uidl)), nil)
	}
	c.value = append(binary.BigEndian.AppendUint64(c.value[:0], at), v...)
	_ = b.Set(putKeptKey(&k, account, id), c.value, nil)
	var tk [deletedKeyLen]byte
	_ = b.Set(putDeletedKey(&tk, at, account, id), nil, nil)
	return e.octets(), nil
}

// kept reads the K row of a message; the entry is a copy. pebble.ErrNotFound.
func (c *committer) kept(account storage.AccountID, id storage.MessageID) (at uint64, e entry, err error) {
	defer c.s.recoverRead(&err)
	var k [keptKeyLen]byte
	v, closer, err := c.s.db.Get(putKeptKey(&k, account, id))
	if err != nil {
		return 0, e, err
	}
	v = slices.Clone(v)
	if err := closeRow(closer, nil); err != nil {
		return 0, e, err
	}
	return parseKept(v)
}

// Deleted implements storage.Keeper.
func (s *Store) Deleted(account storage.AccountID, f func(storage.DeletedMessage) bool) (err error) {
	defer s.recoverRead(&err)
	if !s.dir.has(account) && !s.dir.isRemoved(account) {
		return fmt.Errorf("%w: account %d", storage.ErrNotFound, account)
	}
	if err := s.awaitDurable(); err != nil {
		return err
	}
	stay := time.Duration(s.retention.deleted.Load())
	var k [accountKeyLen]byte
	return scan(s.db, putAccountKey(&k, tagKept, account), func(k, v []byte) (bool, error) {
		at, e, err := parseKept(v)
		if err != nil {
			return false, err
		}
		d := storage.DeletedMessage{Entry: e.public(idOfMaildropKey(k)), Deleted: s.machineTime(at)}
		d.Until = d.Deleted.Add(stay)
		return f(d), nil
	})
}

// Undelete implements storage.Keeper.
func (s *Store) Undelete(account storage.AccountID, ids []storage.MessageID) (all []storage.Undeleted, err error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	defer s.listings.drop(account)
	if !s.dir.has(account) {
		return nil, fmt.Errorf("%w: account %d", storage.ErrNotFound, account)
	}
	for step := range slices.Chunk(ids, purgeStep) {
		var back []storage.Undeleted
		err := s.do(&call{alone: true, stage: func(b *pebble.Batch) (err error) {
			back, err = s.committer.undelete(b, account, step)
			return err
		}})
		if err != nil {
			return all, err
		}
		all = append(all, back...)
	}
	return all, nil
}

// undelete adds the return of deleted messages to their maildrop.
func (c *committer) undelete(b *pebble.Batch, account storage.AccountID, ids []storage.MessageID) (all []storage.Undeleted, err error) {
	if !c.s.dir.has(account) {
		return nil, fmt.Errorf("%w: account %d", storage.ErrNotFound, account)
	}
	var back counter
	for _, id := range ids {
		at, e, err := c.kept(account, id)
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, readError(err)
		}
		u, err := c.uidlOfUndeleted(account, id, &e)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
		if u.There {
			continue
		}
		var k [maildropKeyLen]byte
		_ = b.Set(putMaildropKey(&k, account, id), e.appendTo(nil), nil)
		if len(e.uidl) > 0 {
			_ = b.Set(uidlKey(account, string(e.uidl)), binary.BigEndian.AppendUint64(nil, uint64(id)), nil)
		}
		c.deleteKeptRows(b, account, id, at)
		back.messages++
		back.octets += e.octets()
	}
	if back != (counter{}) {
		c.count(b, account, back)
		c.countKept(b, counter{-back.messages, -back.octets})
		c.setSince(b, account)
	}
	return all, nil
}

// deleteKeptRows adds the deletion of a message's K and T rows.
func (c *committer) deleteKeptRows(b *pebble.Batch, account storage.AccountID, id storage.MessageID, at uint64) {
	var k [keptKeyLen]byte
	_ = b.Delete(putKeptKey(&k, account, id), nil)
	var tk [deletedKeyLen]byte
	_ = b.Delete(putDeletedKey(&tk, at, account, id), nil)
}

// setSince adds the O row of an account: none of its messages is older than now. See Expire.
func (c *committer) setSince(b *pebble.Batch, account storage.AccountID) {
	var k [accountKeyLen]byte
	_ = b.Set(putAccountKey(&k, tagSince, account), binary.BigEndian.AppendUint64(nil, c.mail.stamps.next()), nil)
}

// uidlOfUndeleted finds the unique-id that a message comes back with, and sets it in e: its
// own, unless another message has got it meanwhile. An import may give any unique-id, that
// of a deleted message and the id of one too.
func (c *committer) uidlOfUndeleted(account storage.AccountID, id storage.MessageID, e *entry) (storage.Undeleted, error) {
	u := storage.Undeleted{ID: id}
	own := string(e.public(id).AppendUIDL(nil))
	for n := 0; ; n++ {
		try := own
		switch {
		case n == 1:
			try = id.String()
		case n > 1:
			try = fmt.Sprintf("%s.%d", id, n)
		}
		other, holder, err := c.holderOf(account, try)
		switch {
		case err != nil:
			return u, err
		case other == 0:
			if e.uidl = []byte(try); try == id.String() {
				e.uidl = nil
			}
			if n > 0 {
				u.UIDL = try
			}
			c.claimed[string(uidlKey(account, try))] = claim{id, *e}
			return u, nil
		case n == 0 && sameOctets(&holder, e):
			u.There = true
			return u, nil
		}
	}
}

// holderOf is the message of a maildrop that has a unique-id, also in the open batch; 0:
// there is none.
func (c *committer) holderOf(account storage.AccountID, uidl string) (storage.MessageID, entry, error) {
	if m, ok := c.claimed[string(uidlKey(account, uidl))]; ok {
		return m.id, m.entry, nil
	}
	return c.rowWithUIDL(account, uidl)
}

// sameOctets reports whether two messages are the same one: see entry.is.
func sameOctets(a, b *entry) bool {
	return a.wire == b.wire && a.size == b.size && a.crc == b.crc || a.traced != b.traced && a.octets() == b.octets()
}
