package agent

import (
	"math/rand/v2"
	"time"

	"postrider/engine/mail/router"
	"postrider/engine/relay/queue"
)

// session delivers mail to a site over one connection at a time. It has its own goroutine.
type session struct {
	sh   *shard
	s    *queue.Session
	jobs chan *queue.Job // the next job; nil: the session is over
	peer *peer           // nil: not connected
	kept *dialogue       // what is said in the attempt, for the history; nil: none is kept
}

func newSession(sh *shard, s *queue.Session) *session {
	own := &session{sh: sh, s: s, jobs: make(chan *queue.Job, 1)}
	s.Handle = own
	return own
}

// run delivers one entry after the other until the scheduler has no more.
func (s *session) run(j *queue.Job) {
	defer s.hangUp()
	for j != nil {
		a, verdict, fault := s.deliver(j)
		if verdict == queue.HostBusy {
			s.sh.c.record(queue.Judgement{Settlement: queue.Postpone(j.Entry, time.Now().Add(queue.BusyWait), fault.Status, suspended+fault.Text)})
		} else {
			s.sh.c.finish(j.Entry, a, rand.Float64())
		}
		done := j
		s.sh.do(func(now time.Time, e *queue.Effects) bool {
			s.sh.s.Finished(s.s, done, verdict, fault, now, e)
			return true
		})
		if verdict != queue.HostOK {
			return
		}
		if j = s.next(); j == nil {
			return
		}
		if s.sh.c.closing.Load() {
			return
		}
	}
}

// next waits for the next job. It returns nil when the session is over.
func (s *session) next() *queue.Job {
	select {
	case j := <-s.jobs:
		return s.takeOrEnd(j)
	default:
	}
	patience := time.NewTimer(s.sh.c.rules().Idle)
	defer patience.Stop()
	select {
	case j := <-s.jobs:
		return s.takeOrEnd(j)
	case <-patience.C:
	case <-s.sh.c.ended:
	}
	over := s.sh.do(func(now time.Time, e *queue.Effects) bool { return s.sh.s.Rest(s.s, now, e) })
	if over {
		return nil
	}
	return s.takeOrEnd(<-s.jobs)
}

// takeOrEnd tells the scheduler that the session ends, if it does.
func (s *session) takeOrEnd(j *queue.Job) *queue.Job {
	if j == nil {
		s.hangUp() // before another session gets the place
		s.sh.do(func(now time.Time, e *queue.Effects) bool {
			s.sh.s.Ended(s.s, now, e)
			return true
		})
	}
	return j
}

// hangUp ends the connection with QUIT.
func (s *session) hangUp() {
	if s.peer != nil {
		s.peer.quit()
		s.peer = nil
	}
}

// drop closes the connection without QUIT.
func (s *session) drop() {
	if s.peer != nil {
		s.peer.cut()
		s.peer = nil
	}
}

// deliver makes one attempt for the entry of a job.
func (s *session) deliver(j *queue.Job) (*queue.Attempt, queue.HostVerdict, queue.Fault) {
	now := time.Now()
	a := &queue.Attempt{At: now, Began: now, Results: make([]queue.Result, len(j.Entry.Recipients))}
	if j.Hop.Kind == router.Maildrop {
		verdict := s.sh.c.deliverHere(j.Entry, a)
		a.At = time.Now()
		return a, verdict, queue.Fault{}
	}
	t := &attempt{session: s, c: s.sh.c, set: s.sh.c.rules(), entry: j.Entry, hop: j.Hop, outcome: a}
	if s.peer != nil && s.peer.set != t.set {
		s.hangUp() // it was made by other rules, perhaps by weaker ones; its end is not of this attempt's dialogue
	}
	if t.c.history().On() {
		s.kept = s.kept.begin()
	} else {
		s.kept = nil
	}
	verdict, fault := t.run()
	a.At = time.Now()
	a.Record = t.recordOf()
	t.keepTalk()
	return a, verdict, fault
}
