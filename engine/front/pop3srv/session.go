package pop3srv

import (
	"fmt"

	"postrider/engine/edge/conn"
	"postrider/engine/protocol/pop3d"
	"postrider/storage"
)

// session is one POP3 connection: the pure machine of pop3d on one side, the
// event loop and the store on the other. Everything in it belongs to its loop's
// goroutine, except the job while a pool has it; the session waits meanwhile.
type session struct {
	conn.Session
	service *Service
	state   *loopState
	machine pop3d.Session
	user    string // who is logged in, for the log
	lock    storage.Lock
	job     *job
	reading reading // the message that is being sent, and those read ahead

	listing int64 // octets of the ledger for the listing
	early   bool  // the deadline comes when keepAhead is over, the rest of the time after that

	held pop3d.Verdict // on a login that has failed, that waits for its delay
}

// listingOctets is what a message costs in a listing.
const listingOctets = 12

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

// CarryOut does what the machine asked for, and answers what can be answered at
// once; otherwise the session waits for the answer.
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

// flush sends the replies so far and says whether the connection took them all.
func (s *session) flush() bool {
	e := &s.state.effects
	if len(e.Reply) > 0 {
		s.Write(e.Reply)
		e.Reply = e.Reply[:0]
	}
	return s.Conn.Pending() == 0
}

// Expect sets the read limit and the time that the peer has.
func (s *session) Expect() {
	s.reading.idle(s.service)
	limit, early := s.Port.Timeout, s.holdsReadAhead()
	if early {
		limit = keepAhead
	}
	if s.ExpectCommand(limit) {
		s.early = early
	}
}

// holdsReadAhead says whether the session holds messages read ahead that it must give up
// when its peer is silent for keepAhead: others may wait for the memory.
func (s *session) holdsReadAhead() bool { return s.reading.buf != nil && s.Port.Timeout > keepAhead }

// answer answers a question at once, or starts finding out and says so.
func (s *session) answer(q pop3d.Question) (a pop3d.Answer, known bool) {
	switch q {
	case pop3d.AskLogin, pop3d.AskAPOP, pop3d.AskAuth:
		return s.login(q)
	case pop3d.AskRead:
		return s.openMessage()
	case pop3d.AskSent:
		return s.sendMessage()
	case pop3d.AskUpdate:
		s.job.begin(jobUpdate)
		s.job.request = readRequest{lock: s.lock}
		s.job.ids = s.machine.AppendDeleted(s.job.ids[:0])
		s.service.readers.Submit(s.job)
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

// updated is the answer to AskUpdate.
func (s *session) updated(j *job) {
	a := pop3d.Answer{Verdict: pop3d.Yes}
	if j.err != nil {
		s.fault("deleting mail of "+s.user, j.err)
		a.Verdict = pop3d.Temporary
	}
	s.resume(a)
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

// Expired says whether the peer has more time: it has when only what was read ahead for it
// is given up.
func (s *session) Expired(w conn.Wait) (again bool) {
	switch {
	case w == conn.ForTurn:
		s.waited()
	case w == conn.ForPenalty:
		s.resume(pop3d.Answer{Verdict: s.held})
	case w == conn.Nothing && s.early:
		s.early = false
		s.reading.close(s.service)
		s.Conn.SetDeadline(s.Port.Timeout - keepAhead)
		return true
	}
	return false
}

func (s *session) Ended(err error) {
	s.abandonLogin()
	s.Release()
	s.service.Stats.Sessions.Add(-1)
	s.logEnd(err)
}

// Release gives the maildrop and the memory back, as soon as the session is over
// and not only when the peer has closed its end. A job under way keeps them.
func (s *session) Release() {
	if s.job != nil && s.job.busy {
		return
	}
	s.reading.close(s.service)
	s.unlock()
	s.service.memory.Listings.Release(s.listing)
	s.listing = 0
}

// unlock gives the maildrop back, unless a job works at it.
func (s *session) unlock() {
	if s.lock != nil && (s.job == nil || !s.job.busy) {
		s.lock.Release()
		s.lock = nil
	}
}

// failed ends a session whose message can't be sent to its end: a hole in it
// must not look like a whole message.
func (s *session) failed(what string, err error) {
	s.fault(fmt.Sprintf("sending message %d of %s: %s", s.machine.Reading()+1, s.user, what), err)
	s.Reason = "a message could not be read"
	s.Closing = true
	s.Release()
	s.Conn.Abort()
}

// credentialsChanged is why a session ends, for the log.
const credentialsChanged = "the account has another password or is gone"

// loginEnds ends the session, before its next command, when the account has another password
// than at the login or is gone. The maildrop is given back, and what was marked as deleted
// stays.
func (s *session) loginEnds() bool {
	if s.lock == nil || s.service.door.StillHolds(&s.job.outcome.SignedIn) {
		return false
	}
	s.Reason = credentialsChanged
	s.machine.Expire(&s.state.effects)
	s.CarryOut()
	return true
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
