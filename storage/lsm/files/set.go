package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Loss is a file, or a part of it, that can't be read.
type Loss struct {
	File string // its name
	Text string
}

// Row is a row of the store: the newest version of its key.
type Row struct {
	Key     string
	trailer uint64 // when it was written, and the kind of the change
	inLog   []byte // the value of a row in a log
	table   *table // nil: it is in a log
	block   int32
	row     int32
	value   int32 // index in table.values; -1: the value is in the block or in inLog
}

// Set is what can be read of a store.
type Set struct {
	fs      vfs.FS
	dir     string
	keep    func(key []byte) bool
	options sstable.ReaderOptions
	version version

	tables    map[uint64]*table
	blobs     map[uint64]*blobFile
	rows      []Row
	deletions []deletion
	// Losses are in the order in which they were met.
	Losses []Loss
	// RowsLost: some rows can't be read, so that values may have lost theirs.
	RowsLost bool
}

// lose notes a loss.
func (s *Set) lose(file, format string, args ...any) {
	s.Losses = append(s.Losses, Loss{file, fmt.Sprintf(format, args...)})
	s.RowsLost = s.RowsLost || strings.HasSuffix(file, ".sst")
}

// inWords takes the library's name, and its words for itself, out of the text of an error.
var inWords = strings.NewReplacer("pebble/table: ", "", "pebble/record: ", "", "pebble: ", "", "pebble/", "",
	"(type sstable) unknown to the objstorage provider: ", "", " <corruption detail carrier>", "", "pebble", "the store")

// PlainText is an error of Pebble in words for an operator: without its name, on one line.
func PlainText(err error) string {
	return inWords.Replace(strings.Join(strings.Fields(err.Error()), " "))
}

// Options say what is read.
type Options struct {
	Merger string                // the name of what the store merges by
	Keep   func(key []byte) bool // whether a row is of interest
	// Aside begins the names of logs that a start of the store has set aside. Of these
	// the rows are read that OfMail lets through.
	Aside  string
	OfMail func(key []byte) bool
}

// Read reads the files of the store in dir, which must not be open. The caller closes the
// Set.
func Read(ctx context.Context, fsys vfs.FS, dir string, o Options) (*Set, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	s := newSet(fsys, dir, o.Merger, o.Keep)
	s.readManifest(names)
	if err := s.readBlobs(ctx, names); err != nil {
		return s, err
	}
	if err := s.readTables(ctx, names); err != nil {
		return s, err
	}
	logs := 0
	for _, n := range names {
		if number, ok := numberOf(strings.TrimPrefix(n, o.Aside), ".log"); ok && strings.HasPrefix(n, o.Aside) {
			s.readDamagedLog(n, number, o.OfMail)
			continue
		}
		number, ok := numberOf(n, ".log")
		if ok && (!s.version.whole || number >= s.version.minLog) {
			s.readLog(n, number)
			logs++
		}
	}
	if s.version.whole && logs == 0 && !cutStart(ManifestOf(names), names, s.version.minLog) {
		s.lose(fmt.Sprintf("%06d.log", s.version.minLog), "it is missing: what was written last is lost, if there was something")
	}
	if s.version.whole && logs > 0 {
		if number, lacks := LacksLog(fsys, fsys.PathJoin(dir, ManifestOf(names)), names); lacks {
			s.lose(fmt.Sprintf("%06d.log", number), "it is missing: what was written in it is lost")
		}
	}
	s.refer()
	s.newest()
	return s, nil
}

func newSet(fsys vfs.FS, dir, merger string, keep func(key []byte) bool) *Set {
	return &Set{fs: fsys, dir: dir, keep: keep, options: readerOptions(merger), tables: make(map[uint64]*table), blobs: make(map[uint64]*blobFile)}
}

// Close closes the files.
func (s *Set) Close() {
	for _, t := range s.tables {
		t.close()
	}
	for _, b := range s.blobs {
		b.close()
	}
}

