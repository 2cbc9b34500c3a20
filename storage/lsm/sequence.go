package lsm

import (
	"bytes"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// sequence reads messages of a locked maildrop in ascending order. Open asks Pebble
// twice a message, and each time all levels, files and blob files are found again;
// two iterators that only move forwards are where the next row is, or near it.
type sequence struct {
	lock    *lock
	entries *pebble.Iterator // over the maildrop's rows
	bodies  *pebble.Iterator
	message message // the one that is being read
}

// Sequence implements storage.Lock.
func (l *lock) Sequence() (_ storage.Sequence, err error) {
	defer l.s.recoverRead(&err)
	if !l.valid() {
		return nil, storage.ErrFenced
	}
	q := &sequence{lock: l}
	var k [accountKeyLen]byte
	if q.entries, err = iterate(l.s.db, putAccountKey(&k, tagMaildrop, l.account)); err != nil {
		return nil, err
	}
	if q.bodies, err = iterate(l.s.db, []byte{tagBody}); err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// iterate opens an iterator over the rows with keys that begin with prefix.
func iterate(rows pebble.Reader, prefix []byte) (*pebble.Iterator, error) {
	it, err := rows.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	return it, readError(err)
}

// Append implements storage.Sequence.
func (q *sequence) Append(dst []byte, id storage.MessageID) (_ []byte, _ storage.Entry, err error) {
	defer q.lock.s.recoverRead(&err)
	m := &q.message
	*m = message{s: q.lock.s, rows: q.lock.s.db, id: id, lock: q.lock}
	if err := q.entry(); err != nil {
		return dst, storage.Entry{}, err
	}
	e := m.Entry()
	// What has to be mended may need more room than its entry says: see mend.go.
	if !m.entry.wireForm() || int64(len(e.Trace))+e.Wire > int64(cap(dst)-len(dst)) {
		return dst, e, io.ErrShortBuffer
	}
	out := append(dst, e.Trace...)
	for m.next < m.entry.chunks {
		if out, err = q.chunk(out); err != nil {
			return dst, e, err
		}
	}
	return out, e, nil
}

// entry finds the message's row in the maildrop.
func (q *sequence) entry() error {
	m := &q.message
	var k [maildropKeyLen]byte
	key := putMaildropKey(&k, q.lock.account, m.id)
	// The next one, most times.
	if !q.entries.Valid() || !q.entries.Next() || !bytes.Equal(q.entries.Key(), key) {
		if !q.entries.SeekGE(key) || !bytes.Equal(q.entries.Key(), key) {
			if err := q.entries.Error(); err != nil {
				return readError(err)
			}
			return q.lock.notFound(m.id)
		}
	}
	v, err := q.entries.ValueAndErr()
	if err != nil {
		return readError(err)
	}
	if err := m.entry.parse(v); err != nil {
		return err
	}
	if q.lock.lists(m.id) {
		return nil
	}
	return q.lock.s.awaitDurable()
}

// chunk appends the message's next chunk to dst, which has room for it.
func (q *sequence) chunk(dst []byte) ([]byte, error) {
	m := &q.message
	var k [bodyKeyLen]byte
	key := putBodyKey(&k, m.id, m.next)
	if !q.bodies.SeekGE(key) || !bytes.Equal(q.bodies.Key(), key) {
		if err := q.bodies.Error(); err != nil {
			return dst, readError(err)
		}
		return dst, m.missing()
	}
	v, err := q.bodies.ValueAndErr()
	if err != nil {
		return dst, readError(err)
	}
	piece, err := openChunk(v, dst[len(dst):])
	if err != nil {
		return dst, m.corrupt(err.Error())
	}
	if err := m.count(piece); err != nil {
		return dst, err
	}
	m.next++
	if codec(v[0]) != raw { // piece is there already
		return dst[:len(dst)+len(piece)], nil
	}
	return append(dst, piece...), nil
}

// Close implements storage.Sequence.
func (q *sequence) Close() {
	var err error
	defer q.lock.s.recoverRead(&err)
	for _, it := range []*pebble.Iterator{q.entries, q.bodies} {
		if it != nil {
			_ = it.Close() // its error is the one that a read had
		}
	}
	q.entries, q.bodies = nil, nil
}
