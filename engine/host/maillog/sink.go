package maillog

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// sink is the buffer between the goroutines that log and the one that writes.
type sink struct {
	w    io.Writer
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex
	buf     []byte
	dropped int
	closed  bool
}

// gather is how long lines gather before they are written. A write a line, and waking
// the writer for it, cost a busy server a tenth of its processor time.
const gather = 5 * time.Millisecond

// add appends lines, n of them, or drops them all when the writer is too slow.
func (s *sink) add(lines []byte, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.buf) > bufferLimit {
		s.dropped += n
		return
	}
	if len(s.buf) == 0 {
		s.signal()
	}
	s.buf = append(s.buf, lines...)
}

// signal wakes the writer; a wake-up that is pending already is enough.
func (s *sink) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes what has gathered, in as few writes as the reader's pace makes.
func (s *sink) run() {
	defer close(s.done)
	var out []byte
	for range s.wake {
		s.mu.Lock()
		ending := s.closed
		s.mu.Unlock()
		if !ending {
			time.Sleep(gather)
		}
		s.mu.Lock()
		out, s.buf = s.buf, out[:0]
		dropped, closed := s.dropped, s.closed
		s.dropped = 0
		s.mu.Unlock()
		if dropped > 0 {
			out = fmt.Appendf(out, "postrider: %d log lines dropped: the log is read too slowly\n", dropped)
		}
		// An error has nowhere to go: the log is where errors are told.
		_, _ = s.w.Write(out)
		if closed {
			return
		}
	}
}

func (s *sink) close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		// The writer may be busy: wait for room so that the last wake-up is not lost.
		s.wake <- struct{}{}
	}
	<-s.done
}
