package files

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
)

// blobFile has the values of rows that are in tables.
type blobFile struct {
	file
	number  uint64
	blocks  []handle
	virtual []uint64 // in a file that was rewritten: the place of each old block
	used    map[[2]uint32]struct{}
	cached  int // the block in values; -1: none
	values  colblk.RawBytes
	count   int
	orders  []int // the order of the first value of each block; see Loose
}

const (
	blobFooter = 38
	blobMagic  = "\xf0\x9f\xaa\xb3\xf0\x9f\xa6\x80"
)

// read finds the blocks of the file.
func (b *blobFile) read(s *Set) {
	b.cached, b.used = -1, make(map[[2]uint32]struct{})
	if b.index() {
		for _, h := range b.blocks {
			if _, err := b.block(h); err != nil {
				s.lose(b.name, "%s can't be read: the parts of messages in them are lost", span{h.at, h.at + h.n})
			}
		}
		return
	}
	found, end, err := b.find()
	if err != nil {
		s.lose(b.name, "it can't be read: %v", err)
		return
	}
	b.blocks = found
	s.lose(b.name, "its index is damaged or missing: %d blocks were found by their checksums, and what follows octet %d of %d can't be read", len(found), end, b.size)
}

// index reads where the blocks are; false: that can't be read.
func (b *blobFile) index() (ok bool) {
	defer func() {
		if recover() != nil {
			b.blocks, b.virtual, ok = nil, nil, false
		}
	}()
	foot, err := b.octets(b.size-blobFooter, blobFooter)
	if err != nil || binary.LittleEndian.Uint32(foot) != MaskedCRC(foot[4:]) || string(foot[30:]) != blobMagic {
		return false
	}
	h := handle{int64(binary.LittleEndian.Uint64(foot[4:])), int64(binary.LittleEndian.Uint64(foot[12:]))} //nolint:gosec // octets checks it
	plain, err := b.block(h)
	if err != nil {
		return false
	}
	d := colblk.DecodeBlock(plain, dataHeader)
	virtual := int(binary.LittleEndian.Uint32(plain))
	old := colblk.DecodeColumn(&d, 0, virtual, colblk.DataTypeUint, colblk.DecodeUnsafeUints)
	for i := range virtual {
		b.virtual = append(b.virtual, old.At(i))
	}
	at := colblk.DecodeColumn(&d, 1, d.Rows()+1, colblk.DataTypeUint, colblk.DecodeUnsafeUints)
	for i := range d.Rows() {
		from, to := int64(at.At(i)), int64(at.At(i+1)) //nolint:gosec // block checks it
		b.blocks = append(b.blocks, handle{from, to - from - block.TrailerLen})
	}
	return true
}

// place is where a referenced value is now.
func (b *blobFile) place(r reference) (blockNumber, value uint32, ok bool) {
	if b.virtual == nil {
		return r.block, r.value, int(r.block) < len(b.blocks)
	}
	if int(r.block) >= len(b.virtual) {
		return 0, 0, false
	}
	v := b.virtual[r.block]
	blockNumber, value = uint32(v), r.value+uint32(v>>32) //nolint:gosec // its lower half
	return blockNumber, value, int(blockNumber) < len(b.blocks)
}

// open reads a block into values.
func (b *blobFile) open(number uint32) (err error) {
	if b.cached == int(number) {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			b.cached, err = -1, fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	b.cached = -1
	plain, err := b.block(b.blocks[number])
	if err != nil {
		return err
	}
	d := colblk.DecodeBlock(plain, 0)
	b.values, b.count = d.RawBytes(0), d.Rows()
	b.cached = int(number)
	return nil
}

// value reads a value. It may be used until the next call.
func (b *blobFile) value(number, value uint32) ([]byte, error) {
	if int(number) >= len(b.blocks) {
		return nil, errDamaged
	}
	if err := b.open(number); err != nil {
		return nil, err
	}
	if int(value) >= b.count {
		return nil, errDamaged
	}
	return b.values.At(int(value)), nil
}

// fits reports whether the file may be the one that the references are about.
func (b *blobFile) fits(refs []reference) bool {
	seen := false
	for _, r := range refs {
		n, v, ok := b.place(r)
		if !ok {
			return false
		}
		if b.open(n) != nil {
			continue
		}
		if int(v) >= b.count || len(b.values.At(int(v))) != int(r.octets) {
			return false
		}
		seen = true
	}
	return seen
}
