package pop3srv

import (
	"postrider/codec/pop3"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/protocol/pop3d"
)

// session is one POP3 connection: the machine of pop3d on one side, the event loop and the
// store on the other. All of it belongs to the goroutine of its loop, but for a job that a
// pool has; the session waits for that.
type session struct {
	conn.Session
	service  *Service
	state    *loopState
	machine  pop3d.Session
	login    *loginJob // nil before the first login, and after the one that was granted
	maildrop *maildrop // nil before the login
}

// newJob makes the common part of a job. done takes the result on the loop.
func (s *session) newJob(done loop.Task) job {
	return job{loop: s.state.loop, done: done, log: s.service.log}
}

// The methods below implement conn.Dialogue.

func (s *session) Begin()     { s.state.effects.Reset() }
func (s *session) Greet()     { s.machine.Greet(&s.state.effects) }
func (s *session) TimeOut()   { s.machine.TimeOut(&s.state.effects) }
func (s *session) Left() bool { return s.machine.Left() }
func (s *session) Secure()    { s.machine.Secured(pop3d.TLSFacts{Binding: s.TLS.ChannelBinding}) }
func (s *session) Say()       { s.flush() }
func (s *session) Spoke()     {} // POP3 has no rule about that

// ShutDown ends the session now, or after the answer that it waits for. Deletions without
// QUIT are not carried out (RFC 1939 section 6).
func (s *session) ShutDown() {
	if s.Dismissed() {
		s.machine.Dismiss()
	}
	if s.abandonLogin() {
		s.Waits = conn.Nothing
		s.machine.Answer(pop3d.Answer{Verdict: pop3d.Shutdown}, &s.state.effects)
	}
	s.machine.Shutdown(&s.state.effects)
}

// Feed gives the machine what it takes of in.
func (s *session) Feed(in []byte) int {
	e, total := &s.state.effects, 0
	for s.Waits == conn.Nothing && !s.Closing {
		if total < len(in) && s.loginEnds() {
			break
		}
		n := s.machine.Feed(in[total:], e)
		total += n
		idle := n == 0 && e.Ask == pop3d.AskNothing && !e.Close
		s.CarryOut()
		if idle {
			break
		}
	}
	return total
}

// CarryOut does what the machine asked for, and answers what can be answered at once. If an
// answer takes longer the session waits for it.
func (s *session) CarryOut() {
	for e := &s.state.effects; ; {
		switch {
		case e.Close:
			s.Closing = true
			return
		case e.StartTLS:
			s.Waits = conn.ForHandshake
			return
		case e.Ask == pop3d.AskNothing:
			return
		}
		q := e.Ask
		e.Ask = pop3d.AskNothing
		a, known := s.answer(q)
		if !known {
			if s.Waits == conn.Nothing { // else with a deadline
				s.Park()
			}
			return
		}
		s.machine.Answer(a, e)
	}
}

// answer answers a question. If the answer is not known, resume comes with it later.
func (s *session) answer(q pop3d.Question) (a pop3d.Answer, known bool) {
	switch q {
	case pop3d.AskLogin, pop3d.AskAPOP, pop3d.AskAuth:
		return s.authenticate(q)
	case pop3d.AskRead:
		return s.openMessage()
	case pop3d.AskSent:
		return s.sendMessage()
	case pop3d.AskUpdate:
		s.update()
		return a, false
	case pop3d.AskDrained:
		if s.flush() {
			return pop3d.Answer{Verdict: pop3d.Yes}, true
		}
		s.Await(conn.ForListing)
		return a, false
	case pop3d.AskTLS:
		return pop3d.Answer{Verdict: s.mayStartTLS()}, true
	}
	panic("BUG: pop3d asked an unknown question")
}

// resume answers the question that the session waits for, and goes on.
func (s *session) resume(a pop3d.Answer) {
	s.Waits = conn.Nothing
	s.Begin()
	s.machine.Answer(a, &s.state.effects)
	s.CarryOut()
	s.Resumed()
}

// flush sends the replies so far, and reports whether the connection took all of them.
func (s *session) flush() bool {
	e := &s.state.effects
	if len(e.Reply) > 0 {
		s.count(e)
		s.Write(e.Reply)
		e.Reply = e.Reply[:0]
	}
	return s.Conn.Pending() == 0
}

// count counts the replies that are sent.
func (s *session) count(e *pop3d.Effects) {
	replies := &s.Tally().Replies
	if e.OKs > 0 {
		replies[conn.ReplyOK].Add(int64(e.OKs))
	}
	for code, n := range e.Errs {
		if n > 0 {
			replies[conn.ReplyErr].Add(int64(n))
			s.state.refused[code].Add(int64(n))
		}
	}
	e.OKs, e.Errs = 0, [len(pop3.Codes)]uint16{}
}

// mayStartTLS answers AskTLS.
func (s *session) mayStartTLS() pop3d.Verdict {
	switch {
	case s.service.draining():
		return pop3d.Shutdown
	case s.TLSBusy(), s.TLSTooOften():
		return pop3d.Temporary
	}
	return pop3d.Yes
}

// Expect sets the read limit and the time that the peer has. A session with messages read
// ahead gives them up first.
func (s *session) Expect() {
	m := s.maildrop
	if m == nil {
		s.ExpectCommand(s.Port.Timeout)
		return
	}
	r := &m.reading
	r.dropUsed()
	limit, early := s.Port.Timeout, false
	if r.job.buf != nil && limit > keepAhead {
		limit, early = keepAhead, true
	}
	if s.ExpectCommand(limit) {
		r.early = early
	}
}

// Taken goes on when the peer has taken what was sent.
func (s *session) Taken(w conn.Wait) {
	if w == conn.ForListing {
		s.resume(pop3d.Answer{Verdict: pop3d.Yes})
		return
	}
	s.Begin()
	s.stream()
}

// Expired reports whether the peer has more time. It has if the deadline was for what was
// read ahead.
func (s *session) Expired(w conn.Wait) (again bool) {
	switch {
	case w == conn.ForTurn, w == conn.ForPenalty:
		s.resumeLogin(s.login.Expired(&s.Session, w))
	case w == conn.Nothing && s.maildrop != nil && s.maildrop.reading.early:
		r := &s.maildrop.reading
		r.early = false
		r.close()
		s.Conn.SetDeadline(s.Port.Timeout - keepAhead)
		return true
	}
	return false
}

// Ended takes the session out of what it is counted in.
func (s *session) Ended(err error) {
	s.abandonLogin()
	s.Release()
	s.service.Stats.Sessions.Add(-1)
	s.logEnd(err)
}
