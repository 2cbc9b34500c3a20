package engine

import "sync"

// buffers is a bounded free list of buffers of one size: a sync.Pool would be
// emptied by each garbage collection and filled anew by each login.
type buffers struct {
	size int
	mu   sync.Mutex
	free [][]byte
}

// keptBuffers bounds what a list holds on to, in octets.
const keptBuffers = 16 << 20

func (b *buffers) get() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		p := b.free[n-1]
		b.free = b.free[:n-1]
		return p
	}
	return make([]byte, 0, b.size)
}

func (b *buffers) put(p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if (len(b.free)+1)*b.size <= keptBuffers {
		b.free = append(b.free, p[:0])
	}
}
