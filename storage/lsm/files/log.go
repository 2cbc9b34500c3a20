package files

import (
	"encoding/binary"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A log is a row of blocks of 32 KiB, and a block a row of chunks: checksum (4 octets),
// length (2), type (1), number of the log (4), octets of this log that were synced when
// the chunk was written (8), payload. The first log of a store is of an older format,
// without the synced octets. Chunks after the end of what was written may be of an older
// log with another number.
const (
	LogBlock       = 32 << 10
	LogHeader      = 19
	logRecyclable  = 11 // the header without the synced octets
	logChunkTypes  = 12 // 9 to 12 have the synced octets
	logSyncedTypes = 9
	logLogTypes    = 5 // 5 to 8 have the number of the log only
)

// Chunk is a chunk as it is found in a block of a log.
type Chunk struct {
	Size   int // with its header
	Header int
	Synced int64 // octets of the log that were synced; 0: it does not say
	part   part
}

// First reports whether a record begins with the chunk.
func (c Chunk) First() bool { return c.part == whole || c.part == first }

// Last reports whether a record ends with the chunk.
func (c Chunk) Last() bool { return c.part == whole || c.part == last }

// Silent reports whether the chunk does not say what was synced.
func (c Chunk) Silent() bool { return c.Header == logRecyclable }

// part is what a chunk is of its record.
type part int

const (
	whole part = iota
	first
	middle
	last
)

// ChunkAt reads the chunk of a log at the start of b, which reaches to the end of its
// block.
func ChunkAt(b []byte, number uint32) (c Chunk, ok bool) {
	if len(b) < logRecyclable {
		return c, false
	}
	kind := b[6]
	c.Header = logRecyclable
	if kind >= logSyncedTypes {
		c.Header = LogHeader
	}
	if kind < logLogTypes || kind > logChunkTypes || len(b) < c.Header || binary.LittleEndian.Uint32(b[7:]) != number {
		return c, false
	}
	c.Size = c.Header + int(binary.LittleEndian.Uint16(b[4:]))
	if c.Size > len(b) || MaskedCRC(b[6:c.Size]) != binary.LittleEndian.Uint32(b) {
		return c, false
	}
	if c.Header == LogHeader {
		c.Synced = int64(binary.LittleEndian.Uint64(b[11:])) //nolint:gosec // an offset in a file
	}
	c.part = part(kind-1) % 4
	return c, true
}

// records are the whole records of a log, and the parts of it between readable chunks
// that can't be read; before is the number of records before the first of them. synced is
// how far the log had been synced, as its chunks tell.
func records(b []byte, number uint32) (found [][]byte, before int, lost []span, synced int64) {
	var open []byte // the record that has begun; nil: none has
	bad := int64(-1)
	for at := 0; at < len(b); {
		end := min(len(b), (at/LogBlock+1)*LogBlock)
		c, ok := ChunkAt(b[at:end], number)
		if !ok {
			if bad < 0 && (end-at >= LogHeader || end == len(b)) {
				bad = int64(at)
			}
			if bad < 0 {
				at = end
				continue
			}
			at++ // the damage may be in a length: a chunk may begin anywhere
			continue
		}
		if bad >= 0 {
			if len(lost) == 0 {
				before = len(found)
			}
			lost, bad, open = append(lost, span{bad, int64(at)}), -1, nil
		}
		synced = max(synced, c.Synced)
		payload := b[at+c.Header : at+c.Size]
		switch c.part {
		case whole:
			found, open = append(found, payload), nil
		case first:
			open = append([]byte{}, payload...)
		case middle, last:
			if open == nil {
				break // its beginning is lost
			}
			if open = append(open, payload...); c.part == last {
				found, open = append(found, open), nil
			}
		}
		at += c.Size
	}
	if bad >= 0 && bad < synced {
		lost = append(lost, span{bad, int64(len(b))})
	}
	if len(lost) == 0 {
		before = len(found)
	}
	return found, before, lost, synced
}

// logOctets reads a log whole.
func (s *Set) logOctets(name string) ([]byte, bool) {
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, name), vfs.SequentialReadsOption)
	if err != nil {
		s.lose(name, "it can't be read: %v", err)
		return nil, false
	}
	b, err := io.ReadAll(f)
	_ = f.Close()
	if err != nil {
		s.lose(name, "it can't be read: %v", err)
	}
	return b, err == nil
}

// readDamagedLog takes the rows after the damage in a log that a start has set aside: the
// store has what was before. They are of messages and entries that were never seen again,
// so that nothing can have changed them later; other rows may be older than the store's.
func (s *Set) readDamagedLog(name string, number uint64, ofMail func(key []byte) bool) {
	b, ok := s.logOctets(name)
	if !ok {
		return
	}
	found, before, _, _ := records(b, uint32(number)) //nolint:gosec // as in readLog
	keep := s.keep
	s.keep = func(key []byte) bool { return keep(key) && ofMail(key) }
	for _, r := range found[before:] {
		s.batch(name, r)
	}
	s.keep = keep
}

// readLog takes the rows of a log. Its values are kept in memory.
func (s *Set) readLog(name string, number uint64) {
	b, ok := s.logOctets(name)
	if !ok {
		return
	}
	found, _, lost, synced := records(b, uint32(number)) //nolint:gosec // the lower half is in the chunks
	for _, l := range lost {
		s.lose(name, "%s can't be read: what was written there is lost", l)
	}
	if synced > int64(len(b)) {
		s.lose(name, "it is cut: it has %d octets, and at least %d were written", len(b), synced)
	}
	for _, r := range found {
		s.batch(name, r)
	}
}

// batch takes the rows of one record.
func (s *Set) batch(name string, record []byte) {
	defer func() {
		if p := recover(); p != nil {
			s.lose(name, "a record of it can't be read: %v", p)
		}
	}()
	head, ok := batchrepr.ReadHeader(record)
	if !ok {
		return
	}
	seq := uint64(head.SeqNum)
	for rows := batchrepr.Read(record); ; {
		kind, key, value, ok, err := rows.Next()
		if err != nil {
			s.lose(name, "a record of it can't be read: %v", err)
		}
		if err != nil || !ok {
			return
		}
		switch kind {
		case pebble.InternalKeyKindLogData:
			continue // has no number of its own
		case pebble.InternalKeyKindRangeDelete:
			s.deletions = append(s.deletions, deletion{string(key), string(value), seq})
		default:
			if s.keep(key) {
				s.rows = append(s.rows, Row{Key: string(key), trailer: seq<<8 | uint64(kind), inLog: value, value: -1})
			}
		}
		seq++
	}
}
