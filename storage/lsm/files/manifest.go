package files

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// version is which files belong to the store, as its manifest says.
type version struct {
	tables map[uint64][]uint64 // the ids of the blob files of each table
	blobs  map[uint64]uint64   // the numbers of blob files by their ids
	minLog uint64              // older logs are in tables
	seq    uint64              // the changes up to this one may be in tables; later ones are in logs
	whole  bool                // the manifest could be read to its end
}

// The tags of what an edit of a manifest says.
const (
	tagComparator     = 1
	tagLogNumber      = 2
	tagNextFile       = 3
	tagLastSequence   = 4
	tagDeletedTable   = 6
	tagPrevLog        = 9
	tagNewTable       = 103
	tagCreatedBacking = 105
	tagRemovedBacking = 106
	tagNewBlob        = 107
	tagDeletedBlob    = 108

	customEnd       = 1
	customBlobs     = 69
	customNotIgnore = 1 << 6
)

const manifestMarker = "marker.manifest."

// ManifestOf is the name of the manifest that the marker file names; "": no marker.
func ManifestOf(names []string) string {
	newest, manifest := "", ""
	for _, n := range names { // marker.manifest.000003.MANIFEST-000012: the highest counter counts
		rest, ok := strings.CutPrefix(n, manifestMarker)
		counter, name, has := strings.Cut(rest, ".")
		if ok && has && strings.HasPrefix(name, "MANIFEST-") && (manifest == "" || counter > newest) {
			newest, manifest = counter, name
		}
	}
	return manifest
}

// readManifest finds and reads the manifest.
func (s *Set) readManifest(names []string) {
	s.version = version{tables: make(map[uint64][]uint64), blobs: make(map[uint64]uint64)}
	name := ManifestOf(names)
	if name == "" {
		for _, n := range names {
			if strings.HasPrefix(n, "MANIFEST-") && n > name {
				name = n
			}
		}
		if name == "" {
			s.lose("MANIFEST", "it is missing: all files count, and deleted mail may come back")
			return
		}
		s.lose("marker.manifest", "it is missing: %s is taken for the manifest", name)
	}
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, name), vfs.SequentialReadsOption)
	if err != nil {
		s.lose(name, "it can't be read: %v: all files count, and deleted mail may come back", err)
		return
	}
	defer f.Close()
	if err := s.version.read(f); err != nil {
		s.lose(name, "it can't be read to its end (%v): all files count, and deleted mail may come back", PlainText(err))
	}
}

// read takes all edits. A damaged one ends it.
func (v *version) read(r io.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	edits, n := record.NewReader(r, 0), 0
	for ; ; n++ {
		edit, err := edits.Next()
		if errors.Is(err, io.EOF) && n > 0 {
			v.whole = true
			return nil
		}
		if err != nil {
			return err
		}
		if err := v.edit(bufio.NewReader(edit)); err != nil {
			return err
		}
	}
}

// edit takes one edit: what it deletes first, since a table that moves to another level
// is deleted and added.
func (v *version) edit(r *bufio.Reader) error {
	d := decoder{r: r}
	added := make(map[uint64][]uint64)
	for {
		tag, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			break
		}
		switch tag {
		case tagComparator:
			d.bytes()
		case tagLogNumber:
			v.minLog = d.uint()
		case tagLastSequence:
			v.seq = d.uint()
		case tagNextFile, tagPrevLog, tagRemovedBacking:
			d.uint()
		case tagCreatedBacking:
			d.uint()
			d.uint()
		case tagDeletedTable:
			d.uint()
			delete(v.tables, d.uint())
		case tagNewTable:
			number, refs := d.table()
			added[number] = refs
		case tagNewBlob:
			id := d.uint()
			v.blobs[id] = d.uint()
			d.uint() // octets
			d.uint() // octets of the values
			d.uint() // made at
		case tagDeletedBlob:
			if id, number := d.uint(), d.uint(); v.blobs[id] == number {
				delete(v.blobs, id)
			}
		default:
			return fmt.Errorf("%w: unknown tag %d", errDamaged, tag)
		}
		if err = errors.Join(err, d.err); err != nil {
			return err
		}
	}
	for number, refs := range added {
		v.tables[number] = refs
	}
	return nil
}

// decoder reads the fields of an edit; err is the first error.
type decoder struct {
	r   *bufio.Reader
	err error
}

func (d *decoder) uint() uint64 {
	n, err := binary.ReadUvarint(d.r)
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("%w: it ends in the middle", errDamaged)
	}
	return n
}

