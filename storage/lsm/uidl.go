package lsm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// A message that was imported keeps the unique-id (UIDL) that its clients know. Its M row
// has it, and an I row makes it unique in its maildrop. The committer reads the I row of
// each such message before it writes it; what the open batch has of them, where Get does
// not see it, is in claimed. A message that was delivered here has its id as its unique-id,
// and no I row.

// uidlKey is the key of an I row.
func uidlKey(account storage.AccountID, uidl string) []byte {
	k := make([]byte, 0, accountKeyLen+len(uidl))
	k = append(k, tagUIDL)
	k = binary.BigEndian.AppendUint32(k, uint32(account))
	return append(k, uidl...)
}

// uidlOfKey reads the unique-id of a key that uidlKey made.
func uidlOfKey(k []byte) string { return string(k[accountKeyLen:]) }

// admitUIDL looks for the message of the maildrop that has the unique-id which d is to
// have. It takes the unique-id from r if d can't have it; see storage.Recipient.
func (c *committer) admitUIDL(r *storage.Recipient, d *draft, size int64) error {
	for r.UIDL != "" {
		taken, err := c.takenUIDL(r, d, size)
		if err != nil || !taken {
			return err
		}
		r.UIDL, r.Else = r.Else, ""
	}
	return nil
}

// takenUIDL reports whether another message has, or may get, the unique-id of r. ErrExists:
// d is in the maildrop with it.
func (c *committer) takenUIDL(r *storage.Recipient, d *draft, size int64) (bool, error) {
	if own, isID := storage.IDOfUIDL(r.UIDL); isID && own >= d.id {
		return true, nil
	}
	id, e, err := c.messageWithUIDL(r.Account, r.UIDL)
	switch {
	case err != nil || id == 0:
		return false, err
	case e.is(d, size):
		return false, fmt.Errorf("%w: the maildrop has the message with the unique-id %s", storage.ErrExists, r.UIDL)
	}
	return true, nil
}

// is reports whether d has the octets of the message. A message that came by SMTP has its
// trace fields beside its body, and an export of it has them inside: then only the sizes
// can be compared.
func (e *entry) is(d *draft, size int64) bool {
	return e.wire == d.wire && e.size == size && e.crc == d.crc || e.traced > 0 && e.octets() == size
}

// messageWithUIDL finds the message of a maildrop that has a unique-id; 0: there is none.
// The text fields of the entry are not to be used.
func (c *committer) messageWithUIDL(account storage.AccountID, uidl string) (id storage.MessageID, e entry, err error) {
	if e, ok := c.claimed[string(uidlKey(account, uidl))]; ok {
		return e.id, e.entry, nil
	}
	if !c.guard.enter() {
		return 0, e, storage.ErrFailed
	}
	defer c.guard.leave()
	defer c.s.recoverRead(&err)
	return c.rowWithUIDL(account, uidl)
}

// rowWithUIDL is messageWithUIDL without what the open batch has.
func (c *committer) rowWithUIDL(account storage.AccountID, uidl string) (id storage.MessageID, e entry, err error) {
	id, err = readUIDL(c.s.db, account, uidl)
	if err != nil {
		return 0, e, err
	}
	if id == 0 {
		id, _ = storage.IDOfUIDL(uidl)
	}
	if id == 0 {
		return 0, e, nil
	}
	e, _, err = c.entry(account, id)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, e, nil // for an I row that is a fault, which Check reports
	}
	return id, e, readError(err)
}

// readUIDL reads an I row; 0: there is none.
func readUIDL(rows pebble.Reader, account storage.AccountID, uidl string) (storage.MessageID, error) {
	v, closer, err := rows.Get(uidlKey(account, uidl))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, readError(err)
	}
	defer closer.Close()
	if len(v) != 8 {
		return 0, fmt.Errorf("%w: unique-id %s of account %d", storage.ErrCorrupt, uidl, account)
	}
	return storage.MessageID(binary.BigEndian.Uint64(v)), nil
}

