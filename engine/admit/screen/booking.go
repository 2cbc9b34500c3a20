package screen

import "sync"

// What a check is booked with: the first for each, which is enough for a header of
// smallHead octets, a backlog of smallBacklog and smallSignatures; the second from the
// moment that it has more of one of them. They are what was measured, with the stacks of
// the goroutines that wait for DNS.
const (
	SmallCheck = 80 << 10
	LargeCheck = 256 << 10

	smallHead       = 12 << 10
	smallBacklog    = 24 << 10
	smallSignatures = 2
)

// Memory is where the memory of checks is booked. Reserve returns false when there is none;
// it never waits.
type Memory interface {
	Reserve(octets int64) bool
	Release(octets int64)
}

// booking is what one check holds. It is safe for use by many goroutines.
type booking struct {
	memory Memory // nil: there is no bound

	mu     sync.Mutex
	octets int64
	over   bool // there was no room
}

// grow makes sure that n octets are booked. After a failure for lack of room it always fails.
func (b *booking) grow(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || n <= b.octets {
		return !b.over
	}
	if b.memory != nil && !b.memory.Reserve(n-b.octets) {
		b.over = true
		return false
	}
	b.octets = n
	return true
}

// isOver reports whether there was no room.
func (b *booking) isOver() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over
}

// end gives all back.
func (b *booking) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.memory != nil {
		b.memory.Release(b.octets)
	}
	b.octets = 0
}
