package lsm

import (
	"encoding/binary"
	"fmt"
	"time"

	"postrider/storage"
)

// entryVersion is the first octet of a maildrop row's value.
const entryVersion = 1

// entryShared marks an entry with a body that has an R row, because it was delivered
// to more than one maildrop. Without the mark the entry owns its body.
const entryShared = 1

// entryPacked marks an entry with a compressed chunk in its body.
const entryPacked = 2

// entryWireForm marks an entry with a body in the wire form of package dot: see
// mend.go.
const entryWireForm = 4

// entryUIDL marks an entry with a unique-id that the message came with: after the trace, to
// the end.
const entryUIDL = 8

// entryHeadLen is the length of a maildrop row's value up to the trace.
const entryHeadLen = 1 + 1 + 8 + 8 + 8 + 4 + 4 + 2

// entry is the value of a maildrop row: all that LIST, UIDL and RETR have to
// know of a message before they read its body.
type entry struct {
	flags   byte
	arrival int64 // ms since 1970
	wire    int64
	size    int64
	crc     uint32 // the checksum of the whole body in wire form
	chunks  uint32
	trace   []byte // borrowed from the value that was parsed, as is uidl
	uidl    []byte // empty: the id is the unique-id
	traced  int    // octets of trace, also when trace is not to be used any more
}

// appendTo appends the value of the row to dst.
func (e *entry) appendTo(dst []byte) []byte {
	flags := e.flags
	if len(e.uidl) > 0 {
		flags |= entryUIDL
	}
	dst = append(dst, entryVersion, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.arrival))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.wire))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.size))
	dst = binary.BigEndian.AppendUint32(dst, e.crc)
	dst = binary.BigEndian.AppendUint32(dst, e.chunks)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(e.trace)))
	dst = append(dst, e.trace...)
	return append(dst, e.uidl...)
}

// parse reads a value that appendTo wrote. A row that Pebble failed to read
// without saying so comes as an empty value and is found here too.
func (e *entry) parse(v []byte) error {
	if len(v) < entryHeadLen || v[0] != entryVersion {
		return fmt.Errorf("%w: maildrop row of %d octets can't be read", storage.ErrCorrupt, len(v))
	}
	e.flags = v[1] &^ entryUIDL
	e.arrival = int64(binary.BigEndian.Uint64(v[2:]))
	e.wire = int64(binary.BigEndian.Uint64(v[10:]))
	e.size = int64(binary.BigEndian.Uint64(v[18:]))
	e.crc = binary.BigEndian.Uint32(v[26:])
	e.chunks = binary.BigEndian.Uint32(v[30:])
	e.trace, e.uidl = v[entryHeadLen:], nil
	e.traced = int(binary.BigEndian.Uint16(v[34:]))
	if v[1]&entryUIDL != 0 && e.traced < len(e.trace) {
		e.trace, e.uidl = e.trace[:e.traced], e.trace[e.traced:]
	} else if v[1]&entryUIDL != 0 || e.traced != len(e.trace) {
		return fmt.Errorf("%w: maildrop row of %d octets is cut short", storage.ErrCorrupt, len(v))
	}
	if len(e.uidl) > storage.MaxUIDL {
		return fmt.Errorf("%w: maildrop row of %d octets is too long", storage.ErrCorrupt, len(v))
	}
	return nil
}

// octets is Entry.Octets.
func (e *entry) octets() int64 { return int64(e.traced) + e.size }

// shared reports whether the body has an R row.
func (e *entry) shared() bool { return e.flags&entryShared != 0 }

// packed reports whether some chunk of the body is compressed.
func (e *entry) packed() bool { return e.flags&entryPacked != 0 }

// public is the entry as the contract has it. Trace and UIDL stay borrowed.
func (e *entry) public(id storage.MessageID) storage.Entry {
	return storage.Entry{
		ID:      id,
		Arrival: time.UnixMilli(e.arrival),
		Trace:   e.trace,
		UIDL:    e.uidl,
		Wire:    e.wire,
		Size:    e.size,
	}
}

// wireForm reports whether the body may be sent as it is stored.
func (e *entry) wireForm() bool { return e.flags&entryWireForm != 0 }