func (d *decoder) bytes() {
	n := d.uint()
	if d.err != nil || n > 1<<20 {
		d.err = errors.Join(d.err, errDamaged)
		return
	}
	if _, err := d.r.Discard(int(n)); err != nil { //nolint:gosec // at most 1 MiB
		d.err = errors.Join(d.err, errDamaged)
	}
}

// table reads a new table: its number and the ids of its blob files.
func (d *decoder) table() (number uint64, refs []uint64) {
	d.uint() // level
	number = d.uint()
	d.uint()  // octets
	d.bytes() // smallest key
	d.bytes() // largest key
	d.uint()  // smallest sequence number
	d.uint()  // largest
	refs = []uint64{}
	for d.err == nil {
		switch tag := d.uint(); {
		case tag == customEnd:
			return number, refs
		case tag == customBlobs:
			d.uint() // depth
			for n := d.uint(); n > 0 && d.err == nil; n-- {
				refs = append(refs, d.uint())
				d.uint() // octets of the values
			}
		case tag&customNotIgnore != 0:
			d.err = fmt.Errorf("%w: unknown field %d of a table", errDamaged, tag)
		default:
			d.bytes()
		}
	}
	return number, refs
}

// LacksLog reports whether a log is missing of what is not in tables yet, and its number:
// there is none, or the oldest one begins with a later change than the next. It is false
// when the manifest can't be read to its end.
func LacksLog(fsys vfs.FS, path string, names []string) (number uint64, lacks bool) {
	f, err := fsys.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	v := version{tables: make(map[uint64][]uint64), blobs: make(map[uint64]uint64)}
	if v.read(f) != nil || v.minLog == 0 {
		return 0, false
	}
	logs := 0
	for _, name := range slices.Sorted(slices.Values(names)) {
		log, ok := numberOf(name, ".log")
		if !ok || log < v.minLog {
			continue
		}
		logs++
		if seq, ok := firstChange(fsys, fsys.PathJoin(fsys.PathDir(path), name), log); ok {
			return v.minLog, v.lacks(seq)
		}
	}
	// One at least is there from the first change of the store on.
	return v.minLog, logs == 0 && !cutStart(path, names, v.minLog)
}

// cutStart reports whether a start of the store was cut off when all that the logs had was
// in tables, and before it made its own log: then there is none, and nothing is lost. A start
// takes the number of the next log first, then that of a new manifest, in which it writes
// down that the logs are not needed any more; then it makes its log, and an OPTIONS file last.
func cutStart(manifest string, names []string, minLog uint64) bool {
	made, err := strconv.ParseUint(manifest[strings.LastIndexByte(manifest, '-')+1:], 10, 64)
	options := uint64(0)
	for _, name := range names {
		if digits, ok := strings.CutPrefix(name, "OPTIONS-"); ok {
			if n, err := strconv.ParseUint(digits, 10, 64); err == nil {
				options = max(options, n)
			}
		}
	}
	return err == nil && made > minLog && options < minLog
}

// lacks reports whether changes are missing before the first one in a log.
func (v *version) lacks(seq uint64) bool { return v.seq > 0 && seq > v.seq+1 }

// firstChange is the number of the first change in a log; false: it can't be read.
func firstChange(fsys vfs.FS, path string, number uint64) (uint64, bool) {
	f, err := fsys.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	b := make([]byte, LogBlock)
	n, _ := io.ReadFull(f, b)
	c, ok := ChunkAt(b[:n], uint32(number)) //nolint:gosec // the lower half is in the chunks
	if !ok || c.Size-c.Header < 8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b[c.Header:]), true
}

// Verify reads the tables and blob files of a store, which may be open, and returns what
// of them can't be read.
func Verify(ctx context.Context, fsys vfs.FS, dir, merger string) ([]Loss, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	s := newSet(fsys, dir, merger, func([]byte) bool { return false })
	defer s.Close()
	s.readManifest(names)
	found := s.Losses
	s.Losses = nil
	live := make(map[string]bool)
	for n := range s.version.tables {
		live[fmt.Sprintf("%06d.sst", n)] = true
	}
	for _, n := range s.version.blobs {
		live[fmt.Sprintf("%06d.blob", n)] = true
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !live[n] })
	slices.Sort(names)
	s.version = version{whole: true, tables: s.version.tables}
	if err := errors.Join(s.readBlobs(ctx, names), s.readTables(ctx, names)); err != nil {
		return found, err
	}
	for _, l := range s.Losses {
		// A file that is gone was not needed any more.
		if _, err := fsys.Stat(fsys.PathJoin(dir, l.File)); err == nil {
			found = append(found, l)
		}
	}
	return found, nil
}
