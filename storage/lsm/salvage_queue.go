package lsm

import (
	"errors"
	"slices"

	"postrider/storage"
)

// queue writes the entries of the queue, with the rows that lead to them.
func (s *salvage) queue() error {
	rows := s.set.Under(string(tagQueue))
	for i := range rows {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		v, err := s.set.Value(&rows[i])
		var e *storage.QueueEntry
		if err == nil {
			v = slices.Clone(v)
			e, err = entryOfRow([]byte(rows[i].Key), v)
		}
		if err != nil {
			s.lose(0, 0, "an entry of the queue can't be read")
			continue
		}
		s.lastID = max(s.lastID, e.ID.Message)
		if s.stale(e) {
			continue
		}
		s.claimed[e.ID.Message] = true
		body := bodyOf(e)
		if err := s.body(e.ID.Message, &body); errors.Is(err, errLost) {
			s.result.Lost++
			s.lose(0, e.ID.Message, "the entry %s of the queue, for %s, is lost: %v", e.ID, e.Domain, err)
			continue
		} else if err != nil {
			return err
		}
		if err := s.entry(e, []byte(rows[i].Key), v); err != nil {
			return err
		}
	}
	return nil
}

// stale reports whether a Q row is one that the entry has left: its E row says where it
// is. It may come back with a lost deletion.
func (s *salvage) stale(e *storage.QueueEntry) bool {
	if s.places[e.ID] {
		return true
	}
	r := s.set.Find(appendQueuedKey(nil, e.ID))
	if r == nil {
		return false
	}
	v, err := s.set.Value(r)
	if err != nil {
		return false
	}
	at, err := parseStanding(v)
	return err == nil && (at.domain != e.Domain || at.due != dueOf(e))
}

// entry writes an entry and its other rows.
func (s *salvage) entry(e *storage.QueueEntry, key, value []byte) error {
	s.places[e.ID] = true
	at := standing{e.Domain, dueOf(e), e.Warned}
	rows := [][2][]byte{
		{key, value},
		{appendQueuedKey(nil, e.ID), at.appendTo(nil)},
		{appendSenderKey(nil, e.Envelope.ReversePath, e.ID), nil},
	}
	if e.Status != "" {
		rows = append(rows, [2][]byte{appendStatusKey(nil, e.Status, e.ID), nil})
	}
	for _, r := range rows {
		if err := s.put(r[0], r[1]); err != nil {
			return err
		}
	}
	if !at.held() {
		bucket := bucketOf(at.due)
		if first, ok := s.marks[e.Domain]; !ok || bucket < first {
			s.marks[e.Domain] = bucket
		}
		s.lastDue = max(s.lastDue, at.due)
	}
	s.queued.messages++
	s.queued.octets += e.Body.Size
	s.result.Queued++
	return nil
}
