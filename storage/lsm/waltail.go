package lsm

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"postrider/storage/lsm/files"
)

// After a crash Pebble takes the first chunk of the last WAL that it can't read for the
// place where writing ended, unless a later block of 32 KiB proves that the disk had
// synced more. Damage within the last block goes unseen in this way, with the
// acknowledged messages after it. inspectLog looks there too.
//
// Package files has the form of a log. A power cut may keep a later page of it and not an
// earlier one. It is a new file, so that the page that was not kept is zeros; damage
// differs from it in that.

// logTail is what is in a log after its first unreadable chunk.
type logTail struct {
	end    int64 // where the readable part ends
	chunks int   // whole chunks of this log after end
	octets int64 // their payload
	synced int64 // how far the log had been synced, as these chunks tell
	hole   bool  // a sector of zeros is between end and the first of these chunks
	silent bool  // the first of these chunks does not tell what was synced

	notes  noteReader
	before uint64 // the number of the last group before end, by its note; 0: there is none
	after  uint64 // that of the first one after end
	proven uint64 // the last group that had been synced, as the notes after end tell
}

// damaged reports whether octets that had been synced can't be read: a crash alone
// never does that.
func (t logTail) damaged() bool {
	proven := t.proven > t.before && t.before > 0 || t.after > 0 && t.proven >= t.after
	return proven || t.synced > t.end || t.silent && !t.hole
}

// take takes the next chunk that can be read. ended: it is after end.
func (t *logTail) take(c files.Chunk, b []byte, ended bool) {
	n, ok, whole := t.notes.chunk(c.First(), c.Last(), b[c.Header:c.Size])
	switch {
	case !ok:
	case !ended && whole:
		t.before = n.number
	case ended:
		t.proven = max(t.proven, n.proven)
		if t.after == 0 {
			t.after = n.number
		}
	}
}

// inspectLog reads a log to its end and returns what follows the first chunk that can't
// be read.
func inspectLog(r io.Reader, number uint32) (t logTail, err error) {
	block := make([]byte, files.LogBlock)
	ended := false
	for at := int64(0); ; at += files.LogBlock {
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
		c, ok := files.ChunkAt(b[i:], number)
		switch {
		case ok && !ended:
			t.take(c, b[i:], false)
			i += c.Size
		case ok:
			if t.chunks == 0 {
				t.hole = t.hole || zeroSector(b[gap:i])
				t.silent = c.Silent()
			}
			t.chunks++
			t.octets += int64(c.Size - c.Header)
			t.synced = max(t.synced, c.Synced)
			t.take(c, b[i:], true)
			i += c.Size
		case !ended && len(b)-i < files.LogHeader && allZero(b[i:]):
			return false // no chunk fits in: the next block goes on
		case !ended:
			t.end, ended, gap = at+int64(i), true, i
			t.hole = zeroToSectorEnd(b, i)
			t.notes.lost()
			i++
		default:
			t.notes.lost()
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

// zeroToSectorEnd reports whether the sector that b[i] is in has nothing from there on. A
// power cut leaves it so if what was written before i had been synced, and the rest not.
func zeroToSectorEnd(b []byte, i int) bool {
	end := min((i+sector-1)/sector*sector, len(b))
	return i < end && allZero(b[i:end])
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
// readable part is in its tables, and an error is logged. Damage in the last group of
// changes, and in the chunks of bodies after the last but one, is not seen: nothing after it
// shows that it was synced.
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
	if err := errors.Join(vfs.Copy(s.fs, path, aside), SyncDir(s.fs, s.opts.Dir)); err != nil {
		return fmt.Errorf("log %s of the store is damaged at octet %d, and a copy can't be kept: %w: make room or copy it elsewhere, then start again", path, tail.end, err)
	}
	s.opts.Log.Error("a log of the store is damaged on the disk: acknowledged messages are lost; the log was copied, and check reports it until the copy is deleted",
		"log", path, "at", tail.end, "synced", tail.synced, "chunks_lost", tail.chunks, "octets_lost", tail.octets, "copy", aside)
	return nil
}

// damagedLogs are the copies of damaged logs in the data directory.
func damagedLogs(fsys vfs.FS, dir string) (paths []string) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil
	}
	for _, n := range names {
		if strings.HasPrefix(n, damagedPrefix) && strings.HasSuffix(n, ".log") {
			paths = append(paths, fsys.PathJoin(dir, n))
		}
	}
	return paths
}
