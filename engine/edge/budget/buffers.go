package budget

import "sync"

// Buffers is a bounded free list of buffers of one size: a sync.Pool would be
// emptied by each garbage collection and filled again by each login.
type Buffers struct {
	size int
	mu   sync.Mutex
	free [][]byte
}

// NewBuffers returns a list of buffers of size octets.
func NewBuffers(size int) *Buffers { return &Buffers{size: size} }

// Size is the capacity of each buffer.
func (b *Buffers) Size() int { return b.size }

// keptBuffers bounds what a list holds on to, in octets.
const keptBuffers = 16 << 20

// Get returns an empty buffer.
func (b *Buffers) Get() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		p := b.free[n-1]
		b.free = b.free[:n-1]
		return p
	}
	return make([]byte, 0, b.size)
}

// Put gives a buffer back.
func (b *Buffers) Put(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if (len(b.free)+1)*b.size <= keptBuffers {
		b.free = append(b.free, p[:0])
	}
}
