package smtpclient

// end ends the transaction while the peer is in step with us.
func (s *Session) end(e *Effects) {
	s.finish(e)
	if s.offer.mailMax > 0 && s.messages >= s.offer.mailMax {
		s.quit(e)
	}
}

// finish gives undecided recipients their result, and hands out the Outcome.
func (s *Session) finish(e *Effects) {
	for i := range s.results {
		if s.results[i].Verdict == Undecided {
			s.results[i] = s.rest
		}
	}
	s.outcome = Outcome{Results: s.results, DSN: s.offer.dsn}
	e.Outcome, e.Ask = &s.outcome, AskNothing
	s.tx = nil
	s.enter(idle)
}

// refused ends a session whose peer refuses it, and sends QUIT.
func (s *Session) refused(r Result, e *Effects) {
	s.blame(r, e)
	s.quit(e)
}

// broken ends a session that can't go on, without a word: the peer is not there,
// or not in step with us.
func (s *Session) broken(r Result, e *Effects) {
	doubt := s.at.phase == ending && r.Code != 421
	s.unheard = s.at.phase == encrypting
	stale := (s.at.phase == resetting || s.at.phase == mailing) && s.messages > 1
	s.blame(r, e)
	s.outcome.Doubt, s.outcome.Stale = doubt, stale
	if stale {
		s.fault = Result{}
	}
	s.close(e)
}

// blame ends the transaction, if there is one, by a fault, at first of the host.
// What was known of the message or of a recipient before stays.
func (s *Session) blame(r Result, e *Effects) {
	s.fault = r
	if s.tx == nil {
		return
	}
	if s.rest.Verdict == Undecided {
		s.rest = r
	}
	s.finish(e)
}

// abandon ends the session, and the transaction if there is one, by no fault of
// the host.
func (s *Session) abandon(r Result, e *Effects) {
	s.blame(r, e)
	s.fault = Result{}
	s.close(e)
}

// quit takes leave. The peer's answer closes the session (RFC 5321 section
// 4.1.1.10).
func (s *Session) quit(e *Effects) {
	e.Send = append(e.Send, "QUIT\r\n"...)
	s.enter(quitting)
}

func (s *Session) close(e *Effects) {
	s.enter(closed)
	e.Ask, e.StartTLS, e.Close = AskNothing, false, true
}
