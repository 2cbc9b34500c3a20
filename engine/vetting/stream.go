package vetting

import (
	"errors"
	"io"
	"sync"

	"postrider/codec/dot"
)

// stream is the copy of a message on its way from the session, which must not wait,
// to the goroutine that reads it. Stuffed dots are taken out on the way.
type stream struct {
	mu     sync.Mutex
	more   sync.Cond
	octets []byte
	ended  bool
	gone   bool   // nobody writes or reads any more
	room   func() // to be called when there is room; nil: nobody waits
	dots   dot.Unstuffer
}

// maxBacklog is how many octets may wait to be read before a caller should stop.
const maxBacklog = 64 << 10

// errGone is what a reader hears whose message was given up.
var errGone = errors.New("the message was given up")

func newStream() *stream {
	s := new(stream)
	s.more.L = &s.mu
	return s
}

// write copies p, which is in wire form and may be cut anywhere.
func (s *stream) write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.octets = s.dots.Append(s.octets, p)
	s.more.Signal()
}

// full says whether the writer should wait; room is called then when it need not any
// more, on the reader's goroutine.
func (s *stream) full(room func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || len(s.octets) < maxBacklog {
		return false
	}
	s.room = room
	return true
}

// end says that the message is whole.
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
	s.gone, s.octets = true, nil
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
	for len(s.octets) == 0 && !s.ended && !s.gone {
		s.more.Wait()
	}
	if s.gone {
		s.mu.Unlock()
		return 0, errGone
	}
	n := copy(p, s.octets)
	s.octets = s.octets[n:]
	if len(s.octets) == 0 {
		s.octets = nil
	}
	var room func()
	if len(s.octets) < maxBacklog/2 {
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

// quietly ends where the message was given up: the library leaves goroutines behind
// when it hears of an error.
type quietly struct{ io.Reader }

// Read implements io.Reader.
func (q quietly) Read(p []byte) (int, error) {
	n, err := q.Reader.Read(p)
	if errors.Is(err, errGone) {
		err = io.EOF
	}
	return n, err
}
