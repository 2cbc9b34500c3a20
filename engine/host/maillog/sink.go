package maillog

import (
	"sync"
	"time"
)

// sink is the buffer between the goroutines that log and the one that writes.
type sink struct {
	out  output
	wake chan struct{}
	done chan struct{}
	lost func(n int, why string) []byte // the line about lines that were not written

	why string // lines were lost last; of the goroutine that writes

	mu      sync.Mutex
	buf     []byte
	dropped int
	closed  bool
}

// gather is how long lines gather before they are written. A write a line, and waking
// the writer for it, cost a busy server a tenth of its processor time.
const gather = 5 * time.Millisecond

// add appends lines, n of them, or drops them all when the writer is too slow. It reports
// whether the sink is open.
func (s *sink) add(lines []byte, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.buf) > bufferLimit {
		s.dropped += n
		return !s.closed
	}
	if len(s.buf) == 0 {
		s.signal()
	}
	s.buf = append(s.buf, lines...)
	return true
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
	unwritten := 0
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
			out = append(out, s.lost(dropped, "the log is read too slowly")...)
		}
		unwritten = s.write(out, unwritten)
		if closed {
			_ = s.out.Close()
			return
		}
	}
}

// write writes lines. Lines that are lost are counted, and told of when lines can be
// written again: the log is where errors are told. unwritten is that count so far.
func (s *sink) write(lines []byte, unwritten int) int {
	lost, why := s.out.writeLines(lines)
	if unwritten += lost; lost > 0 {
		s.why = why.Error()
	}
	if lost > 0 || unwritten == 0 {
		return unwritten
	}
	if lost, _ := s.out.writeLines(s.lost(unwritten, s.why)); lost > 0 {
		return unwritten
	}
	return 0
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