// ChangeUIDL implements storage.Maildrops. It holds the maildrop, so that no listing with the
// old unique-id is kept.
func (s *Store) ChangeUIDL(account storage.AccountID, from, to string) error {
	if !storage.ValidUIDL(to) {
		return fmt.Errorf("%w: %.100q is no unique-id", storage.ErrInvalid, to)
	}
	l, err := s.hold(account)
	if err != nil {
		return err
	}
	defer l.Release()
	defer s.listings.drop(account)
	return s.do(&call{alone: true, stage: func(b *pebble.Batch) error {
		return s.committer.changeUIDL(b, account, from, to)
	}})
}

// changeUIDL adds the change of a unique-id.
func (c *committer) changeUIDL(b *pebble.Batch, account storage.AccountID, from, to string) error {
	id, err := readUIDL(c.s.db, account, from)
	if err != nil {
		return err
	}
	if id == 0 {
		return fmt.Errorf("%w: a message that came with the unique-id %s", storage.ErrNotFound, from)
	}
	other, _, err := c.rowWithUIDL(account, to)
	if err != nil {
		return err
	}
	if own, isID := storage.IDOfUIDL(to); other != 0 || isID && own >= id {
		return fmt.Errorf("%w: unique-id %s", storage.ErrExists, to)
	}
	var k [maildropKeyLen]byte
	key := putMaildropKey(&k, account, id)
	v, closer, err := c.s.db.Get(key)
	if err != nil {
		return readError(err)
	}
	defer closer.Close()
	var e entry
	if err := e.parse(v); err != nil {
		return err
	}
	e.uidl = []byte(to)
	_ = b.Set(key, e.appendTo(nil), nil)
	_ = b.Delete(uidlKey(account, from), nil)
	_ = b.Set(uidlKey(account, to), binary.BigEndian.AppendUint64(nil, uint64(id)), nil)
	return nil
}

// claim is a message of the open group with its unique-id.
type claim struct {
	id    storage.MessageID
	entry entry
}

// claimUIDL adds the I row of a message.
func (c *committer) claimUIDL(b *pebble.Batch, r *storage.Recipient, id storage.MessageID, e entry) {
	key := uidlKey(r.Account, r.UIDL)
	_ = b.Set(key, binary.BigEndian.AppendUint64(nil, uint64(id)), nil)
	e.traced, e.trace, e.uidl = len(e.trace), nil, nil
	c.claimed[string(key)] = claim{id, e}
}

// forgetClaims is called when the open group was applied: its rows can be read now.
func (c *committer) forgetClaims() {
	if len(c.claimed) > 0 {
		clear(c.claimed)
	}
}

// uidls checks that each I row leads to a message with its unique-id. That each such
// message has an I row was checked with the maildrops.
func (c *check) uidls() error {
	return c.scan(tagUIDL, func(k, v []byte) error {
		account, uidl := accountOfKey(k), uidlOfKey(k)
		if len(v) != 8 {
			c.fault(account, 0, "the row of the unique-id %q can't be read", uidl)
			return nil
		}
		id := storage.MessageID(binary.BigEndian.Uint64(v))
		var mk [maildropKeyLen]byte
		row, closer, err := c.rows.Get(putMaildropKey(&mk, account, id))
		if errors.Is(err, pebble.ErrNotFound) {
			c.fault(account, id, "the unique-id %q is that of a message which is not there: no other message can get it", uidl)
			return nil
		}
		if err != nil {
			return readError(err)
		}
		defer closer.Close()
		var e entry
		if e.parse(row) == nil && string(e.uidl) != uidl {
			c.fault(account, id, "the unique-id %q leads to a message with the unique-id %q", uidl, e.uidl)
		}
		return nil
	})
}

// hasUIDL checks the I row of a message.
func (c *check) hasUIDL(account storage.AccountID, id storage.MessageID, e entry) error {
	if len(e.uidl) == 0 {
		return nil
	}
	switch got, err := readUIDL(c.rows, account, string(e.uidl)); {
	case errors.Is(err, storage.ErrCorrupt):
		c.fault(account, id, "the row of the unique-id %q can't be read", e.uidl)
	case err != nil:
		return err
	case got == 0:
		c.fault(account, id, "the unique-id %q has no row: another message may get it too", e.uidl)
	case got != id:
		c.fault(account, id, "the unique-id %q is that of message %s too: a client fetches only one of them", e.uidl, got)
	}
	return nil
}
