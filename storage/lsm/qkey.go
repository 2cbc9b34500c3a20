package lsm

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"postrider/storage"
)

// The rows of the mail queue. doc.go has the layout.
const (
	tagQueue   = 'Q' // the entries, by destination and due time
	tagQueued  = 'E' // the place of an entry, by its id
	tagSender  = 'F' // entries by reverse-path
	tagStatus  = 'G' // entries by last status
	tagHistory = 'J' // the history of messages
	tagWake    = 'W' // when to look at a destination
)

// keyQueueTotal is the one row of the queue's counter.
var keyQueueTotal = []byte{'N'}

// heldDue is the due time of an entry that is held: none ever is due then.
const heldDue uint64 = math.MaxUint64

// entryIDLen is an EntryID in a key: id(8) part(4).
const entryIDLen = 8 + 4

func appendEntryID(k []byte, id storage.EntryID) []byte {
	k = binary.BigEndian.AppendUint64(k, uint64(id.Message))
	return binary.BigEndian.AppendUint32(k, id.Part)
}

// entryIDOf reads the EntryID that a key ends with.
func entryIDOf(k []byte) (id storage.EntryID, ok bool) {
	if len(k) <= entryIDLen {
		return id, false
	}
	k = k[len(k)-entryIDLen:]
	id.Message = storage.MessageID(binary.BigEndian.Uint64(k))
	id.Part = binary.BigEndian.Uint32(k[8:])
	return id, true
}

// appendQueuePrefix begins the Q keys of a destination. The NUL, which no domain
// holds, keeps one domain's rows apart from a longer domain's.
func appendQueuePrefix(k []byte, domain string) []byte {
	k = append(k, tagQueue)
	k = append(k, domain...)
	return append(k, 0)
}

func appendQueueKey(k []byte, domain string, due uint64, id storage.EntryID) []byte {
	k = appendQueuePrefix(k, domain)
	k = binary.BigEndian.AppendUint64(k, due)
	return appendEntryID(k, id)
}

// parseQueueKey reads what appendQueueKey wrote; domain is borrowed.
func parseQueueKey(k []byte) (domain []byte, due uint64, id storage.EntryID, ok bool) {
	end := len(k) - entryIDLen - 8 - 1
	if end < 1 || k[end] != 0 {
		return nil, 0, id, false
	}
	id, ok = entryIDOf(k)
	return k[1:end], binary.BigEndian.Uint64(k[end+1:]), id, ok
}

// appendCursorKey appends the first key after a cursor.
func appendCursorKey(k []byte, domain string, c storage.Cursor) []byte {
	if c == (storage.Cursor{}) {
		return appendQueuePrefix(k, domain)
	}
	return append(appendQueueKey(k, domain, micros(c.Due), c.ID), 0)
}

func appendQueuedKey(k []byte, id storage.EntryID) []byte {
	return appendEntryID(append(k, tagQueued), id)
}

// folded is a path as paths are compared: without case.
func folded(path string) string { return strings.ToLower(path) }

// appendSenderKey is the F key.
func appendSenderKey(k []byte, path string, id storage.EntryID) []byte {
	k = append(append(k, tagSender), folded(path)...)
	return appendEntryID(append(k, 0), id)
}

func appendStatusKey(k []byte, status string, id storage.EntryID) []byte {
	k = append(append(k, tagStatus), status...)
	return appendEntryID(append(k, 0), id)
}

// wakeSpan is the microseconds of one bucket of wake marks: a destination is woken
// at the end of its bucket, and all that falls due within one costs one row.
const wakeSpan = 4_000_000

func bucketOf(due uint64) uint32 { return uint32(min(due/wakeSpan, math.MaxUint32)) }

func appendWakeKey(k []byte, bucket uint32, domain string) []byte {
	k = binary.BigEndian.AppendUint32(append(k, tagWake), bucket)
	return append(k, domain...)
}

// wakeHeadLen is where the domain begins in a W key.
const wakeHeadLen = 1 + 4

func parseWakeKey(k []byte) (bucket uint32, domain []byte) {
	return binary.BigEndian.Uint32(k[1:]), k[wakeHeadLen:]
}

func appendHistoryKey(k []byte, id storage.EntryID, at time.Time) []byte {
	k = binary.BigEndian.AppendUint64(append(k, tagHistory), uint64(id.Message))
	k = binary.BigEndian.AppendUint64(k, micros(at))
	return binary.BigEndian.AppendUint32(k, id.Part)
}

// historyKeyLen is the length of a J key.
const historyKeyLen = 1 + 8 + 8 + 4

// micros is a time as keys have it; what is before 1970 counts as 1970.
func micros(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMicro(), 0))
}

// dueTime is the time of a due as keys have it; zero for an entry that is held.
func dueTime(due uint64) time.Time {
	if due == heldDue {
		return time.Time{}
	}
	return time.UnixMicro(int64(due))
}

// dueOf is the due time of an entry as its keys have it.
func dueOf(e *storage.QueueEntry) uint64 {
	if e.Held {
		return heldDue
	}
	return micros(e.Due)
}

// firstIDAt is the lowest id that is given at t or later. The time in an id may
// be seconds ahead of the clock (see idSource).
func firstIDAt(t time.Time) storage.MessageID {
	if t.IsZero() {
		return 0
	}
	ms := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return storage.MessageID(min(uint64(max(ms, 0)), math.MaxUint64>>idTimeShift) << idTimeShift)
}
