package lsm

import (
	"encoding/binary"
	"errors"
	"slices"
)

// removedAccounts writes the removed accounts. The mail of one whose row can't be read is in
// a maildrop without an account: see owned.
func (s *salvage) removedAccounts() error {
	rows := s.set.Under(string(tagRemoved))
	for i := range rows {
		if len(rows[i].Key) != accountKeyLen {
			continue
		}
		id := accountOfKey([]byte(rows[i].Key))
		v, err := s.set.Value(&rows[i])
		if err == nil {
			_, err = parseRemoved(id, v)
		}
		if err != nil {
			s.lose(id, 0, "the row of a removed account can't be read")
			continue
		}
		if _, there := s.accounts[id]; there {
			continue // an older row of an account that was restored
		}
		s.removed[id] = true
		s.result.Removed++
		if err := s.put([]byte(rows[i].Key), v); err != nil {
			return err
		}
	}
	return nil
}

// deleted writes the deleted messages that are kept, as deleted ones. When the deletion of a
// row can't be read, a message has an M row and a K row, and may be live or deleted. It is
// live then, and only that: Purge would take the body of a message with both.
func (s *salvage) deleted() error {
	rows := s.set.Under(string(tagKept))
	for i := range rows {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		key := []byte(rows[i].Key)
		if len(key) != keptKeyLen {
			continue
		}
		account, id := accountOfKey(key), idOfMaildropKey(key)
		s.lastID = max(s.lastID, id)
		if s.live[inMaildrop{account, id}] {
			continue
		}
		v, err := s.set.Value(&rows[i])
		var at uint64
		var e entry
		if err == nil {
			v = slices.Clone(v)
			at, e, err = parseKept(v)
		}
		if err != nil {
			s.lose(account, id, "the row of the deleted message can't be read")
			continue
		}
		_, only := s.onlyDeleted[id]
		only = only || !s.claimed[id]
		s.claimed[id] = true
		if _, ok := s.accounts[account]; !ok && !s.removed[account] {
			continue // no account is invented for mail that was deleted
		}
		if err := s.body(id, &e); errors.Is(err, errLost) {
			s.result.Lost++
			s.lose(account, id, "the deleted message is lost: %v", err)
			continue
		} else if err != nil {
			return err
		}
		var k [deletedKeyLen]byte
		if err := errors.Join(s.put(key, v), s.put(putDeletedKey(&k, at, account, id), nil)); err != nil {
			return err
		}
		if e.shared() && only {
			s.onlyDeleted[id] = e
		}
		s.lastDue = max(s.lastDue, at)
		s.kept = s.kept.plus(counter{1, e.octets()})
		s.result.Deleted++
	}
	return nil
}

// lostOwners puts the shared bodies of which only deleted owners were found into
// lost-and-found, unless the count of owners says that there were no others.
func (s *salvage) lostOwners() error {
	for id, e := range s.onlyDeleted {
		var k [idKeyLen]byte
		if r := s.set.Find(putIDKey(&k, tagRefs, id)); r != nil {
			if v, err := s.set.Value(r); err == nil && len(v) == 4 && binary.BigEndian.Uint32(v) <= s.owners[id] {
				continue
			}
		}
		if err := s.lostAndFound(); err != nil {
			return err
		}
		e.trace, e.traced, e.uidl = nil, 0, nil
		var mk [maildropKeyLen]byte
		if err := s.put(putMaildropKey(&mk, s.found, id), e.appendTo(nil)); err != nil {
			return err
		}
		s.owners[id]++
		n := s.counted[s.found]
		s.counted[s.found] = counter{n.messages + 1, n.octets + e.octets()}
		s.result.Found++
	}
	return nil
}
