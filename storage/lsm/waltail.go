package lsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// After a crash Pebble takes the first chunk of the last WAL that it can't read for the
// place where writing ended, unless a later block of 32 KiB proves that the disk had
// synced more. Damage within the last block goes unseen in this way, with the
// acknowledged messages after it. inspectLog looks there too.
//
// A log is a row of blocks of 32 KiB, and a block a row of chunks (package record of
// Pebble): checksum (4 octets), length (2), type (1), number of the log (4), octets of
// this log that were synced when the chunk was written (8), payload. The first log of a
// store is of an older format, without the synced octets. A power cut may keep a later
// page of it and not an earlier one. It is a new file, so that the page that was not kept
// is zeros; damage differs from it in that.

const (
	walBlock       = 32 << 10
	walHeader      = 19
	walRecyclable  = 11 // the header without the synced octets
	walChunkTypes  = 12 // 9 to 12 have the synced octets
	walSyncedTypes = 9
	walLogTypes    = 5 // 5 to 8 have the number of the log only
)

// logTail is what is in a log after its first unreadable chunk.
type logTail struct {
	end    int64 // where the readable part ends
	chunks int   // whole chunks of this log after end
	octets int64 // their payload
	synced int64 // how far the log had been synced, as these chunks tell
	hole   bool  // a sector of zeros is between end and the first of these chunks
	silent bool  // the first of these chunks does not tell what was synced
}

// damaged reports whether octets that had been synced can't be read: a crash alone
// never does that.
func (t logTail) damaged() bool { return t.synced > t.end || t.silent && !t.hole }

// walChunk is a chunk as it is found in a block.
type walChunk struct {
	size   int // with its header
	header int
	synced int64
}

// chunkAt reads the chunk of a log at the start of b, which reaches to the end of its
// block.
func chunkAt(b []byte, number uint32) (c walChunk, ok bool) {
	if len(b) < walRecyclable {
		return c, false
	}
	kind := b[6]
	c.header = walRecyclable
	if kind >= walSyncedTypes {
		c.header = walHeader
	}
	if kind < walLogTypes || kind > walChunkTypes || len(b) < c.header || binary.LittleEndian.Uint32(b[7:]) != number {
		return c, false
	}
	c.size = c.header + int(binary.LittleEndian.Uint16(b[4:]))
	if c.size > len(b) || maskedCRC(b[6:c.size]) != binary.LittleEndian.Uint32(b) {
		return c, false
	}
	if c.header == walHeader {
		c.synced = int64(binary.LittleEndian.Uint64(b[11:])) //nolint:gosec // an offset in a file
	}
	return c, true
}

// maskedCRC is the checksum of Pebble's and LevelDB's logs.
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// inspectLog reads a log to its end and returns what follows the first chunk that can't
// be read.
func inspectLog(r io.Reader, number uint32) (t logTail, err error) {
	block := make([]byte, walBlock)
	ended := false
	for at := int64(0); ; at += walBlock {
		n, err := io.ReadFull(r, block)
		if n > 0 {
			ended = t.block(block[:n], at, number, ended)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if !ended {
				t.end = at + int64(n)
			}
			return t, nil
		case err != nil:
			return t, err
		}
	}
}

// block reads one block, which begins at an offset of the file. ended: the readable
// part has ended in a block before.
func (t *logTail) block(b []byte, at int64, number uint32, ended bool) bool {
	gap := 0 // what follows it in this block was not readable
	for i := 0; i < len(b); {
		c, ok := chunkAt(b[i:], number)
		switch {
		case ok && !ended:
			i += c.size
		case ok:
			if t.chunks == 0 {
				t.hole = t.hole || zeroSector(b[gap:i])
				t.silent = c.header == walRecyclable
			}
			t.chunks++
			t.octets += int64(c.size - c.header)
			t.synced = max(t.synced, c.synced)
			i += c.size
		case !ended && len(b)-i < walHeader && allZero(b[i:]):
			return false // no chunk fits in: the next block goes on
		case !ended:
			t.end, ended, gap = at+int64(i), true, i
			i++
		default:
			i++ // the damage may be in a length: a chunk may begin anywhere
		}
	}
	if ended && t.chunks == 0 {
		t.hole = t.hole || zeroSector(b[gap:])
	}
	return ended
}

// sector is the least that a disk writes whole.
const sector = 512

// zeroSector reports whether b has as many zeros in a row as a sector.
func zeroSector(b []byte) bool {
	run := 0
	for _, c := range b {
		if run++; c != 0 {
			run = 0
		}
		if run == sector {
			return true
		}
	}
	return false
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// damagedPrefix begins the names of logs that were set aside.
const damagedPrefix = "damaged-"

// inspectLastLog looks at the store's last log before Pebble replays it. If octets that
// had been synced can't be read, the log is copied, since Pebble deletes it once the
// readable part is in its tables, and an error is logged. Damage in the chunks that
// were written last is not seen: no later chunk shows that they were synced.
func (s *Store) inspectLastLog() error {
	names, err := s.fs.List(s.opts.Dir)
	if err != nil {
		return nil // Pebble finds the same error, and words it better
	}
	var last uint64
	name := ""
	for _, n := range names {
		base, ok := strings.CutSuffix(n, ".log")
		if number, err := strconv.ParseUint(base, 10, 32); ok && err == nil && (name == "" || number > last) {
			last, name = number, n
		}
	}
	if name == "" {
		return nil
	}
	path := s.fs.PathJoin(s.opts.Dir, name)
	f, err := s.fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return fmt.Errorf("log %s of the store can't be read: %w", path, err)
	}
	tail, err := inspectLog(f, uint32(last)) //nolint:gosec // ParseUint took 32 bits
	_ = f.Close()
	if err != nil {
		return fmt.Errorf("log %s of the store can't be read: %w", path, err)
	}
	if !tail.damaged() {
		return nil
	}
	aside := s.fs.PathJoin(s.opts.Dir, damagedPrefix+name)
	if err := vfs.Copy(s.fs, path, aside); err != nil {
		return fmt.Errorf("log %s of the store is damaged at octet %d, and a copy can't be kept: %w: make room or copy it elsewhere, then start again", path, tail.end, err)
	}
	s.opts.Log.Error("a log of the store is damaged on the disk: acknowledged messages are lost; the log was copied, and check reports it until the copy is deleted",
		"log", path, "at", tail.end, "synced", tail.synced, "chunks_lost", tail.chunks, "octets_lost", tail.octets, "copy", aside)
	return nil
}

// damagedLogs are the copies of damaged logs in the data directory.
func (s *Store) damagedLogs() (paths []string) {
	names, err := s.fs.List(s.opts.Dir)
	if err != nil {
		return nil
	}
	for _, n := range names {
		if strings.HasPrefix(n, damagedPrefix) && strings.HasSuffix(n, ".log") {
			paths = append(paths, s.fs.PathJoin(s.opts.Dir, n))
		}
	}
	return paths
}
