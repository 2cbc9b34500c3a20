package files

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/blob"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
)

// table is a table file. Its data blocks have the rows; values of a kilobyte and more are
// in blob files, and the row has a reference.
type table struct {
	file
	number uint64
	blocks []handle // with rows
	refs   []uint64 // the blob files by their ids; nil: not known
	values []reference
	cached int // the block in columns; -1: none
	cols   dataColumns
}

// reference is where a row's value is: a value of a block of the blob file ref.
type reference struct{ ref, octets, block, value uint32 }

// The columns of a block with rows, after the columns of the key.
const (
	colPrefix = iota
	colSuffix
	colTrailer
	colChanged
	colValue
	colExternal
	colObsolete
	dataCols
)

// dataHeader is the octets before a data block's own header, and before that of a block
// with deleted ranges.
const dataHeader = 4

// dataColumns are the columns of one data block.
type dataColumns struct {
	rows     int
	prefix   colblk.PrefixBytes
	suffix   colblk.RawBytes
	trailer  colblk.UnsafeUints
	value    colblk.RawBytes
	external colblk.Bitmap
}

// decodeHeader checks that a block has columns of these types.
func decodeHeader(b []byte, types ...colblk.DataType) (d colblk.BlockDecoder, ok bool) {
	const head = 7 // version, columns, rows
	if len(b) < dataHeader+head+len(types) || b[dataHeader] != byte(colblk.Version1) ||
		int(binary.LittleEndian.Uint16(b[dataHeader+1:])) != len(types) {
		return d, false
	}
	d = colblk.DecodeBlock(b, dataHeader)
	for i, t := range types {
		if d.DataType(i) != t {
			return d, false
		}
	}
	return d, true
}

// decodeData reads the columns of a block with rows; false: it is none.
func decodeData(b []byte) (c dataColumns, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	d, ok := decodeHeader(b, colblk.DataTypePrefixBytes, colblk.DataTypeBytes, colblk.DataTypeUint, colblk.DataTypeBool,
		colblk.DataTypeBytes, colblk.DataTypeBool, colblk.DataTypeBool)
	if !ok || d.Rows() == 0 {
		return c, false
	}
	return dataColumns{d.Rows(), d.PrefixBytes(colPrefix), d.RawBytes(colSuffix), d.Uints(colTrailer), d.RawBytes(colValue), d.Bitmap(colExternal)}, true
}

// deletion is a range of keys that was deleted: what is older is gone.
type deletion struct {
	from, to string
	seq      uint64
}

// decodeDeletions reads a block with deleted ranges; false: it is none.
func decodeDeletions(b []byte) (found []deletion, ok bool) {
	defer func() {
		if recover() != nil {
			found, ok = nil, false
		}
	}()
	d, ok := decodeHeader(b, colblk.DataTypeBytes, colblk.DataTypeUint, colblk.DataTypeUint, colblk.DataTypeBytes, colblk.DataTypeBytes)
	if !ok {
		return nil, false
	}
	bounds := int(binary.LittleEndian.Uint32(b))
	keys := colblk.DecodeColumn(&d, 0, bounds, colblk.DataTypeBytes, colblk.DecodeRawBytes)
	index := colblk.DecodeColumn(&d, 1, bounds, colblk.DataTypeUint, colblk.DecodeUnsafeUints)
	trailers := d.Uints(2)
	for i := range bounds - 1 {
		for k := index.At(i); k < index.At(i+1); k++ {
			found = append(found, deletion{string(keys.At(i)), string(keys.At(i + 1)), trailers.At(int(k)) >> 8}) //nolint:gosec // below the rows
		}
	}
	return found, true
}

// layout reads where the blocks of the table are; an error when its index or what leads
// to it is damaged.
func (t *table) layout(s *Set) (l *sstable.Layout, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, t.name))
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	r, err := sstable.NewReader(context.Background(), readable, s.options)
	if err != nil {
		_ = readable.Close()
		return nil, err
	}
	defer r.Close()
	return r.Layout()
}

