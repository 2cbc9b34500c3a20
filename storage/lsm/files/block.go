package files

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// castagnoli is the polynomial of every checksum in these files.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is how a checksum is written: one of octets that have a checksum in them would
// be weak.
func masked(c uint32) uint32 { return (c>>15 | c<<17) + 0xa282ead8 }

// MaskedCRC is the checksum of octets as these files have it.
func MaskedCRC(b []byte) uint32 { return masked(crc32.Checksum(b, castagnoli)) }

// errDamaged is the error of every check that fails.
var errDamaged = errors.New("damaged")

// handle is the place of a block, without its trailer.
type handle struct{ at, n int64 }

// span is a part of a file.
type span struct{ from, to int64 }

func (s span) String() string { return fmt.Sprintf("octets %d to %d", s.from, s.to) }

// file is an open table or blob file.
type file struct {
	name string
	f    vfs.File
	size int64
}

func openFile(fs vfs.FS, dir, name string) (file, error) {
	f, err := fs.Open(fs.PathJoin(dir, name), vfs.RandomReadsOption)
	if err != nil {
		return file{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return file{}, errors.Join(err, f.Close())
	}
	return file{name, f, info.Size()}, nil
}

func (f *file) close() {
	if f.f != nil {
		_ = f.f.Close()
		f.f = nil
	}
}

// octets reads a part of the file.
func (f *file) octets(at, n int64) ([]byte, error) {
	if at < 0 || n < 0 || at+n > f.size {
		return nil, errDamaged
	}
	b := make([]byte, n)
	if _, err := f.f.ReadAt(b, at); err != nil && !(errors.Is(err, io.EOF) && n == 0) {
		return nil, err
	}
	return b, nil
}

// block reads the block at h, checks it and unpacks it.
func (f *file) block(h handle) ([]byte, error) {
	b, err := f.octets(h.at, h.n+block.TrailerLen)
	if err != nil {
		return nil, err
	}
	return unpack(b)
}

// maxUnpacked bounds what a block may claim to become.
const maxUnpacked = 64 << 20

// unpack checks a block with its trailer and unpacks it.
func unpack(b []byte) (plain []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			plain, err = nil, fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	n := len(b) - block.TrailerLen
	if n < 0 || binary.LittleEndian.Uint32(b[n+1:]) != MaskedCRC(b[:n+1]) {
		return nil, errDamaged
	}
	kind := block.CompressionIndicator(b[n])
	if kind == block.NoCompressionIndicator {
		return b[:n:n], nil
	}
	size, err := block.DecompressedLen(kind, b[:n])
	if err != nil || size < 0 || size > maxUnpacked {
		return nil, errDamaged
	}
	plain = make([]byte, size)
	if err := block.DecompressInto(kind, b[:n], plain); err != nil {
		return nil, errDamaged
	}
	return plain, nil
}

// lengthOf finds the length of the block at the start of b by its checksum; -1: there is
// none that fits.
func lengthOf(b []byte) int {
	c := ^uint32(0)
	for n := range max(len(b)-block.TrailerLen+1, 0) {
		c = castagnoli[byte(c)^b[n]] ^ c>>8 // the checksum of n octets and the one for the packing
		if b[n] <= byte(block.MinLZCompressionIndicator) && binary.LittleEndian.Uint32(b[n+1:]) == masked(^c) && n > 0 {
			return n
		}
	}
	return -1
}

// find looks for the blocks of the file by their checksums, as far as it can be read.
// end is where that ends.
func (f *file) find() (found []handle, end int64, err error) {
	b, err := f.octets(0, f.size)
	if err != nil {
		return nil, 0, err
	}
	for {
		n := lengthOf(b[end:])
		if n < 0 {
			return found, end, nil
		}
		found = append(found, handle{end, int64(n)})
		end += int64(n) + block.TrailerLen
	}
}