func (s *Set) readBlobs(ctx context.Context, names []string) error {
	for _, n := range names {
		number, ok := numberOf(n, ".blob")
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := openFile(s.fs, s.dir, n)
		if err != nil {
			s.lose(n, "it can't be read: %v", err)
			continue
		}
		b := &blobFile{file: f, number: number}
		b.read(s)
		s.blobs[number] = b
	}
	for _, number := range slices.Sorted(maps.Values(s.version.blobs)) {
		if s.blobs[number] == nil {
			s.lose(fmt.Sprintf("%06d.blob", number), "it is missing: the parts of messages in it are lost")
		}
	}
	return nil
}

// readTables reads the tables of the version. If the manifest is not whole, or names
// tables that are not there, tables that it does not name are read as well.
func (s *Set) readTables(ctx context.Context, names []string) error {
	all := !s.version.whole
	there := make(map[uint64]bool)
	for _, n := range names {
		if number, ok := numberOf(n, ".sst"); ok {
			there[number] = true
		}
	}
	for _, number := range slices.Sorted(maps.Keys(s.version.tables)) {
		if !there[number] {
			all = true
			s.lose(fmt.Sprintf("%06d.sst", number), "it is missing: the rows in it are lost")
		}
	}
	for _, n := range names {
		number, ok := numberOf(n, ".sst")
		refs, named := s.version.tables[number]
		if !ok || !named && !all {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := openFile(s.fs, s.dir, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			s.lose(n, "it can't be read: %v", err)
			continue
		}
		t := &table{file: f, number: number, refs: refs}
		s.tables[number] = t
		t.read(s)
	}
	return nil
}

// refer finds the blob files of the tables that the manifest does not name, and notes
// which values have a row.
func (s *Set) refer() {
	for _, t := range s.tables {
		byRef := make(map[uint32][]reference)
		for _, r := range t.values {
			byRef[r.ref] = append(byRef[r.ref], r)
		}
		if t.refs == nil {
			t.refs = s.guess(t, byRef)
		}
		for _, r := range t.values {
			b := s.blobOf(t, r.ref)
			if b == nil {
				continue
			}
			if n, v, ok := b.place(r); ok {
				b.used[[2]uint32{n, v}] = struct{}{}
			}
		}
	}
}

// blobOf is the blob file that a table's reference is to; nil: it is not there.
func (s *Set) blobOf(t *table, ref uint32) *blobFile {
	if int(ref) >= len(t.refs) {
		return nil
	}
	if number, ok := s.version.blobs[t.refs[ref]]; ok {
		return s.blobs[number]
	}
	return s.blobs[t.refs[ref]] // a file that was not rewritten has its number as its id
}

// guess finds the blob files of a table by the lengths of the values. Of several that
// fit, the one with the nearest number was written together with the table.
func (s *Set) guess(t *table, byRef map[uint32][]reference) (refs []uint64) {
	for ref, rs := range byRef {
		for int(ref) >= len(refs) {
			refs = append(refs, 1<<63)
		}
		best := uint64(1 << 63)
		for number, b := range s.blobs {
			if !b.fits(rs) {
				continue
			}
			if d := max(number, t.number) - min(number, t.number); d < best {
				best, refs[ref] = d, number
			}
		}
	}
	return refs
}

// The kinds of changes that set a value; all others delete one or are merged.
func setsValue(trailer uint64) bool {
	k := pebble.InternalKeyKind(trailer & 0xff) //nolint:gosec // an octet
	return k == pebble.InternalKeyKindSet || k == pebble.InternalKeyKindSetWithDelete
}

// newest keeps of each key the newest version, if it was not deleted.
func (s *Set) newest() {
	slices.SortStableFunc(s.rows, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), cmp.Compare(b.trailer, a.trailer))
	})
	slices.SortFunc(s.deletions, func(a, b deletion) int { return strings.Compare(a.from, b.from) })
	next, n, before := 0, 0, ""
	var open []deletion // that reach over the row
	for _, r := range s.rows {
		if r.Key == before {
			continue
		}
		before = r.Key
		for ; next < len(s.deletions) && s.deletions[next].from <= r.Key; next++ {
			open = append(open, s.deletions[next])
		}
		open = slices.DeleteFunc(open, func(d deletion) bool { return d.to <= r.Key })
		if setsValue(r.trailer) && !slices.ContainsFunc(open, func(d deletion) bool { return d.seq > r.trailer>>8 }) {
			s.rows[n] = r
			n++
		}
	}
	clear(s.rows[n:])
	s.rows = s.rows[:n]
}

