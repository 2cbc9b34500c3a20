package engine

import (
	"errors"
	"net/netip"

	"postrider/engine/loop"
	"postrider/engine/smtpd"
	"postrider/storage"
)

// smtpConn is one SMTP connection: the pure machine of smtpd on one side, the
// event loop, the store and the ledger on the other. Everything in it belongs to
// its loop's goroutine, except the transaction while the store has it.
type smtpConn struct {
	session
	config *smtpd.Config // of the port
	m      smtpd.Session
	tx     *transaction // made at the first MAIL, then kept for the next ones

	window window
	rate   progress // of the message that comes in

	mayRelay bool // mail for other domains is taken from its network
	login    *smtpLogin
	stranger *stranger // nil: [policy] does not concern this client
}

// smtpPort is what the connections of one listener share.
type smtpPort struct {
	port
	config  smtpd.Config
	configs [offers]smtpd.Config // what sessions have of it: see offer
}

func (p *smtpPort) open(c *loop.Conn, from netip.AddrPort) loop.Handler {
	s := &smtpConn{config: &p.config}
	if !s.session.open(&p.port, c, from, s) {
		return refused{}
	}
	s.mayRelay = p.srv.cfg.MayRelay(s.ip)
	s.m.Init(&p.configs[p.srv.offer()], smtpd.Peer{Addr: s.addr, Name: "unknown", Trusted: s.trusted, Loopback: s.ip.IsLoopback(), Proxy: p.srv.cfg.MayXclient(s.ip)})
	p.srv.stats.smtpSessions.Add(1)
	if r := s.overRate(); r != nil {
		s.welcome(r)
		return &s.session
	}
	return s.start()
}

// The methods below implement dialogue.

func (s *smtpConn) begin()     { s.shard.smtp.Reset() }
func (s *smtpConn) timeOut()   { s.m.TimeOut(&s.shard.smtp) }
func (s *smtpConn) left() bool { return s.m.Left() }
func (s *smtpConn) secure()    { s.m.Secured(smtpd.TLSFacts{Binding: s.tls.ChannelBinding}) }
func (s *smtpConn) release()   {} // closed does

func (s *smtpConn) greet() {
	if s.receive(s.welcome) {
		s.m.Greet(&s.shard.smtp)
	}
}

func (s *smtpConn) shutDown() {
	if s.abandonLogin() {
		s.waits = nothing
		s.m.Answer(smtpd.Answer{Verdict: smtpd.Shutdown}, &s.shard.smtp)
	}
	s.m.Shutdown(&s.shard.smtp)
}

// feed gives the machine what it takes of in and does what it says, until it
// wants more input, the session has to wait, or it ends.
func (s *smtpConn) feed(in []byte) int {
	e, total := &s.shard.smtp, 0
	for s.waits == nothing && !s.closing {
		if s.m.InData() && !s.room() {
			break
		}
		if total < len(in) {
			s.loginEnds()
		}
		n := s.m.Feed(in[total:], e)
		total += n
		s.rate.octets += int64(n)
		idle := n == 0 && e.Ask == smtpd.AskNothing && len(e.Body) == 0 && !e.Drop && !e.Close
		s.carryOut()
		if len(e.Reply) > maxUnsent {
			s.send()
		}
		if idle {
			break
		}
	}
	return total
}

// carryOut does what the machine asked for, and answers what can be answered at
// once; otherwise the session waits for the answer.
func (s *smtpConn) carryOut() {
	for e := &s.shard.smtp; ; {
		if e.Drop {
			s.dropDraft()
			e.Drop = false
		}
		if e.Forget {
			s.forgetRecipients()
			e.Forget = false
		}
		if len(e.Body) > 0 {
			s.body(e.Body)
			e.Body = nil
		}
		switch {
		case e.Close:
			s.closing = true
			return
		case e.StartTLS:
			s.waits = forHandshake
			return
		case e.Ask == smtpd.AskNothing:
			return
		}
		q := e.Ask
		e.Ask = smtpd.AskNothing
		a, known := s.answer(q)
		if !known {
			if s.waits == nothing { // else with a deadline
				s.park()
			}
			return
		}
		s.m.Answer(a, e)
	}
}

// say sends the replies in one write, and logs the refusals.
func (s *smtpConn) say() {
	e := &s.shard.smtp
	for _, r := range e.Refused {
		s.srv.stats.refused.Add(1)
		s.srv.log.reject(&s.session, r.Verb.String(), e.Reply[r.From:r.To], s.m.Helo(), s.m.Extended())
	}
	if len(e.Reply) > 0 {
		s.write(e.Reply)
		e.Reply = e.Reply[:0]
	}
	e.Refused = e.Refused[:0]
}

// expect sets the read limit and the time that the peer has.
func (s *smtpConn) expect() {
	if s.m.InData() {
		if !s.room() {
			return
		}
		s.conn.SetReadLimit(s.readLimit())
		if !s.rate.on {
			s.rate.begin(s.srv.cfg.SMTP.DataTimeout)
			s.timed = false
		}
		if !s.timed {
			s.allow(lookEvery(s.srv.cfg.SMTP.DataTimeout))
		}
		return
	}
	if s.rate.on {
		s.rate.on, s.timed = false, false
	}
	s.settleWindow()
	s.expectCommand(s.port.timeout)
}

