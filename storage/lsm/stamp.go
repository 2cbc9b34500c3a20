package lsm

import (
	"sync"
	"time"
)

// stamps is the clock of the queue, in microseconds since 1970. It never goes
// back within a process, whatever the machine's clock does, and it gives two
// promises that make the Cursor of a reader safe:
//
//   - a stamp is later than any stamp and any horizon before it;
//   - a horizon is earlier than every stamp that was given and is not in a row
//     that can be read yet.
//
// So no row is ever put before one that a reader has been shown. Without the
// second promise an entry that was stamped, but not applied yet, could be put
// before one that fell due meanwhile and that a reader has passed.
type stamps struct {
	now  func() time.Time
	mu   sync.Mutex
	last uint64
	open uint64 // the first stamp that is not applied; 0: all are

	// bound is above all stamps on the disk; the batch that first needs it moves it,
	// as for ids. A process begins there: a due time is the fence of an entry, and
	// must not come back after a restart with a clock that stopped, or was put back.
	bound uint64
}

// stampReserve is how far ahead of the newest stamp the bound is put: 1 s.
const stampReserve = 1_000_000

// begin makes stamps continue after the stamps of the processes before.
func (s *stamps) begin(bound uint64) { s.last, s.bound = bound, bound }

// reserve moves the bound if a stamp that is not applied has reached it.
func (s *stamps) reserve() (bound uint64, moved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == 0 || s.last < s.bound {
		return 0, false
	}
	s.bound = s.last + stampReserve
	return s.bound, true
}

// next gives a stamp.
func (s *stamps) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, micros(s.now()))
	if s.open == 0 {
		s.open = s.last
	}
	return s.last
}

// applied notes that the rows with all stamps so far can be read.
func (s *stamps) applied() {
	s.mu.Lock()
	s.open = 0
	s.mu.Unlock()
}

// read is the time.
func (s *stamps) read() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, micros(s.now()))
	return s.last
}

// horizon is the time up to which entries that are due can be read.
func (s *stamps) horizon() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, micros(s.now()))
	if s.open != 0 {
		return s.open - 1
	}
	return s.last
}
