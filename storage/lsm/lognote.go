package lsm

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
)

// The batch of each group begins with a note that only the log has, and not the tables: the
// number of the group, and the last group that had been synced before. When a part of a log
// can't be read, the notes after it prove whether that part had been synced. Pebble writes
// down in each chunk how many octets it had synced, but not enough to rely on: v2.1.7 counts
// them after it has told the waiting callers, so that the next chunk may not know of the
// last sync, and it leaves out what it writes as whole blocks, so that it falls back with
// each block (TestALogNoteKnowsTheLastSync).
type logNote struct {
	number uint64 // counts the groups of this process
	proven uint64 // all groups up to this one are synced; 0: none is known to be
}

// logNoteTag begins a note, and is its version.
const logNoteTag = 1

// logNoteLen is the length of a note, and logNoteEnd where it ends in a record: it is the
// first change of its batch, after the kind of the change and the note's length.
const (
	logNoteLen = 1 + 8 + 8
	logNoteEnd = batchrepr.HeaderLen + 2 + logNoteLen
)

// appendLogNote appends a note as it is in a log.
func appendLogNote(dst []byte, n logNote) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, logNoteTag), n.number)
	return binary.BigEndian.AppendUint64(dst, n.proven)
}

// parseLogNote reads the note of a record from its first octets. Records of chunks of a body,
// and of older programs, have none.
func parseLogNote(record []byte) (n logNote, ok bool) {
	if len(record) < logNoteEnd {
		return n, false
	}
	at := record[batchrepr.HeaderLen:logNoteEnd]
	if at[0] != byte(pebble.InternalKeyKindLogData) || at[1] != logNoteLen || at[2] != logNoteTag {
		return n, false
	}
	return logNote{binary.BigEndian.Uint64(at[3:]), binary.BigEndian.Uint64(at[11:])}, true
}

// noteReader finds the notes of a log in its chunks.
type noteReader struct {
	head []byte // the first octets of the record that is being read; nil: its beginning is not there
}

// chunk takes the next chunk that can be read. whole: the record of the note ends with it.
func (r *noteReader) chunk(first, last bool, payload []byte) (n logNote, ok, whole bool) {
	if first {
		r.head = make([]byte, 0, logNoteEnd)
	}
	if r.head == nil {
		return n, false, false
	}
	r.head = append(r.head, payload[:min(len(payload), logNoteEnd-len(r.head))]...)
	n, ok = parseLogNote(r.head)
	if last {
		r.head = nil
	}
	return n, ok, last
}

// lost forgets the record that was being read: its next chunk is not there.
func (r *noteReader) lost() { r.head = nil }
