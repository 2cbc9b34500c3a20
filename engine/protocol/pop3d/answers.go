package pop3d

import "postrider/codec/pop3"

// Answer closes the open question. An answer to a session that has closed
// meanwhile does nothing.
func (s *Session) Answer(a Answer, e *Effects) {
	q := s.asking
	s.asking = AskNothing
	switch q {
	case AskNothing:
		return
	case AskLogin, AskAPOP:
		s.loggedIn(a, e)
	case AskAuth:
		s.judged(a, e)
	case AskTLS:
		s.answerTLS(a.Verdict, e)
	case AskRead:
		s.opened(a, e)
	case AskSent:
		s.sent(a, e)
	case AskUpdate:
		s.updateDone(a, e)
	case AskDrained:
		s.drained(a, e)
	}
	if s.ending&atAnswer != 0 && s.asking == AskNothing && s.phase != closed {
		s.end(e)
	}
}

func (s *Session) loggedIn(a Answer, e *Effects) {
	s.secret = ""
	if a.Verdict != Yes {
		s.sayNo(a.Verdict, e)
		return
	}
	s.setListing(a.Listing)
	s.expire = a.Expire
	s.enter(transaction)
	s.ok(e, textMaildrop, int64(s.messages()), s.kept)
}

// opened begins the response to RETR or TOP.
func (s *Session) opened(a Answer, e *Effects) {
	if a.Verdict != Yes {
		s.sayNo(a.Verdict, e)
		return
	}
	if s.lines < 0 {
		s.ok(e, textOctets, a.Octets)
	} else {
		s.ok(e, textTop)
	}
	s.ask(e, AskSent)
}

// sent ends the response to RETR or TOP. A message that was not sent to its end
// has no terminator: the connection closes, so that the client does not take a part
// for the whole.
func (s *Session) sent(a Answer, e *Effects) {
	if a.Verdict != Yes {
		s.close(e)
		return
	}
	if s.lines < 0 {
		s.retrs++
		s.retrOctets += a.Octets
	} else {
		s.tops++
		s.topOctets += a.Octets
	}
	e.Reply = append(e.Reply, pop3.Terminator...)
}

// updateDone ends the UPDATE state. The maildrop is released and the connection
// closed either way (RFC 1939 section 6).
func (s *Session) updateDone(a Answer, e *Effects) {
	if a.Verdict == Yes {
		s.updated = true
		s.ok(e, textUpdated, int64(s.deleted))
	} else {
		s.refuse(e, pop3.CodeTemporary, textNotUpdated)
	}
	s.close(e)
}

func (s *Session) drained(a Answer, e *Effects) {
	switch {
	case a.Verdict != Yes:
		s.close(e)
	case s.running != nothing:
		s.next(e)
	}
}

// sayNo replies to a command whose question was not answered with Yes.
func (s *Session) sayNo(v Verdict, e *Effects) {
	switch v {
	case Denied:
		s.refuse(e, pop3.CodeAuth, textDenied)
	case InUse:
		s.refuse(e, pop3.CodeInUse, textInUse)
	case TooManyFailed:
		s.refuse(e, pop3.CodeTemporary, textTooManyFailed)
	case TooSoon:
		s.refuse(e, pop3.CodeDelay, textTooSoon, int64(s.cfg.LoginDelay))
	case Gone:
		s.refuse(e, pop3.CodePermanent, textGone)
	case Shutdown:
		s.end(e)
	default:
		s.refuse(e, pop3.CodeTemporary, textTemporary)
	}
}
