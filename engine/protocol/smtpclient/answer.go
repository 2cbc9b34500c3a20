package smtpclient

import "postrider/codec/smtp"

// answer takes the next reply. What it means is decided by its first digit (RFC
// 5321 section 4.2.1); only 421 and a few that are named where they matter are
// known as such.
func (s *Session) answer(r smtp.ReceivedReply, e *Effects) {
	class := r.Code / 100
	s.heard = s.heard || s.secured
	p := s.at.phase
	switch {
	case p == quitting, p == idle:
		// Between two messages: 421, or the peer has lost count. No message suffers.
		s.close(e)
	case r.Code == 421:
		// The peer leaves, whatever the reply is about (RFC 5321 section 3.8).
		s.broken(s.refusal(r, ScopeHost), e)
	case s.early:
		s.answerEarly(r, e)
	case p == voiding:
		// The message had no recipients left, so the peer's reply does not matter.
		s.end(e)
	case class != 2 && class < 4 && !(class == 3 && (p == starting || p == authing)),
		class == 2 && p == starting:
		s.broken(s.outOfStep(r), e)
	case p < idle:
		s.handshake(r, class, e)
	case p == ending:
		s.answerEnd(r, class, e)
	default:
		s.answerCommand(r, class, e)
	}
}

// answerCommand takes a reply to a command of a transaction.
func (s *Session) answerCommand(r smtp.ReceivedReply, class int, e *Effects) {
	switch s.at.phase {
	case resetting:
		if class != 2 {
			s.answerReset(r, e)
			return
		}
	case mailing:
		if class != 2 {
			s.rest = s.refusal(r, ScopeMessage)
		}
	case adding:
		s.answerRecipient(r, class)
	case starting:
		s.answerStart(r, class, e)
		return
	}
	s.at = s.after(s.at)
	s.proceed(e)
}

// answerReset takes a refusal of RSET, which no server may refuse. QUIT can only
// be sent when no other replies are due.
func (s *Session) answerReset(r smtp.ReceivedReply, e *Effects) {
	refusal := soften(s.refusal(r, ScopeHost))
	if s.after(s.at) == s.next {
		s.refused(refusal, e)
		return
	}
	s.broken(refusal, e)
}

// answerRecipient takes a reply to RCPT. When MAIL was refused, the reply means nothing.
func (s *Session) answerRecipient(r smtp.ReceivedReply, class int) {
	if s.rest.Verdict != Undecided {
		return
	}
	if class == 2 {
		s.accepted++
		return
	}
	refusal := s.refusal(r, ScopeRecipient)
	if s.tooMany(r) {
		s.crowded = true
		refusal = soften(refusal)
		refusal.Again = true
	}
	s.results[s.at.rcpt] = refusal
}

// tooMany reports whether a refusal of RCPT is about the number of recipients, and
// not about this one. The enhanced code tells; without one 452, and 552, which older
// servers use for it (RFC 5321 section 4.5.3.1.10), may mean that: the next
// transaction, in which the recipient comes first, will show.
func (s *Session) tooMany(r smtp.ReceivedReply) bool {
	if s.accepted == 0 {
		return false
	}
	if enhanced := r.Enhanced(); enhanced != nil {
		return string(enhanced[1:]) == ".5.3"
	}
	return r.Code == 452 || r.Code == 552
}

// answerStart takes the reply to DATA.
func (s *Session) answerStart(r smtp.ReceivedReply, class int, e *Effects) {
	failed := s.accepted == 0 || s.rest.Verdict != Undecided
	switch {
	case class == 3 && failed:
		// The peer wants a message that has no recipients (RFC 2920 section 3.1).
		e.Send = append(e.Send, ".\r\n"...)
		s.enter(voiding)
	case class == 3:
		s.enter(streaming)
		e.Ask = AskBody
	default:
		if !failed {
			s.rest = s.refusal(r, ScopeMessage)
		}
		s.end(e)
	}
}

// answerEnd takes the reply to the message: the only one that delivers.
func (s *Session) answerEnd(r smtp.ReceivedReply, class int, e *Effects) {
	if class == 2 {
		s.rest = s.taken(r)
		s.dirty = false
	} else {
		s.rest = s.refusal(r, ScopeMessage)
	}
	s.end(e)
}

// answerEarly takes a reply that came when none was due. A refusal of the message
// while it was being sent is believed; a yes is not, because it can't be about
// what the peer had not read. The session is lost either way.
func (s *Session) answerEarly(r smtp.ReceivedReply, e *Effects) {
	if r.Code >= 400 {
		s.abandon(s.refusal(r, ScopeMessage), e)
		return
	}
	s.broken(s.outOfStep(r), e)
}

// proceed goes on when all replies to what was sent are in.
func (s *Session) proceed(e *Effects) {
	if s.at != s.next {
		return
	}
	if s.crowded && s.next.phase == adding {
		s.postpone()
	}
	if s.rest.Verdict != Undecided || s.accepted == 0 && s.next.phase == starting {
		s.end(e)
		return
	}
	s.write(e)
}

// postpone leaves the recipients that were not sent to another transaction: one
// before them was too many.
func (s *Session) postpone() {
	var reason Result
	for _, r := range s.results {
		if r.Again && r.Code != 0 {
			reason = r
		}
	}
	for i := s.next.rcpt; i < len(s.results); i++ {
		if s.results[i].Verdict == Undecided {
			s.results[i] = reason
		}
	}
	s.next = place{phase: starting}
	s.at = s.next
}
