package history

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/klauspost/compress/s2"

	"postrider/storage"
)

// A block is a header, a filter and the events, compressed by S2:
//
//	"PRH1"
//	checksum of what follows up to the end of the filter
//	checksum of the compressed events
//	octets of the compressed events
//	octets of the events
//	number of the events
//	octets of the filter
//	the earliest and the latest time, 8 octets each
//
// Numbers have 4 octets, big endian; checksums are CRC-32C. The filter is one of Bloom's
// over the ids of the messages.
const (
	blockMagic  = "PRH1"
	blockHeader = 4 + 6*4 + 2*8
	// blockSize is how many octets of events make a block, more or less: a block ends with
	// an event.
	blockSize = 64 << 10
	maxBlock  = blockSize + maxEvent + 16
	maxFilter = 1 << 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the header of a block, and its filter.
type header struct {
	payload, raw, count uint32
	sum                 uint32
	first, last         int64
	filter              []byte
}

// cutBlock returns the events that make the next block.
func cutBlock(events []byte) (block, rest []byte, count int) {
	rest = events
	for len(rest) > 0 && len(events)-len(rest) < blockSize {
		_, after, ok := nextEvent(rest)
		if !ok {
			return events, nil, count // never: Add has made them
		}
		rest = after
		count++
	}
	return events[:len(events)-len(rest)], rest, count
}

// appendBlock appends a block of events, of which there are count.
func appendBlock(dst, events []byte, count int) []byte {
	start := len(dst)
	h := header{raw: uint32(len(events)), count: uint32(count)}
	n := filterLen(count)
	dst = append(dst, make([]byte, blockHeader+n)...)
	filter := dst[start+blockHeader:]
	for rest := events; len(rest) > 0; {
		e, after, ok := nextEvent(rest)
		if !ok {
			break
		}
		at := timeOf(e)
		if len(rest) == len(events) {
			h.first, h.last = at, at
		}
		h.first, h.last = min(h.first, at), max(h.last, at)
		mark(filter, idOf(e))
		rest = after
	}
	from := len(dst)
	dst = append(dst, make([]byte, s2.MaxEncodedLen(len(events)))...)
	dst = dst[:from+len(s2.Encode(dst[from:], events))]
	head := dst[start:from]
	copy(head, blockMagic)
	binary.BigEndian.PutUint32(head[8:], crc32.Checksum(dst[from:], castagnoli))
	binary.BigEndian.PutUint32(head[12:], uint32(len(dst)-from))
	binary.BigEndian.PutUint32(head[16:], h.raw)
	binary.BigEndian.PutUint32(head[20:], h.count)
	binary.BigEndian.PutUint32(head[24:], uint32(n))
	binary.BigEndian.PutUint64(head[28:], uint64(h.first))
	binary.BigEndian.PutUint64(head[36:], uint64(h.last))
	binary.BigEndian.PutUint32(head[4:], crc32.Checksum(head[8:], castagnoli))
	return dst
}

var errDamaged = errors.New("damaged")

// readHeader reads the header and the filter at an offset of a file. buf is scratch.
func readHeader(f io.ReaderAt, at int64, buf []byte) (h header, err error) {
	n, err := f.ReadAt(buf, at)
	if n < blockHeader {
		return h, err
	}
	b := buf[:n]
	if string(b[:4]) != blockMagic {
		return h, errDamaged
	}
	filter := binary.BigEndian.Uint32(b[24:])
	if filter > maxFilter {
		return h, errDamaged
	}
	if whole := blockHeader + int(filter); whole > n {
		b = make([]byte, whole)
		if n, _ := f.ReadAt(b, at); n < whole {
			return h, errDamaged // or the end of a file that was being written
		}
	}
	b = b[:blockHeader+int(filter)]
	if crc32.Checksum(b[8:], castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return h, errDamaged
	}
	h.sum, h.payload = binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	h.raw, h.count = binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])
	h.first, h.last = int64(binary.BigEndian.Uint64(b[28:])), int64(binary.BigEndian.Uint64(b[36:]))
	h.filter = b[blockHeader:]
	if h.raw > maxBlock || int(h.payload) > s2.MaxEncodedLen(maxBlock) {
		return h, errDamaged
	}
	return h, nil
}

// size is the block's octets.
func (h *header) size() int64 { return int64(blockHeader + len(h.filter) + int(h.payload)) }

// events reads the events of the block at an offset.
func (h *header) events(f io.ReaderAt, at int64) ([]byte, error) {
	b := make([]byte, h.payload)
	if n, err := f.ReadAt(b, at+int64(blockHeader+len(h.filter))); n < len(b) {
		return nil, err
	}
	if crc32.Checksum(b, castagnoli) != h.sum {
		return nil, errDamaged
	}
	if n, err := s2.DecodedLen(b); err != nil || n != int(h.raw) {
		return nil, errDamaged
	}
	raw, err := s2.Decode(nil, b)
	if err != nil {
		return nil, errDamaged
	}
	return raw, nil
}

// filterLen is the octets of a filter of n ids: 10 to 20 bits for each.
func filterLen(n int) int {
	return min(max(1<<bits.Len(uint(n*10/8)), 8), maxFilter)
}

// spots are the bits of an id, in a filter of so many bits.
func spots(id storage.MessageID, size int) (at [4]uint64) {
	x := uint64(id) + 0x9e3779b97f4a7c15 // splitmix64
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	step := x>>32 | 1
	for i := range at {
		at[i] = (x + uint64(i)*step) % uint64(size)
	}
	return at
}

// mark adds an id to a filter.
func mark(filter []byte, id storage.MessageID) {
	for _, at := range spots(id, 8*len(filter)) {
		filter[at/8] |= 1 << (at % 8)
	}
}

// has reports whether an id may be in a filter.
func has(filter []byte, id storage.MessageID) bool {
	if len(filter) == 0 {
		return true
	}
	for _, at := range spots(id, 8*len(filter)) {
		if filter[at/8]&(1<<(at%8)) == 0 {
			return false
		}
	}
	return true
}
