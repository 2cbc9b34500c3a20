package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// message is a message open for reading. It keeps no iterator and no snapshot
// open: a session may take minutes to read it.
type message struct {
	s      *Store
	rows   pebble.Reader
	id     storage.MessageID
	entry  entry
	next   uint32 // chunk
	read   int64
	crc    uint32
	hold   io.Closer        // holds the piece that Next returned
	queued *storage.EntryID // the queue entry with this body; nil: a maildrop has it
	lock   *lock            // that it was opened with; nil: none
	front  []byte           // a piece of its own before the body
	mend   *mending         // for a body that may not be in wire form; nil until it is read
	plain  *[chunkLen]byte  // where chunks are decompressed; nil until one has to be
	told   *damaged         // remembers damage; nil: nothing is remembered
}

// plains are buffers for decompressed chunks.
var plains = sync.Pool{New: func() any { return new([chunkLen]byte) }}

// Entry implements storage.Message.
func (m *message) Entry() storage.Entry { return m.entry.public(m.id) }

// Next implements storage.Message.
func (m *message) Next() (piece []byte, err error) {
	defer func() { m.told.note(m.id, err) }()
	defer m.s.recoverRead(&err)
	m.Close()
	if len(m.front) > 0 {
		piece, m.front = m.front, nil
		return piece, nil
	}
	if m.entry.wireForm() {
		return m.nextChunk()
	}
	return m.nextMended()
}

// nextChunk reads the next piece of the body as it is stored. Each chunk is checked by
// its own length and checksum before it is returned, and the last one not before the
// whole body was.
func (m *message) nextChunk() (piece []byte, err error) {
	if m.next == m.entry.chunks {
		return nil, io.EOF
	}
	var k [bodyKeyLen]byte
	v, closer, err := m.rows.Get(putBodyKey(&k, m.id, m.next))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, m.missing()
	}
	if err != nil {
		return nil, readError(err)
	}
	m.hold = closer
	piece, err = m.check(v)
	if err != nil {
		m.Close()
		return nil, err
	}
	m.next++
	return piece, nil
}

// missing reports why a chunk is not there. A maildrop is locked while it is read, but the
// lock is lost when its account is removed; an entry of the queue may be removed under its
// reader.
func (m *message) missing() error {
	if m.lock != nil && !m.lock.valid() {
		return storage.ErrFenced
	}
	if m.queued != nil {
		if _, err := readPlace(m.rows, *m.queued); errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return m.corrupt("chunk is missing")
}

// check takes the head off a chunk's value and checks what follows.
func (m *message) check(v []byte) ([]byte, error) {
	if m.plain == nil && len(v) > 0 && codec(v[0]) != raw {
		m.plain = plains.Get().(*[chunkLen]byte)
	}
	var room []byte
	if m.plain != nil {
		room = m.plain[:0]
	}
	piece, err := openChunk(v, room)
	if err != nil {
		return nil, m.corrupt(err.Error())
	}
	return piece, m.count(piece)
}

// count checks that a chunk has the length that the entry wants, and that with the
// last one the whole body is the one that was stored.
func (m *message) count(piece []byte) error {
	want := min(m.entry.wire-m.read, chunkLen)
	if int64(len(piece)) != want {
		return m.corrupt("chunk has a wrong length")
	}
	m.read += want
	m.crc = crc32.Update(m.crc, castagnoli, piece)
	if m.read == m.entry.wire && (m.next+1 != m.entry.chunks || m.crc != m.entry.crc) {
		return m.corrupt("the body is not the one that was stored")
	}
	return nil
}

func (m *message) corrupt(what string) error {
	return fmt.Errorf("%w: message %s, chunk %d of %d: %s", storage.ErrCorrupt, m.id, m.next, m.entry.chunks, what)
}

// Close implements storage.Message.
func (m *message) Close() {
	if m.hold != nil {
		_ = m.hold.Close() // its error is the one that the length check found
		m.hold = nil
	}
	if m.plain != nil {
		plains.Put(m.plain)
		m.plain = nil
	}
}

// scan calls f for each row with a key that begins with prefix, until f returns false
// or an error. Key and value are f's until it returns.
func scan(rows pebble.Reader, prefix []byte, f func(k, v []byte) (more bool, err error)) (err error) {
	return scanRange(rows, bytes.Clone(prefix), after(prefix), f)
}

// scanRange is scan for the keys from one on, below another. Both must stay as they
// are.
func scanRange(rows pebble.Reader, from, end []byte, f func(k, v []byte) (more bool, err error)) (err error) {
	it, err := rows.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return readError(err)
	}
	defer func() { err = errors.Join(err, readError(it.Close())) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return readError(err)
		}
		more, err := f(it.Key(), v)
		if err != nil || !more {
			return err
		}
	}
	return readError(it.Error())
}

// scanKeys is scanRange without the values.
func scanKeys(rows pebble.Reader, from, end []byte, f func(k []byte) (more bool)) (err error) {
	it, err := rows.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return readError(err)
	}
	defer func() { err = errors.Join(err, readError(it.Close())) }()
	for ok := it.First(); ok && f(it.Key()); ok = it.Next() {
	}
	return readError(it.Error())
}

// after is the first key after all that begin with prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i, b := range slices.Backward(end) {
		if b < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}
