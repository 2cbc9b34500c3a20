package lsm

import (
	"hash/crc32"
	"sync"
	"sync/atomic"

	"postrider/storage"
)

// chunkLen is the octets of a body in one B row, in wire form: 64 KiB was the
// fastest of 16 to 256 KiB, and one read of it is what a session may wait for.
const chunkLen = storage.MaxPiece

// chunkHeadLen is the length of what comes before the octets in a B row's value:
// codec(1) crc32c(4, of all that follows) wire octets(4).
const chunkHeadLen = 1 + 4 + 4

// draft is a body on its way in. The peer's octets are copied once, into buf;
// when buf is a full chunk it is sealed and goes to the committer.
type draft struct {
	store  *Store
	id     storage.MessageID
	buf    *buffer // the open chunk; nil before the first octet and after the end
	wire   int64
	crc    uint32
	chunks uint32 // sealed
	done   bool   // delivered or discarded

	backlog atomic.Int64 // octets sealed and not yet applied
	pending atomic.Int32 // chunks sealed and not yet applied
	dropped atomic.Bool  // discarded: sealed chunks need not be applied any more

	mu     sync.Mutex
	notify func() // Notify's; called when backlog is at most mark
	mark   int64

	// Only the committer's goroutine uses these:
	final  *storage.Delivery // waits for pending to reach 0
	dropIt bool              // likewise
	onDisk bool              // a P row and chunks were applied
	packed bool              // some chunk is compressed
}

// chunk is a sealed piece of a draft's body.
type chunk struct {
	draft  *draft
	number uint32
	buf    *buffer
}

// NewDraft implements storage.Inbox.
func (s *Store) NewDraft(size int64) storage.Draft {
	d := &draft{store: s, id: s.ids.next()}
	if size > 0 {
		d.buf = getBuffer(int(min(size, chunkLen)))
	}
	return d
}

// ID implements storage.Draft.
func (d *draft) ID() storage.MessageID { return d.id }

// Backlog implements storage.Draft: what is sealed and not applied, and the open
// chunk, which only the draft's own goroutine touches.
func (d *draft) Backlog() int64 {
	n := d.backlog.Load()
	if d.buf != nil {
		n += int64(d.buf.len())
	}
	return n
}

// Notify implements storage.Draft. The open chunk goes to the writer only when it
// is full, so what is waited for is the sealed rest.
func (d *draft) Notify(mark int64, f func()) {
	if d.buf != nil {
		mark = max(mark-int64(d.buf.len()), 0)
	}
	d.mu.Lock()
	if d.backlog.Load() > mark {
		d.notify, d.mark = f, mark
		f = nil
	}
	d.mu.Unlock()
	if f != nil {
		f()
	}
}

// taken notes that the writer is done with n octets, stored or not.
func (d *draft) taken(n int64) {
	d.mu.Lock()
	left := d.backlog.Add(-n)
	f := d.notify
	if left <= d.mark {
		d.notify = nil
	} else {
		f = nil
	}
	d.mu.Unlock()
	if f != nil {
		f()
	}
}

// Append implements storage.Draft.
func (d *draft) Append(run []byte) {
	if d.done {
		panic("BUG: Append to a draft that was delivered or discarded")
	}
	d.wire += int64(len(run))
	d.crc = crc32.Update(d.crc, castagnoli, run)
	for len(run) > 0 {
		if d.buf == nil {
			d.buf = getBuffer(len(run))
		}
		n := d.buf.fill(run)
		run = run[n:]
		if d.buf.len() == chunkLen {
			d.seal()
		} else if len(run) > 0 {
			d.buf = d.buf.grown(len(run))
		}
	}
}

// seal hands a full chunk to the committer.
func (d *draft) seal() {
	if d.chunks == 0 {
		d.store.drafts.add(d)
	}
	c := chunk{draft: d, number: d.chunks, buf: d.buf}
	d.buf = nil
	d.chunks++
	d.backlog.Add(chunkLen)
	d.pending.Add(1)
	select {
	case d.store.packing <- c:
	default: // no packers, or all are busy: it goes as it is
		d.store.putChunk(c)
	}
}

// putChunk hands a chunk to the committer.
func (s *Store) putChunk(c chunk) {
	if !s.queue.put(op{chunk: c}) {
		c.buf.release() // the store is closed; Deliver will say so
		c.draft.taken(chunkLen)
	}
}

// Discard implements storage.Draft.
func (d *draft) Discard() {
	if d.done {
		return
	}
	d.done = true
	d.mu.Lock()
	d.notify = nil
	d.mu.Unlock()
	d.releaseBuffer()
	d.dropped.Store(true) // chunks in the queue go at memory speed from here on
	if d.chunks > 0 {
		d.store.queue.put(op{discard: d})
	}
}

func (d *draft) releaseBuffer() {
	if d.buf != nil {
		d.buf.release()
		d.buf = nil
	}
}

// bodyChunks is how many chunks the whole body has.
func (d *draft) bodyChunks() uint32 {
	return uint32((d.wire + chunkLen - 1) / chunkLen)
}

// drafts are the drafts that have chunks on the disk, for Check.
type drafts struct {
	mu   sync.Mutex
	open map[storage.MessageID]struct{}
}

func (s *drafts) add(d *draft) {
	s.mu.Lock()
	s.open[d.id] = struct{}{}
	s.mu.Unlock()
}

func (s *drafts) remove(d *draft) {
	s.mu.Lock()
	delete(s.open, d.id)
	s.mu.Unlock()
}

// buffer holds an open chunk, with room for the head of the row's value before
// it, so that a chunk stored raw is one slice. Three classes: most mail is small.
type buffer struct {
	b     []byte // chunkHeadLen octets, then the chunk
	class int
	codec codec // what packer.pack made of it
	wire  int   // octets of the chunk before that
}

var bufferClasses = [...]int{4 << 10, 16 << 10, chunkLen}

var bufferPools [len(bufferClasses)]sync.Pool

func getBuffer(n int) *buffer {
	class := 0
	for class < len(bufferClasses)-1 && n > bufferClasses[class] {
		class++
	}
	if b, ok := bufferPools[class].Get().(*buffer); ok {
		b.b, b.codec, b.wire = b.b[:chunkHeadLen], raw, 0
		return b
	}
	return &buffer{
		b:     make([]byte, chunkHeadLen, chunkHeadLen+bufferClasses[class]),
		class: class,
	}
}

func (b *buffer) release() { bufferPools[b.class].Put(b) }

// len is the octets of the chunk so far, in wire form.
func (b *buffer) len() int { return b.wire }

// fill appends as much of run as there is room for.
func (b *buffer) fill(run []byte) int {
	n := min(len(run), cap(b.b)-len(b.b))
	b.b = append(b.b, run[:n]...)
	b.wire += n
	return n
}

// grown moves the chunk into a larger buffer, with room for n more if it can.
func (b *buffer) grown(n int) *buffer {
	g := getBuffer(max(b.len()+n, bufferClasses[b.class]+1))
	g.fill(b.b[chunkHeadLen:])
	b.release()
	return g
}
