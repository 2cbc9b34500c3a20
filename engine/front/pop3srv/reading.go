package pop3srv

import (
	"errors"
	"fmt"
	"time"

	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// keepAhead is how long a silent client keeps what was read ahead for it: other sessions may
// wait for the memory.
const keepAhead = 3 * time.Second

// reading is the message that is being sent, and the messages that were read ahead.
type reading struct {
	job     readJob
	buffers *buffers
	waiter  budget.Waiter // for a buffer

	asked  time.Time // when the client sent RETR; zero: it sent TOP
	whole  []byte    // the message to send, if it is whole in the buffer
	sent   int64     // octets of the large message that were written
	next   int       // the message that a client asks for next, if it fetches in order
	streak int       // how many messages were asked for in order
	early  bool      // the deadline is at the end of keepAhead, not of the idle timeout
}

// openMessage answers AskRead from what was read ahead, or sends a reader.
func (s *session) openMessage() (pop3d.Answer, bool) {
	m := s.maildrop
	r := &m.reading
	r.asked = time.Time{}
	if i := s.machine.Reading(); s.machine.Lines() < 0 {
		r.asked = time.Now()
		if i == r.next {
			r.streak++
		} else {
			r.streak = 0
		}
		r.next = i + 1
		if octets, ok := r.find(i); ok {
			s.service.Stats.Retrieved.Add(1)
			return pop3d.Answer{Verdict: pop3d.Yes, Octets: octets}, true
		}
	}
	r.job.ahead, r.whole = r.job.ahead[:0], nil
	if r.job.buf == nil {
		r.waiter.Loop, r.waiter.Task = s.state.loop, (*bufferGranted)(s)
		if r.job.buf = r.buffers.book(&r.waiter, r.streak >= longStreak); r.job.buf == nil {
			m.waits = forBuffer
			s.service.Stats.OverBudget.Add(1)
			return pop3d.Answer{}, false
		}
	}
	s.startReading()
	return pop3d.Answer{}, false
}

// find looks for a message in what was read ahead. It is the one that is sent then.
func (r *reading) find(i int) (octets int64, ok bool) {
	for _, a := range r.job.ahead {
		if a.index == i {
			r.whole = r.job.buf[a.from:a.to]
			return a.octets, true
		}
	}
	return 0, false
}

// bufferGranted is the task that lets a session read: its buffer is booked.
type bufferGranted session

// Run implements loop.Task.
func (g *bufferGranted) Run() {
	s := (*session)(g)
	m := s.maildrop
	m.waits = nothing
	m.reading.job.buf = s.service.buffers.usual.Get()
	if !s.Conn.Alive() {
		s.Release()
		return
	}
	s.startReading()
}

// startReading sends a reader for the message that the machine asks for. For a client that
// fetches in order the reader brings the next ones as well, more of them each time.
func (s *session) startReading() {
	r := &s.maildrop.reading
	q := readRequest{lock: s.maildrop.lock, listing: s.machine.Listing(), first: s.machine.Reading(), count: 1, lines: s.machine.Lines()}
	if q.lines < 0 && (r.streak > 0 || q.first == 0) {
		q.count = min(4<<min(r.streak, 10), q.listing.Len()-q.first)
	}
	r.job.request = q
	s.sendReader(open)
}

// sendReader has a reader of the pool do a step.
func (s *session) sendReader(to step) {
	m := s.maildrop
	m.waits = forJob
	j := &m.reading.job
	j.step, j.err = to, nil
	s.service.readers.Submit(j)
}

// readDone is the task that takes the result of a reader.
type readDone session

// Run implements loop.Task.
func (d *readDone) Run() {
	s := (*session)(d)
	s.maildrop.waits = nothing
	r := &s.maildrop.reading
	step, err := r.job.step, r.job.err
	if step == end && err == nil {
		r.job.large = largeMessage{}
	}
	switch {
	case !s.Conn.Alive():
		s.Release()
	case step == open:
		s.resume(s.opened())
	case err != nil:
		s.failed(err)
	case step == nextPiece:
		s.Begin()
		s.stream()
	default:
		s.service.Stats.OctetsOut.Add(r.sent)
		s.handedOver()
		s.resume(pop3d.Answer{Verdict: pop3d.Yes, Octets: r.sent})
	}
}

// opened is the answer to AskRead.
func (s *session) opened() pop3d.Answer {
	r := &s.maildrop.reading
	if err := r.job.err; err != nil {
		s.fault("reading mail of "+s.maildrop.user, err)
		if errors.Is(err, storage.ErrTemporary) || errors.Is(err, storage.ErrFailed) || errors.Is(err, storage.ErrFenced) {
			return pop3d.Answer{Verdict: pop3d.Temporary}
		}
		return pop3d.Answer{Verdict: pop3d.Gone}
	}
	s.service.Stats.Retrieved.Add(1)
	a := pop3d.Answer{Verdict: pop3d.Yes, Octets: r.job.large.octets}
	if r.job.large.message == nil {
		a.Octets, _ = r.find(r.job.request.first)
	}
	return a
}

// sendMessage answers AskSent: at once for a message that is in the buffer, else when
// its last piece is written.
func (s *session) sendMessage() (pop3d.Answer, bool) {
	r := &s.maildrop.reading
	if r.job.large.message != nil {
		r.sent = 0
		s.stream()
		return pop3d.Answer{}, false
	}
	e := &s.state.effects
	e.Reply = append(e.Reply, r.whole...)
	n := int64(len(r.whole))
	s.service.Stats.OctetsOut.Add(n)
	r.whole = nil
	s.handedOver()
	return pop3d.Answer{Verdict: pop3d.Yes, Octets: n}, true
}

// handedOver counts the time of a RETR: the last octet of the message is with the connection.
// That of a large message comes after the kernel has taken all pieces but the last.
func (s *session) handedOver() {
	if at := s.maildrop.reading.asked; !at.IsZero() {
		s.service.took.Observe(time.Since(at))
	}
}

// stream writes what is read of the large message, and sends a reader for more when the
// connection has sent what it has.
func (s *session) stream() {
	r := &s.maildrop.reading
	large := &r.job.large
	clear := s.flush()
	if len(large.piece) > 0 {
		s.Write(large.piece)
		r.sent += int64(len(large.piece))
		large.piece = nil
		clear = s.Conn.Pending() == 0
	}
	if !s.Conn.Alive() {
		return
	}
	switch s.Park(); {
	case large.last:
		s.sendReader(end)
	case clear:
		s.sendReader(nextPiece)
	default:
		s.Await(conn.ForPiece)
	}
}

// dropUsed gives the buffer back if nothing in it will be asked for.
func (r *reading) dropUsed() {
	if r.job.buf == nil {
		return
	}
	if n := len(r.job.ahead); n == 0 || r.job.ahead[n-1].index < r.next {
		r.close()
	}
}

// cancel leaves the queue for a buffer. It is false if the buffer is on its way.
func (r *reading) cancel() bool { return r.buffers.ledger.Cancel(&r.waiter) }

// close gives up all that was read. No pool may have the job.
func (r *reading) close() {
	j := &r.job
	if j.large.message != nil {
		j.large.message.Close()
	}
	j.large = largeMessage{}
	if j.buf != nil {
		r.buffers.giveBack(j.buf)
		j.buf = nil
	}
	j.ahead, r.whole = j.ahead[:0], nil
}

// failed ends a session whose message can't be sent to its end: a hole in it must not look
// like a whole message.
func (s *session) failed(err error) {
	s.fault(fmt.Sprintf("sending message %d of %s: the store can't read on", s.machine.Reading()+1, s.maildrop.user), err)
	s.Reason = "a message could not be read"
	s.Closing = true
	s.Release()
	s.Conn.Abort()
}
