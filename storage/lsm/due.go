package lsm

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// ReadDue implements storage.Queue.
func (s *Store) ReadDue(domain string, after storage.Cursor, limit int) (due []*storage.QueueEntry, err error) {
	defer s.recoverRead(&err)
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	if limit <= 0 {
		return nil, nil
	}
	from := appendCursorKey(nil, domain, after)
	end := appendQueueKey(nil, domain, s.stamps.horizon()+1, storage.EntryID{})
	err = scanRange(s.db, from, end, func(k, v []byte) (bool, error) {
		e, err := entryOfRow(k, v)
		if err != nil {
			// It must not block the entries after it.
			s.opts.Log.Error("an entry of the queue can't be read and is skipped: run the check", "destination", domain, "err", err)
			return true, nil
		}
		s.stamps.present(e)
		due = append(due, e)
		return len(due) < limit, nil
	})
	if err != nil {
		return nil, err
	}
	if len(due) == 0 {
		return nil, nil
	}
	// An attempt is made for every entry that is returned: it must not be mail
	// without a Receipt.
	return due, s.awaitDurable()
}

// entryOfRow is the entry of a Q row.
func entryOfRow(k, v []byte) (*storage.QueueEntry, error) {
	domain, due, id, ok := parseQueueKey(k)
	if !ok {
		return nil, fmt.Errorf("%w: key %x of the queue", storage.ErrCorrupt, k)
	}
	e, err := parseQueueEntry(v)
	if err != nil {
		return nil, fmt.Errorf("entry %s: %w", id, err)
	}
	e.ID, e.Domain, e.Due, e.Held = id, string(domain), dueTime(due), due == heldDue
	return e, nil
}

// readPlace reads the E row of an entry; ErrNotFound.
func readPlace(rows pebble.Reader, id storage.EntryID) (standing, error) {
	v, closer, err := rows.Get(appendQueuedKey(nil, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return standing{}, fmt.Errorf("%w: entry %s", storage.ErrNotFound, id)
	}
	if err != nil {
		return standing{}, readError(err)
	}
	defer closer.Close()
	return parseStanding(v)
}

// readEntry reads the entry at a place.
func readEntry(rows pebble.Reader, id storage.EntryID, at *standing) (*storage.QueueEntry, error) {
	k := appendQueueKey(nil, at.domain, at.due, id)
	v, closer, err := rows.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, fmt.Errorf("%w: entry %s is not where it should be", storage.ErrCorrupt, id)
	}
	if err != nil {
		return nil, readError(err)
	}
	defer closer.Close()
	return entryOfRow(k, v)
}

// QueuedEntry implements storage.Queue.
func (s *Store) QueuedEntry(id storage.EntryID) (_ *storage.QueueEntry, err error) {
	defer s.recoverRead(&err)
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	rows := s.db.NewSnapshot() // the two rows are of one moment
	defer rows.Close()
	at, err := readPlace(rows, id)
	if err != nil {
		return nil, err
	}
	e, err := readEntry(rows, id, &at)
	if err == nil {
		s.stamps.present(e)
	}
	return e, err
}

// OpenQueued implements storage.Queue.
func (s *Store) OpenQueued(e *storage.QueueEntry) (_ storage.Message, err error) {
	defer s.recoverRead(&err)
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	if _, err := readPlace(s.db, e.ID); err != nil {
		return nil, err
	}
	if err := s.damaged.refuse(e.ID.Message); err != nil {
		return nil, err
	}
	return &message{s: s, rows: s.db, id: e.ID.Message, entry: bodyOf(e), queued: &e.ID, front: []byte(e.Envelope.Front), told: &s.damaged}, nil
}

// QueueTotal implements storage.Queue.
func (s *Store) QueueTotal() (entries, octets int64) {
	return s.queued.messages.Load(), s.queued.octets.Load()
}

// loadQueueTotal reads the counter of the queue.
func (s *Store) loadQueueTotal() error {
	v, closer, err := s.db.Get(keyQueueTotal)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return readError(err)
	}
	defer closer.Close()
	n, err := parseCounter(v)
	s.queued.messages.Store(n.messages)
	s.queued.octets.Store(n.octets)
	return err
}