// Under are the rows with keys that begin with prefix, in the order of keys.
func (s *Set) Under(prefix string) []Row {
	from, _ := s.search(prefix)
	n := 0
	for from+n < len(s.rows) && strings.HasPrefix(s.rows[from+n].Key, prefix) {
		n++
	}
	return s.rows[from : from+n]
}

// Find finds the row of a key; nil: it is not there.
func (s *Set) Find(key []byte) *Row {
	i, ok := s.search(string(key))
	if !ok {
		return nil
	}
	return &s.rows[i]
}

func (s *Set) search(key string) (int, bool) {
	return slices.BinarySearchFunc(s.rows, key, func(r Row, key string) int { return strings.Compare(r.Key, key) })
}

// Value reads the value of a row. It may be used until the next call.
func (s *Set) Value(r *Row) ([]byte, error) {
	switch {
	case r.table == nil:
		return r.inLog, nil
	case r.value < 0:
		return r.table.inline(r)
	}
	ref := r.table.values[r.value]
	b := s.blobOf(r.table, ref.ref)
	if b == nil {
		return nil, fmt.Errorf("%w: the file with the value is missing", errDamaged)
	}
	n, at, ok := b.place(ref)
	if !ok {
		return nil, errDamaged
	}
	v, err := b.value(n, at)
	if err == nil && len(v) != int(ref.octets) {
		err = errDamaged
	}
	return v, err
}

// Loose is the place of a value that no row refers to.
type Loose struct {
	blob       *blobFile
	block, row uint32
	// Order counts the values of all files: the next value of a file has the next number.
	Order int
}

// EachLoose calls f for each value in a blob file that no readable row refers to, in the
// order in which they were written. v may be used until f returns.
func (s *Set) EachLoose(f func(at Loose, v []byte)) {
	order := 0
	for _, number := range slices.Sorted(maps.Keys(s.blobs)) {
		b := s.blobs[number]
		b.orders = make([]int, len(b.blocks))
		for n := range b.blocks {
			order++                                // what is lost between two blocks, or files, is not next to either
			at := Loose{blob: b, block: uint32(n)} //nolint:gosec // blocks of a file
			if n > 0 && b.cached == n-1 {
				order--
			}
			b.orders[n] = order
			if b.open(at.block) != nil {
				continue
			}
			for i := range b.count {
				at.row, at.Order = uint32(i), order //nolint:gosec // values of a block
				order++
				if _, ok := b.used[[2]uint32{at.block, at.row}]; ok {
					continue
				}
				if v, err := b.value(at.block, at.row); err == nil {
					f(at, v)
				}
			}
		}
	}
}

// Order is the number of a row's value, if it is in a blob file; see Loose. It is known
// after EachLoose.
func (s *Set) Order(r *Row) (int, bool) {
	if r.table == nil || r.value < 0 {
		return 0, false
	}
	ref := r.table.values[r.value]
	b := s.blobOf(r.table, ref.ref)
	if b == nil {
		return 0, false
	}
	n, v, ok := b.place(ref)
	if !ok || int(n) >= len(b.orders) {
		return 0, false
	}
	return b.orders[n] + int(v), true
}

// Get reads the value again.
func (l Loose) Get() ([]byte, error) { return l.blob.value(l.block, l.row) }
