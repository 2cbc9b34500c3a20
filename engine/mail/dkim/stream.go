package dkim

import (
	"bytes"
	"sync"
)

// Stream signs a message for a caller that may not wait. Its methods never block; they
// are called by one goroutine at a time.
type Stream struct {
	signing *Signing

	mu      sync.Mutex
	queue   [][]byte // copies of what was appended
	backlog int64    // octets of the queue, and of what is being hashed
	working bool     // a goroutine is at it
	finish  func(fields string, err error)
	aborted bool
	notify  func()
	mark    int64
}

// Stream begins a message. keys is what For returned.
func (k *Keys) Stream(keys []*Key) *Stream { return &Stream{signing: k.Begin(keys)} }

// Append copies run, octets in wire form, to the end of the message.
func (s *Stream) Append(run []byte) {
	if len(run) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.queue); n > 0 && len(s.queue[n-1])+len(run) <= smallRun {
		s.queue[n-1] = append(s.queue[n-1], run...) // a run may be a single octet
	} else {
		s.queue = append(s.queue, bytes.Clone(run))
	}
	s.backlog += int64(len(run))
	s.start()
}

// smallRun is up to how many octets runs are gathered in one piece.
const smallRun = 4 << 10

// Backlog is how many octets were appended and are not hashed yet: what the caller
// bounds by pausing its peer.
func (s *Stream) Backlog() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlog
}

// Notify calls f once, on another goroutine or at once, when the backlog is at most
// mark. Abort voids it.
func (s *Stream) Notify(mark int64, f func()) {
	s.mu.Lock()
	if s.backlog > mark {
		s.notify, s.mark = f, mark
		f = nil
	}
	s.mu.Unlock()
	if f != nil {
		f()
	}
}

// Finish calls f on another goroutine with what Signing.Finish returns.
func (s *Stream) Finish(f func(fields string, err error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish = f
	s.start()
}

// Abort gives the message up.
func (s *Stream) Abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aborted, s.queue, s.notify = true, nil, nil
	s.start()
}

// start has a goroutine look at the queue; s.mu is held.
func (s *Stream) start() {
	if !s.working {
		s.working = true
		go s.work()
	}
}

// work hashes what is in the queue, and ends the message when that was asked for.
func (s *Stream) work() {
	s.mu.Lock()
	for len(s.queue) > 0 {
		runs := s.queue
		s.queue = nil
		s.mu.Unlock()
		for _, run := range runs {
			s.signing.Append(run)
			s.hashed(int64(len(run)))
		}
		s.mu.Lock()
	}
	finish, aborted := s.finish, s.aborted
	s.working = false
	s.mu.Unlock()
	switch {
	case aborted:
		s.signing.Abort()
	case finish != nil:
		finish(s.signing.Finish())
	}
}

// hashed takes n octets off the backlog.
func (s *Stream) hashed(n int64) {
	s.mu.Lock()
	s.backlog -= n
	var f func()
	if s.notify != nil && s.backlog <= s.mark {
		f, s.notify = s.notify, nil
	}
	s.mu.Unlock()
	if f != nil {
		f()
	}
}
