package pop3srv

import (
	"errors"
	"io"
	"time"

	"postrider/codec/dot"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// How a message gets out. A reader of the pool opens it and copies it to a
// buffer; when it is small, the messages that the client will most likely ask
// for next are copied after it, so that a client that fetches its whole
// maildrop costs one trip to the pool for dozens of messages. A message that
// does not fit is streamed: one piece is read, written, and the next one is
// read only when the connection has sent it all. What is sent is the wire form
// as it is stored; nothing is done per octet.

// ReadBuffer is what one trip to the pool may bring, and what a session that
// sends messages holds of the ledger. A client that has asked for longStreak
// messages in order fetches them all, and gets a WideBuffer where the ledger has
// room for one: most of what a message costs beyond its octets is its part of the
// trip.
const (
	ReadBuffer = storage.MaxPiece
	WideBuffer = 4 * ReadBuffer
	longStreak = 16
)

// keepAhead is how long a silent client keeps what was read ahead for it.
const keepAhead = 3 * time.Second

// reading is the message that is being sent and those that were read ahead.
type reading struct {
	buf    []byte          // nil while nothing is read; from the server's free list
	ahead  []readAhead     // messages that are whole in buf
	whole  []byte          // the message to send, when it is whole in buf
	large  storage.Message // the message to send, when it does not
	piece  []byte          // of large: what is read and not yet written
	last   bool            // of large: piece is the last one
	sent   int64           // of large: octets written
	top    dot.Top         // of TOP: where the message is cut
	cut    bool            // top is used
	next   int             // the message that a sequential reader asks for next
	streak int             // how many messages were asked for in order
	asked  bool            // in the ledger's queue for a buffer
	waiter budget.Waiter
}

// readAhead is a message that is whole in the buffer.
type readAhead struct {
	index    int // in the listing
	from, to int // in the buffer
	octets   int64
}

// openMessage answers AskRead from what was read ahead, or sends a reader.
func (s *session) openMessage() (pop3d.Answer, bool) {
	r, i, lines := &s.reading, s.machine.Reading(), s.machine.Lines()
	if lines < 0 {
		if i == r.next {
			r.streak++
		} else {
			r.streak = 0
		}
		r.next = i + 1
		for _, a := range r.ahead {
			if a.index == i {
				r.whole = r.buf[a.from:a.to]
				s.service.Stats.Retrieved.Add(1)
				return pop3d.Answer{Verdict: pop3d.Yes, Octets: a.octets}, true
			}
		}
	}
	r.ahead, r.whole = r.ahead[:0], nil
	if r.buf == nil && !s.bookBuffer() {
		return pop3d.Answer{}, false
	}
	s.startReading()
	return pop3d.Answer{}, false
}

// readRequest is what a reader of the pool is to read. With it and a reading, a reader sees
// neither the connection nor its machine, which belong to the loop meanwhile.
type readRequest struct {
	lock    storage.Lock
	listing *storage.Listing
	first   int // in the listing
	count   int // messages, at most: this one, and those that come next
	lines   int // of TOP; -1: of RETR
}

// startReading sends a reader for the message that the machine asks for.
func (s *session) startReading() {
	q := readRequest{lock: s.lock, listing: s.machine.Listing(), first: s.machine.Reading(), count: 1, lines: s.machine.Lines()}
	if q.lines < 0 && (s.reading.streak > 0 || q.first == 0) {
		q.count = min(4<<min(s.reading.streak, 10), q.listing.Len()-q.first)
	}
	s.job.begin(jobRead)
	s.job.request, s.job.reading = q, &s.reading
	s.service.readers.Submit(s.job)
}

// bookBuffer gets a buffer, once the ledger has room for it: false when the
// session has to wait for that.
func (s *session) bookBuffer() bool {
	r := &s.reading
	if r.streak >= longStreak && s.service.memory.Bulk.Reserve(WideBuffer) {
		r.buf = s.service.wide.Get()
		return true
	}
	r.waiter.Loop, r.waiter.Task = s.state.loop, (*bufferGranted)(s)
	if !s.service.memory.Bulk.Wait(&r.waiter, ReadBuffer) {
		r.asked = true
		s.service.Stats.OverBudget.Add(1)
		return false
	}
	r.buf = s.service.buffers.Get()
	return true
}

// bufferGranted is the task that lets a session read: its buffer is booked.
type bufferGranted session

// Run implements loop.Task.
func (g *bufferGranted) Run() {
	s := (*session)(g)
	s.reading.asked = false
	s.reading.buf = s.service.buffers.Get()
	if !s.Conn.Alive() {
		s.Release()
		return
	}
	s.startReading()
}

// read runs in the pool: it opens the message and copies it and, for a
// sequential reader, the next ones. octets are those of a large message.
func (r *reading) read(q *readRequest) (octets int64, err error) {
	if q.lines >= 0 {
		return r.openLarge(q, q.first)
	}
	seq, err := q.lock.Sequence()
	if err != nil {
		return 0, err
	}
	defer seq.Close()
	b := r.buf[:0]
	for i := q.first; i < q.first+q.count; i++ {
		from := len(b)
		id, _ := q.listing.At(i)
		var e storage.Entry
		b, e, err = seq.Append(b, id)
		switch {
		case err == nil:
			r.ahead = append(r.ahead, readAhead{index: i, from: from, to: len(b), octets: e.Octets()})
		case i > q.first: // its own turn will say what is wrong with it
			return 0, nil
		case errors.Is(err, io.ErrShortBuffer):
			return r.openLarge(q, i)
		default:
			return 0, err
		}
	}
	return 0, nil
}

// openLarge opens a message to be sent in pieces.
func (r *reading) openLarge(q *readRequest, i int) (octets int64, err error) {
	id, _ := q.listing.At(i)
	msg, err := q.lock.Open(id)
	if err != nil {
		return 0, err
	}
	if q.lines >= 0 {
		r.top = dot.NewTop(q.lines)
		r.cut = true
	}
	e := msg.Entry()
	r.large, r.last = msg, false
	r.piece = r.limit(append(r.buf[:0], e.Trace...))
	return e.Octets(), nil
}

// limit cuts a piece where TOP ends.
func (r *reading) limit(p []byte) []byte {
	if !r.cut {
		return p
	}
	n, done := r.top.Take(p)
	r.last = r.last || done
	return p[:n]
}

// nextPiece runs in the pool: it reads the next piece of the large message.
func (r *reading) nextPiece() error {
	p, err := r.large.Next()
	if errors.Is(err, io.EOF) {
		r.piece, r.last = nil, true
		return nil
	}
	if err != nil {
		return err
	}
	r.piece = r.limit(p)
	return nil
}

// opened is the answer to AskRead.
func (s *session) opened(j *job) {
	r := &s.reading
	a := pop3d.Answer{Verdict: pop3d.Yes, Octets: j.octets}
	switch {
	case j.err == nil && r.large == nil:
		m := r.ahead[0]
		r.whole, a.Octets = r.buf[m.from:m.to], m.octets
	case j.err == nil:
	case errors.Is(j.err, storage.ErrTemporary), errors.Is(j.err, storage.ErrFailed), errors.Is(j.err, storage.ErrFenced):
		a.Verdict = pop3d.Temporary
	default:
		a.Verdict = pop3d.Gone
	}
	if j.err != nil {
		s.fault("reading mail of "+s.user, j.err)
	} else {
		s.service.Stats.Retrieved.Add(1)
	}
	s.resume(a)
}

// sendMessage answers AskSent: at once for a message that is in the buffer, else when
// its last piece is written.
func (s *session) sendMessage() (pop3d.Answer, bool) {
	r := &s.reading
	if r.large == nil {
		e := &s.state.effects
		e.Reply = append(e.Reply, r.whole...)
		n := int64(len(r.whole))
		s.service.Stats.OctetsOut.Add(n)
		r.whole = nil
		return pop3d.Answer{Verdict: pop3d.Yes, Octets: n}, true
	}
	r.sent = 0
	s.stream()
	return pop3d.Answer{}, false
}

// stream writes what is read of the large message and goes for more, when the
// connection has sent what it has.
func (s *session) stream() {
	r := &s.reading
	clear := s.flush()
	if len(r.piece) > 0 {
		s.Write(r.piece)
		r.sent += int64(len(r.piece))
		r.piece = nil
		clear = s.Conn.Pending() == 0
	}
	if !s.Conn.Alive() {
		return
	}
	switch s.Park(); {
	case r.last:
		s.job.begin(jobClose)
		s.service.readers.Submit(s.job)
	case clear:
		s.job.begin(jobPiece)
		s.service.readers.Submit(s.job)
	default:
		s.Await(conn.ForPiece)
	}
}

// idle gives the buffer back when nothing in it will be asked for.
func (r *reading) idle(service *Service) {
	if r.buf == nil {
		return
	}
	if n := len(r.ahead); n == 0 || r.ahead[n-1].index < r.next {
		r.close(service)
	}
}

// close lets go of everything. No job may be under way.
func (r *reading) close(service *Service) {
	if r.asked && service.memory.Bulk.Cancel(&r.waiter) {
		r.asked = false
	}
	if r.large != nil {
		r.large.Close()
		r.large = nil
	}
	if r.buf != nil {
		from := service.buffers
		if cap(r.buf) == WideBuffer {
			from = service.wide
		}
		from.Put(r.buf)
		service.memory.Bulk.Release(int64(from.Size()))
		r.buf = nil
	}
	r.ahead, r.whole, r.piece, r.cut = r.ahead[:0], nil, nil, false
}
