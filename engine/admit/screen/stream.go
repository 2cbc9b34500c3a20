package screen

import (
	"errors"
	"io"
	"sync"

	"postrider/codec/dot"
)

// stream is the copy of a message on its way from the session, which must not wait,
// to the goroutine that reads it. Stuffed dots are taken out on the way.
type stream struct {
	mu    sync.Mutex
	more  sync.Cond
	buf   []byte
	read  int // octets of buf that were read
	ended bool
	gone  bool        // the stream is over: neither side uses it
	room  func()      // to be called when there is room; nil: no caller waits
	grow  func() bool // asked before more than smallBacklog is kept
	dots  dot.Unstuffer
}

// maxBacklog is how many octets may wait to be read before a caller should stop.
const maxBacklog = 16 << 10

// errGone is the error for a reader whose message was given up.
var errGone = errors.New("the message was given up")

func newStream(grow func() bool) *stream {
	s := &stream{grow: grow}
	s.more.L = &s.mu
	return s
}

// write copies p, which is in wire form and may be cut anywhere. What was read makes
// room first: the memory is that of the backlog.
func (s *stream) write(p []byte) {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return
	}
	if s.read > 0 && len(s.buf)+len(p) > cap(s.buf) {
		s.buf = s.buf[:copy(s.buf, s.buf[s.read:])]
		s.read = 0
	}
	if len(s.buf)+len(p) > smallBacklog && !s.grow() {
		s.mu.Unlock()
		s.abort()
		return
	}
	s.buf = s.dots.Append(s.buf, p)
	s.more.Signal()
	s.mu.Unlock()
}

// isFull reports whether the writer should wait.
func (s *stream) isFull() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.gone && len(s.buf)-s.read >= maxBacklog
}

// full reports whether the writer should wait; room is called then when it need not any
// more, on the reader's goroutine.
func (s *stream) full(room func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || len(s.buf)-s.read < maxBacklog {
		return false
	}
	s.room = room
	return true
}

// end reports that the message is whole.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.more.Signal()
}

// abort gives the message up: what is written from now on is dropped, and a reader
// gets an error.
func (s *stream) abort() {
	s.mu.Lock()
	s.gone, s.buf, s.read = true, nil, 0
	room := s.room
	s.room = nil
	s.more.Signal()
	s.mu.Unlock()
	if room != nil {
		room()
	}
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	for len(s.buf) == s.read && !s.ended && !s.gone {
		s.more.Wait()
	}
	if s.gone {
		s.mu.Unlock()
		return 0, errGone
	}
	n := copy(p, s.buf[s.read:])
	s.read += n
	if s.read == len(s.buf) {
		if s.buf, s.read = s.buf[:0], 0; cap(s.buf) > smallBacklog {
			s.buf = nil
		}
	}
	var room func()
	if len(s.buf)-s.read < maxBacklog/2 {
		room, s.room = s.room, nil
	}
	ended := s.ended
	s.mu.Unlock()
	if room != nil {
		room()
	}
	if n == 0 && ended && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
