package lsm

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"runtime"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// codec is how the octets of a chunk are encoded in its row. The numbers are on disk.
type codec byte

const (
	raw    codec = 0 // as they are
	fast   codec = 1 // S2: text at 750 MB/s to about 60 %, attachments not at all
	strong codec = 2 // zstd: base64 and uuencode at 740 MB/s to 75 %, text to half
)

// What is compressed, and how. A chunk below leastPacked is not worth it; small
// mail gets S2 from the committer on its way, some microseconds a message; the
// full chunks of large mail get zstd from the packers, which run beside it, as long
// as there is allowance for it, and S2 after that. With much waiting nothing is
// compressed: then the time of a core is dearer than the octets on the disk.
const (
	leastPacked  = 600
	maxFast      = 16 << 10
	packedSaves  = 8   // one part in so many at least, or the chunk stays raw
	packQueue    = 16  // chunks that wait for the packers; more go raw
	deliveryRush = 256 // deliveries in flight above which nothing is compressed
)

// allowance is the time that zstd may take: a tenth of that of all cores, saved up for a
// second at most. Without it zstd took three quarters of a busy server's time and two
// fifths of its rate (1 MB messages of text; see bench/JOURNAL.md).
type allowance struct {
	mu   sync.Mutex
	left time.Duration
	at   time.Time // when left was so much
}

const (
	allowanceShare = 10
	maxAllowance   = time.Second / allowanceShare
)

// open reports whether there is some left at now.
func (a *allowance) open(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	cores := time.Duration(runtime.NumCPU())
	a.left = min(a.left+min(now.Sub(a.at), time.Second)*cores/allowanceShare, maxAllowance*cores)
	a.at = now
	return a.left > 0
}

// spend takes what a chunk has cost, which may leave a debt.
func (a *allowance) spend(d time.Duration) {
	a.mu.Lock()
	a.left -= d
	a.mu.Unlock()
}

// choose returns the codec for a chunk of n octets.
func choose(n int, inFlight int64) codec {
	switch {
	case n < leastPacked, inFlight > deliveryRush:
		return raw
	case n <= maxFast:
		return fast
	}
	return strong
}

// zstdEncoder and zstdDecoder are safe for concurrent use: EncodeAll and
// DecodeAll keep no state between calls. Base64 has no matches to find, so its
// literals have to be coded for anything to be won.
var (
	zstdEncoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithAllLitEntropyCompression(true), zstd.WithEncoderCRC(false), zstd.WithEncoderConcurrency(8))
	zstdDecoder, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(chunkLen), zstd.WithDecoderConcurrency(8))
)

// packer compresses chunks; one goroutine at a time uses it.
type packer struct{ scratch []byte }

// pack compresses the buffer's chunk in place, if c and the outcome make it
// smaller by enough.
func (p *packer) pack(b *buffer, c codec) {
	if c == raw || b.codec != raw {
		return
	}
	if p.scratch == nil {
		p.scratch = make([]byte, s2.MaxEncodedLen(chunkLen))
	}
	plain := b.b[chunkHeadLen:]
	packed := p.scratch[:0]
	if c == fast {
		packed = s2.Encode(p.scratch, plain)
	} else {
		packed = zstdEncoder.EncodeAll(plain, packed)
	}
	if len(packed) > len(plain)-len(plain)/packedSaves {
		return
	}
	b.codec = c
	b.b = append(b.b[:chunkHeadLen], packed...)
}

// value is the row for the chunk: the buffer itself with its head filled in.
func (b *buffer) value() []byte {
	v := b.b
	v[0] = byte(b.codec)
	binary.BigEndian.PutUint32(v[5:], uint32(b.wire))
	binary.BigEndian.PutUint32(v[1:], crc32.Checksum(v[5:], castagnoli))
	return v
}

// The errors of openChunk.
var (
	errChunkHead  = errors.New("the row can't be read")
	errChunkCRC   = errors.New("the row is damaged")
	errChunkCodec = errors.New("unknown codec")
)

// openChunk checks the value of a B row and returns the wire octets in it, as a part of
// v, or of plain when they have to be decompressed; plain has room for a whole chunk
// then.
func openChunk(v, plain []byte) (piece []byte, err error) {
	if len(v) < chunkHeadLen {
		return nil, errChunkHead // also: Pebble returned nothing, without an error
	}
	if binary.BigEndian.Uint32(v[1:]) != crc32.Checksum(v[5:], castagnoli) {
		return nil, errChunkCRC
	}
	wire, data := int(binary.BigEndian.Uint32(v[5:])), v[chunkHeadLen:]
	if wire > chunkLen {
		return nil, errChunkHead
	}
	switch codec(v[0]) {
	case raw:
		piece = data
	case fast:
		if n, err := s2.DecodedLen(data); err != nil || n != wire {
			return nil, errChunkHead
		}
		piece, err = s2.Decode(plain[:cap(plain)], data)
	case strong:
		piece, err = zstdDecoder.DecodeAll(data, plain[:0])
	default:
		return nil, errChunkCodec
	}
	if err != nil || len(piece) != wire {
		return nil, errChunkHead
	}
	return piece, nil
}

// pack is a goroutine that compresses full chunks on their way to the committer.
// They may pass each other: a draft waits for all of its own.
func (s *Store) pack() {
	defer s.others.Done()
	var p packer
	for {
		select {
		case k := <-s.packing:
			s.packChunk(&p, k)
			continue
		case <-s.closing:
		}
		select { // what came before the end
		case k := <-s.packing:
			s.packChunk(&p, k)
		default:
			return
		}
	}
}

func (s *Store) packChunk(p *packer, k chunk) {
	defer s.putChunk(k)
	if k.draft.dropped.Load() {
		return
	}
	c := choose(k.buf.len(), s.inFlight.Load())
	begin := time.Now()
	if c == strong && !s.zstd.open(begin) {
		c = fast
	}
	p.pack(k.buf, c)
	if c == strong {
		s.zstd.spend(time.Since(begin))
	}
}