// read reads the rows of the table.
func (t *table) read(s *Set) {
	t.cached = -1
	l, err := t.layout(s)
	if err != nil {
		t.readUnindexed(s)
		return
	}
	for _, h := range l.Data {
		t.blocks = append(t.blocks, handle{int64(h.Offset), int64(h.Length)}) //nolint:gosec // within the file
	}
	lost := 0
	for i, h := range t.blocks {
		b, err := t.block(h)
		if err == nil && t.rows(s, int32(i), b) { //nolint:gosec // blocks of a file
			continue
		}
		lost++
		s.lose(t.name, "%s can't be read: the rows in them are lost", span{h.at, h.at + h.n})
	}
	others := []block.Handle{l.RangeDel}
	for _, f := range l.Filter {
		others = append(others, f.Handle)
	}
	for i, h := range others {
		if h.Length == 0 {
			continue
		}
		b, err := t.block(handle{int64(h.Offset), int64(h.Length)}) //nolint:gosec // within the file
		if err != nil {
			s.lose(t.name, "%s can't be read: no row is lost by it", span{int64(h.Offset), int64(h.Offset + h.Length)}) //nolint:gosec // as above
		} else if d, ok := decodeDeletions(b); ok && i == 0 {
			s.deletions = append(s.deletions, d...)
		}
	}
}

// readUnindexed reads a table without its index.
func (t *table) readUnindexed(s *Set) {
	found, end, err := t.find()
	if err != nil {
		s.lose(t.name, "it can't be read: %v", err)
		return
	}
	for _, h := range found {
		b, err := t.block(h)
		if err != nil {
			continue
		}
		t.blocks = append(t.blocks, h)
		if !t.rows(s, int32(len(t.blocks)-1), b) { //nolint:gosec // blocks of a file
			t.blocks = t.blocks[:len(t.blocks)-1]
			d, _ := decodeDeletions(b)
			s.deletions = append(s.deletions, d...)
		}
	}
	s.lose(t.name, "its index is damaged or missing: %d blocks were found by their checksums, and what follows octet %d of %d can't be read", len(found), end, t.size)
}

// rows takes the rows of a block; false: it can't be read as one.
func (t *table) rows(s *Set, number int32, b []byte) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	c, ok := decodeData(b)
	if !ok {
		return false
	}
	before, values := len(s.rows), len(t.values)
	for i := range c.rows {
		key := c.prefix.At(i)
		key = append(key, c.suffix.At(i)...)
		if !s.keep(key) {
			continue
		}
		r := Row{Key: string(key), trailer: c.trailer.At(i), table: t, block: number, row: int32(i), value: -1} //nolint:gosec // rows of a block
		if c.external.At(i) {
			ref, ok := decodeReference(c.value.At(i))
			if !ok {
				s.rows, t.values = s.rows[:before], t.values[:values]
				return false
			}
			r.value = int32(len(t.values)) //nolint:gosec // rows of a table
			t.values = append(t.values, ref)
		}
		s.rows = append(s.rows, r)
	}
	return true
}

// decodeReference reads where a value is that is not in the row.
func decodeReference(v []byte) (r reference, ok bool) {
	if len(v) < 5 || !block.ValuePrefix(v[0]).IsBlobValueHandle() {
		return r, false
	}
	padded := append(append(make([]byte, 0, len(v)+16), v[1:]...), make([]byte, 16)...) // the decoder does not look at lengths
	head, rest := blob.DecodeInlineHandlePreface(padded)
	tail := blob.DecodeHandleSuffix(rest)
	return reference{uint32(head.ReferenceID), head.ValueLen, uint32(tail.BlockID), uint32(tail.ValueID)}, true
}

// inline reads the value of a row that is in its block.
func (t *table) inline(r *Row) (v []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	if t.cached != int(r.block) {
		b, err := t.block(t.blocks[r.block])
		if err != nil {
			return nil, err
		}
		c, ok := decodeData(b)
		if !ok {
			return nil, errDamaged
		}
		t.cached, t.cols = int(r.block), c
	}
	return t.cols.value.At(int(r.row)), nil
}

// readerOptions are what a table's index is read with.
func readerOptions(merger string) sstable.ReaderOptions {
	o := &pebble.Options{Merger: &pebble.Merger{Name: merger, Merge: pebble.DefaultMerger.Merge}}
	o.EnsureDefaults()
	return o.MakeReaderOptions()
}

// numberOf is the number in a name such as 000012.sst.
func numberOf(name, ext string) (n uint64, ok bool) {
	base, ok := strings.CutSuffix(name, ext)
	if !ok || base == "" {
		return 0, false
	}
	for _, c := range []byte(base) {
		if c < '0' || c > '9' || n > 1<<48 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}
