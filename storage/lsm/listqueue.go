package lsm

import (
	"bytes"
	"errors"
	"strings"
	"unicode"

	"github.com/cockroachdb/pebble/v2"

	"postrider/codec/address"
	"postrider/storage"
)

// runLen is how many rows a listing reads before it lets go of the store and
// hands out what it has found. What is listed may take minutes to print.
const runLen = 256

// run calls read for the next rows from from on, below end, all of one moment. next
// is where to go on; nil: that was all.
func (s *Store) run(from, end []byte, read func(rows pebble.Reader, k, v []byte) error) (next []byte, err error) {
	defer s.recoverRead(&err)
	if s.closed.Load() {
		return nil, storage.ErrClosed
	}
	rows := s.db.NewSnapshot()
	defer rows.Close()
	n := 0
	err = scanRange(rows, from, end, func(k, v []byte) (bool, error) {
		if n++; n > runLen {
			next = bytes.Clone(k)
			return false, nil
		}
		return true, read(rows, k, v)
	})
	return next, err
}

// Queued implements storage.Queue. The most selective condition chooses the index
// is read; the others are held against what it finds.
func (s *Store) Queued(filter storage.QueueFilter, f func(*storage.QueueEntry) bool) error {
	filter.ArrivedBefore, filter.ArrivedAfter = s.stamps.shift(filter.ArrivedBefore), s.stamps.shift(filter.ArrivedAfter)
	from, end := filterRange(&filter)
	if bytes.Compare(from, end) >= 0 {
		return nil
	}
	var found []*storage.QueueEntry
	for from != nil {
		found = found[:0]
		next, err := s.run(from, end, func(rows pebble.Reader, k, v []byte) error {
			e, err := filtered(&filter, rows, k, v)
			if err == nil && e != nil {
				s.stamps.present(e)
				found = append(found, e)
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, e := range found {
			if !f(e) {
				return nil
			}
		}
		from = next
	}
	return nil
}

// filterRange is the range of rows that has all that the filter lets through.
func filterRange(q *storage.QueueFilter) (from, end []byte) {
	switch {
	case q.Message != 0:
		from = appendQueuedKey(nil, storage.EntryID{Message: q.Message})
		return from, after(from[:idKeyLen])
	case q.Domain != "" && hasOneSpelling(q.Domain):
		from = appendQueuePrefix(nil, q.Domain)
		return from, after(from)
	case q.Status != "":
		from = append([]byte{tagStatus}, q.Status...)
		// "4.4" ends with NUL there, and "4.4.1" goes on with a dot.
		return append(bytes.Clone(from), 0), append(from, '.'+1)
	case q.ReversePath != nil && hasOneSpelling(*q.ReversePath):
		from = append([]byte{tagSender}, folded(*q.ReversePath)...)
		from = append(from, 0)
		return from, after(from)
	}
	if q.AnyOrder && q.ArrivedBefore.IsZero() && q.ArrivedAfter.IsZero() {
		return []byte{tagQueue}, []byte{tagQueue + 1} // no second look for each entry
	}
	from = appendQueuedKey(nil, storage.EntryID{Message: firstIDAt(q.ArrivedAfter)})
	end = []byte{tagQueued + 1}
	if !q.ArrivedBefore.IsZero() {
		end = appendQueuedKey(nil, storage.EntryID{Message: firstIDAt(q.ArrivedBefore)})
	}
	return from, end
}

// filtered is the entry that a row of an index leads to, if the filter lets it
// through.
func filtered(q *storage.QueueFilter, rows pebble.Reader, k, v []byte) (*storage.QueueEntry, error) {
	id, ok := entryIDOf(k)
	if !ok || !inTime(q, id.Message) {
		return nil, nil
	}
	if k[0] == tagQueue {
		e, err := entryOfRow(k, v)
		if err != nil || !lets(q, e) {
			return nil, err
		}
		return e, nil
	}
	at, err := parseStanding(v)
	if k[0] != tagQueued {
		at, err = readPlace(rows, id)
	}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case q.Held != nil && *q.Held != at.held(), q.Unwarned && at.warned, !isTo(q, at.domain):
		return nil, nil
	}
	e, err := readEntry(rows, id, &at)
	if err != nil || !lets(q, e) {
		return nil, err
	}
	return e, nil
}

// hasOneSpelling reports whether text has no domain that may be written with U-labels and
// with A-labels. Of others the index may have either: that of senders as MAIL had it,
// that of destinations as programs before format 3 kept it.
func hasOneSpelling(text string) bool {
	return !strings.Contains(strings.ToLower(text), "xn--") && !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// isTo reports whether the filter lets a destination through.
func isTo(q *storage.QueueFilter, domain string) bool {
	return q.Domain == "" || q.Domain == domain || q.Domain == address.FoldDomain(domain)
}

// inTime reports whether a message arrived in the filter's time, by its id.
func inTime(q *storage.QueueFilter, id storage.MessageID) bool {
	return (q.Message == 0 || q.Message == id) &&
		id >= firstIDAt(q.ArrivedAfter) &&
		(q.ArrivedBefore.IsZero() || id < firstIDAt(q.ArrivedBefore))
}

// lets holds an entry against all other conditions of a filter.
func lets(q *storage.QueueFilter, e *storage.QueueEntry) bool {
	switch {
	case !isTo(q, e.Domain),
		q.ReversePath != nil && address.Fold(e.Envelope.ReversePath) != address.Fold(*q.ReversePath),
		q.Status != "" && e.Status != q.Status && !strings.HasPrefix(e.Status, q.Status+"."),
		q.Held != nil && e.Held != *q.Held,
		q.Unwarned && e.Warned:
		return false
	}
	return true
}
