package smtpsrv

import (
	"errors"

	"postrider/codec/smtp"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// session is one SMTP connection: the machine of smtpd on one side, and on the other the
// event loop, the store and limits.memory. It belongs to the goroutine of its loop, except
// the transaction while the store has it.
type session struct {
	conn.Session
	service *Service
	rules   *Settings // as they were when it was opened
	state   *loopState
	m       smtpd.Session
	tx      *transaction // nil before the first MAIL; later messages use it again

	window budget.Window
	rate   conn.Progress // the time of the message that comes in

	mayRelay  bool // mail for other domains is taken from its network
	auth      *auth
	untrusted *untrusted // nil: [policy] does not concern this client
}

// The methods below implement conn.Dialogue.

func (s *session) Begin()     { s.state.effects.Reset() }
func (s *session) Left() bool { return s.m.Left() }
func (s *session) Secure()    { s.m.Secured(smtpd.TLSFacts{Binding: s.TLS.ChannelBinding}) }
func (s *session) Release()   {} // Ended gives all back

func (s *session) TimeOut() {
	if s.m.InData() {
		s.service.Stats.DataTimeouts.Add(1)
	}
	s.m.TimeOut(&s.state.effects)
}

func (s *session) Greet() {
	if s.receive(s.welcome) {
		s.m.Greet(&s.state.effects)
	}
}

func (s *session) ShutDown() {
	if s.Dismissed() {
		s.m.Dismiss()
	}
	if s.abandonLogin() {
		s.Waits = conn.Nothing
		s.m.Answer(smtpd.Answer{Verdict: smtpd.Shutdown}, &s.state.effects)
	}
	s.m.Shutdown(&s.state.effects)
}

// Feed gives the machine octets of in and carries out its effects, until the machine wants
// more input, the session has to wait, or it ends. It returns how many were taken.
func (s *session) Feed(in []byte) int {
	e, total := &s.state.effects, 0
	for s.Waits == conn.Nothing && !s.Closing {
		if s.m.InData() && !s.hasRoom() {
			break
		}
		if total < len(in) {
			s.loginEnds()
		}
		n := s.m.Feed(in[total:], e)
		total += n
		s.rate.Add(n)
		idle := n == 0 && e.Ask == smtpd.AskNothing && len(e.Body) == 0 && !e.Drop && !e.Close
		s.CarryOut()
		if len(e.Reply) > conn.MaxUnsent {
			s.Send()
		}
		if idle {
			break
		}
	}
	return total
}

// CarryOut does what the machine asked for, and answers the questions that can be answered
// at once; otherwise the session waits for the answer.
func (s *session) CarryOut() {
	for e := &s.state.effects; ; {
		if e.Drop {
			s.dropDraft()
			e.Drop = false
		}
		if e.Forget {
			s.forget()
			e.Forget = false
		}
		if len(e.Body) > 0 {
			s.body(e.Body)
			e.Body = nil
		}
		switch {
		case e.Close:
			s.Closing = true
			return
		case e.StartTLS:
			s.Waits = conn.ForHandshake
			return
		case e.Ask == smtpd.AskNothing:
			return
		}
		q := e.Ask
		e.Ask = smtpd.AskNothing
		a, known := s.answer(q)
		if !known {
			if s.Waits == conn.Nothing { // else with a deadline
				s.Park()
			}
			return
		}
		s.m.Answer(a, e)
	}
}

// Say sends the replies in one write, and logs the refusals.
func (s *session) Say() {
	e := &s.state.effects
	for _, r := range e.Refused {
		s.reject(r.Verb.String(), r.Reason, e.Reply[r.From:r.To], r.Reverse, r.Forward)
	}
	if len(e.Reply) > 0 {
		s.count(e)
		s.Write(e.Reply)
		e.Reply = e.Reply[:0]
	}
	e.Refused = e.Refused[:0]
}

// count counts the replies that are sent.
func (s *session) count(e *smtpd.Effects) {
	replies := &s.Tally().Replies
	for kind, n := range e.Said {
		if n > 0 {
			replies[conn.Reply2yz+conn.ReplyKind(kind)].Add(int64(n))
		}
	}
	if e.Ended != smtp.ReasonOther {
		s.state.refused[e.Ended].Add(1)
	}
	e.Said, e.Ended = smtpd.Said{}, smtp.ReasonOther
}

// Expect sets the read limit and the time that the peer has.
func (s *session) Expect() {
	set := s.rules
	if s.m.InData() {
		if !s.hasRoom() {
			return
		}
		s.Conn.SetReadLimit(s.readLimit())
		if !s.rate.IsOn() {
			s.rate.Begin(set.DataTimeout)
			s.Timed = false
		}
		if !s.Timed {
			s.Allow(conn.LookEvery(set.DataTimeout))
		}
		return
	}
	if s.rate.Stop() {
		s.Timed = false
	}
	s.settleWindow()
	s.ExpectCommand(s.Port.Timeout)
}

// Taken has nothing to do: no reply of SMTP is sent in parts.
func (s *session) Taken(conn.Wait) {}

// Expired ends a wait whose deadline is over. It reports whether the peer has more time: it
// has while its message comes fast enough.
func (s *session) Expired(w conn.Wait) (again bool) {
	set := s.rules
	switch {
	case w == conn.ForTurn, w == conn.ForPenalty:
		s.resumeAuth(s.auth.Expired(&s.Session, w))
	case w == conn.ForGreeting:
		s.untrusted.delayOver()
	case w == conn.Nothing && s.rate.IsOn() && s.rate.Look(set.MinDataRate, set.DataTimeout):
		s.Conn.SetDeadline(conn.LookEvery(set.DataTimeout))
		return true
	}
	return false
}

// Ended gives back all that the session holds. A message under way is dropped, except one
// that is on its way into the store: it is delivered.
func (s *session) Ended(err error) {
	s.abandonLogin()
	s.dropDraft()
	if s.tx == nil || !s.tx.IsFinishing() { // else transaction.Run does it
		s.releaseWindow()
		s.forget()
	}
	s.service.Stats.Sessions.Add(-1)
	s.logDisconnect(err)
}

// resume answers the question that the session waits for, and goes on.
func (s *session) resume(a smtpd.Answer) {
	s.Waits = conn.Nothing
	s.Begin()
	s.m.Answer(a, &s.state.effects)
	s.CarryOut()
	s.Resumed()
}

// answer answers a question from memory, or starts to find the answer. known is false then,
// and resume is called later.
func (s *session) answer(q smtpd.Question) (a smtpd.Answer, known bool) {
	switch q {
	case smtpd.AskTransaction:
		if r := s.refusesMail(); r != nil {
			return refusal(r), true
		}
		return s.mayMail(), true
	case smtpd.AskRecipient:
		if r := s.greylists(); r != nil {
			return refusal(r), true
		}
		return s.mayAddress(), true
	case smtpd.AskStored:
		s.rate.Stop()
		s.Timed = false
		if r := s.refusesMessage(); r != nil {
			return refusal(r), true
		}
		s.store()
		return smtpd.Answer{}, false
	case smtpd.AskAuth:
		return s.authenticate()
	case smtpd.AskVerify, smtpd.AskExpand:
		return s.directory(q), true
	case smtpd.AskClient:
		return s.speakFor(s.m.Client())
	case smtpd.AskTLS:
		return s.mayStartTLS(), true
	}
	panic("BUG: smtpd asked an unknown question")
}

// mayStartTLS answers AskTLS. The machine was fed all that was read, and has refused a
// command with octets after it. A 454 here is cheaper for both sides than a handshake that
// is cut off.
func (s *session) mayStartTLS() smtpd.Answer {
	switch {
	case s.service.draining():
		return smtpd.Answer{Verdict: smtpd.Shutdown}
	case s.TLSBusy():
		return smtpd.Answer{Verdict: smtpd.Busy}
	case s.TLSTooOften():
		return refusal(&smtp.Reply{Code: 454, Enhanced: "4.7.0", Reason: smtp.TooManyHandshakes,
			Text: "Too many TLS handshakes from your address, limit " + s.rules.Handshakes + "; come back later"})
	}
	return smtpd.Answer{Verdict: smtpd.Yes}
}

// refusal is the answer with a reply of its own.
func refusal(r *smtp.Reply) smtpd.Answer { return smtpd.Answer{Verdict: smtpd.Refused, Reply: r} }

// busy is the answer when there is no memory, or no room for a check, now.
func (s *session) busy() smtpd.Verdict {
	s.service.Stats.OverBudget.Add(1)
	return smtpd.Busy
}

// storedVerdict is verdictOf where a maildrop may be full: the settings say whether the
// client tries again.
func (s *session) storedVerdict(err error) smtpd.Verdict {
	v := verdictOf(err)
	if v == smtpd.MailboxFull && s.rules.OverQuotaFails {
		return smtpd.MailboxOver
	}
	return v
}

// verdictOf maps the store's errors to the machine's verdicts.
func verdictOf(err error) smtpd.Verdict {
	switch {
	case err == nil:
		return smtpd.Yes
	case errors.Is(err, storage.ErrFull):
		return smtpd.Full
	case errors.Is(err, storage.ErrOverQuota):
		return smtpd.MailboxFull
	case errors.Is(err, storage.ErrTemporary):
		return smtpd.Busy
	}
	return smtpd.Failed
}