// resume answers the question that the session waits for, and goes on.
func (s *smtpConn) resume(a smtpd.Answer) {
	s.waits = nothing
	s.begin()
	s.m.Answer(a, &s.shard.smtp)
	s.carryOut()
	s.resumed()
}

// drained: the waits of dialogue.drained are those of POP3.
func (s *smtpConn) drained(wait) {}

// expired says whether the peer has more time: it has while its message comes fast enough.
func (s *smtpConn) expired(w wait) (again bool) {
	switch {
	case w == forTurn:
		s.waited()
	case w == forPenalty:
		s.resume(smtpd.Answer{Verdict: s.login.held})
	case w == forGreeting:
		s.stranger.delayOver()
	case w == nothing && s.rate.on && s.rate.look(s.srv.cfg.SMTP.MinDataRate, s.srv.cfg.SMTP.DataTimeout):
		s.conn.SetDeadline(lookEvery(s.srv.cfg.SMTP.DataTimeout))
		return true
	}
	return false
}

// closed ends what is left. A message under way is void; one that the store already has
// is delivered all the same.
func (s *smtpConn) closed(err error) {
	s.abandonLogin()
	if s.tx == nil || !s.tx.committing {
		s.dropDraft()
		s.unbook()
		s.releaseWindow()
		s.forgetRecipients()
	}
	s.srv.stats.smtpSessions.Add(-1)
	s.srv.log.disconnectSMTP(s, err)
}

// answer answers a question from memory, or starts finding out and says so.
func (s *smtpConn) answer(q smtpd.Question) (a smtpd.Answer, known bool) {
	srv := s.srv
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
		s.rate.on, s.timed = false, false
		if r := s.refusesMessage(); r != nil {
			return refusal(r), true
		}
		s.store()
		return smtpd.Answer{}, false
	case smtpd.AskAuth:
		return s.authenticate()
	case smtpd.AskVerify, smtpd.AskExpand:
		return srv.directoryAnswer(q, s.trusted, s.m.Argument()), true
	case smtpd.AskClient:
		return s.speakFor(s.m.Client())
	case smtpd.AskTLS:
		return s.mayStartTLS(), true
	}
	panic("BUG: smtpd asked an unknown question")
}

// mayBegin is the governor: it says no to a new transaction while the disk, the
// store or the memory could not take its message.
func (s *smtpConn) mayBegin() smtpd.Verdict {
	srv := s.srv
	if srv.draining.Load() {
		return smtpd.Shutdown
	}
	if srv.budget.tight() || s.maxChecksReached() {
		srv.stats.overBudget.Add(1)
		return smtpd.Busy
	}
	if err := srv.store.Admit(s.m.Transaction().Mail.Size); err != nil {
		return verdictOf(err)
	}
	if s.tx == nil {
		s.tx = newTransaction(s)
	}
	s.tx.Begin(s.m.Transaction().Mail.From, s.relays())
	s.tx.expect()
	return smtpd.Yes
}

// recipient routes the forward-path and keeps the maildrops that it leads to.
func (s *smtpConn) recipient() smtpd.Verdict {
	rs := s.m.Transaction().Recipients
	if !s.hasRoomFor(&rs[len(rs)-1]) {
		s.srv.stats.overBudget.Add(1)
		return smtpd.Busy
	}
	return s.tx.verdictOn(s.tx.Recipient(&rs[len(rs)-1]))
}

// body appends a run of the message to the draft, which begins with our
// Received field.
func (s *smtpConn) body(run []byte) {
	if !s.tx.IsOpen() {
		s.tx.openDraft(s)
	}
	if run = s.checked(run); len(run) > 0 {
		s.tx.Append(run)
	}
}

// dropDraft forgets the message: RSET, a refused message, a lost connection.
func (s *smtpConn) dropDraft() {
	if s.tx != nil {
		s.tx.drop()
		s.dropCheck()
	}
}

// check hands the finished message to the store, when its check is over if there is one.
func (s *smtpConn) check() {
	if !s.tx.IsOpen() {
		s.tx.openDraft(s) // a message without an octet
	}
	if !s.finishCheck() {
		s.decideSuccess(nil)
	}
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

// stored is the answer to AskStored; it runs on the loop.
func (s *smtpConn) stored() {
	s.srv.commitsOpen.Add(-1)
	tx := s.tx
	tx.log(s)
	if tx.err == nil {
		tx.booked = booking{} // it was sent
	}
	a := smtpd.Answer{Verdict: verdictOf(tx.err), Receipt: tx.receipt}
	if r := tx.Refusal(); r != nil {
		a = refusal(r)
	}
	tx.end()
	if !s.conn.Alive() {
		s.releaseWindow()
		s.forgetRecipients()
		return // durable, but the peer never hears of it: it will send it again
	}
	s.resume(a)
}
