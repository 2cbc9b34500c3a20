package lsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"postrider/storage"
)

// message is a message open for reading. It keeps no iterator and no snapshot
// open: a session may take minutes to read it.
type message struct {
	rows  pebble.Reader
	id    storage.MessageID
	entry entry
	next  uint32 // chunk
	read  int64
	crc   uint32
	hold  io.Closer // of the piece that Next returned
}

// Entry implements storage.Message.
func (m *message) Entry() storage.Entry { return m.entry.public(m.id) }

// Next implements storage.Message. Each chunk is checked by its own length and
// checksum before it is returned, and the last one not before the whole body was.
func (m *message) Next() (piece []byte, err error) {
	defer recoverRead(&err)
	m.Close()
	if m.next == m.entry.chunks {
		return nil, io.EOF
	}
	var k [bodyKeyLen]byte
	v, closer, err := m.rows.Get(putBodyKey(&k, m.id, m.next))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, m.corrupt("chunk is missing")
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

// check takes the head off a chunk's value and checks what follows.
func (m *message) check(v []byte) ([]byte, error) {
	piece, err := openChunk(v)
	if err != nil {
		return nil, m.corrupt(err.Error())
	}
	want := min(m.entry.wire-m.read, chunkLen)
	if int64(len(piece)) != want {
		return nil, m.corrupt("chunk has a wrong length")
	}
	m.read += want
	m.crc = crc32.Update(m.crc, castagnoli, piece)
	if m.read == m.entry.wire && (m.next+1 != m.entry.chunks || m.crc != m.entry.crc) {
		return nil, m.corrupt("the body is not the one that was stored")
	}
	return piece, nil
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
}

// The errors of openChunk.
var (
	errChunkHead  = errors.New("the row can't be read")
	errChunkCRC   = errors.New("the row is damaged")
	errChunkCodec = errors.New("the codec is not known")
)

// openChunk checks the value of a B row and returns the wire octets in it.
func openChunk(v []byte) ([]byte, error) {
	if len(v) < chunkHeadLen {
		return nil, errChunkHead // also: Pebble returned nothing, without an error
	}
	if binary.BigEndian.Uint32(v[1:]) != crc32.Checksum(v[5:], castagnoli) {
		return nil, errChunkCRC
	}
	if v[0] != codecRaw {
		return nil, errChunkCodec
	}
	if int(binary.BigEndian.Uint32(v[5:])) != len(v)-chunkHeadLen {
		return nil, errChunkHead
	}
	return v[chunkHeadLen:], nil
}

// scan calls f for each row whose key begins with prefix, until f returns false
// or an error. Key and value are f's until it returns.
func scan(rows pebble.Reader, prefix []byte, f func(k, v []byte) (more bool, err error)) (err error) {
	it, err := rows.NewIter(&pebble.IterOptions{LowerBound: bytes.Clone(prefix), UpperBound: after(prefix)})
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
