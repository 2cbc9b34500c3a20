package server

import (
	"errors"
	"net/netip"

	"postrider/engine/admit/login"
	"postrider/engine/edge/budget"
	"postrider/engine/edge/conn"
	"postrider/engine/edge/loop"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// smtpConn is one SMTP connection: the pure machine of smtpd on one side, the
// event loop, the store and the ledger on the other. Everything in it belongs to
// its loop's goroutine, except the transaction while the store has it.
type smtpConn struct {
	conn.Session
	srv    *Server
	shard  *shard
	config *smtpd.Config // of the port
	m      smtpd.Session
	tx     *transaction // made at the first MAIL, then kept for the next ones

	window budget.Window
	rate   conn.Progress // of the message that comes in

	mayRelay bool // mail for other domains is taken from its network
	login    *smtpLogin
	stranger *stranger // nil: [policy] does not concern this client
}

// smtpPort is what the connections of one listener share.
type smtpPort struct {
	conn.Port
	srv     *Server
	config  smtpd.Config
	configs [login.Offers]smtpd.Config // what sessions have of it: see login.Offer
}

func (p *smtpPort) open(c *loop.Conn, from netip.AddrPort) loop.Handler {
	s := &smtpConn{srv: p.srv, shard: p.srv.shards[c.Loop()], config: &p.config}
	if !s.Session.Open(&p.Port, c, from, s) {
		return conn.Refused{}
	}
	s.mayRelay = p.srv.cfg.MayRelay(s.IP)
	s.m.Init(&p.configs[p.srv.door.Offer()], smtpd.Peer{Addr: s.Addr, Name: "unknown", Trusted: s.Trusted, Loopback: s.IP.IsLoopback(), Proxy: p.srv.cfg.MayXclient(s.IP)})
	p.srv.stats.smtpSessions.Add(1)
	if r := s.overRate(); r != nil {
		s.welcome(r)
		return &s.Session
	}
	return s.Start()
}

// The methods below implement conn.Dialogue.

func (s *smtpConn) Begin()     { s.shard.smtp.Reset() }
func (s *smtpConn) TimeOut()   { s.m.TimeOut(&s.shard.smtp) }
func (s *smtpConn) Left() bool { return s.m.Left() }
func (s *smtpConn) Secure()    { s.m.Secured(smtpd.TLSFacts{Binding: s.TLS.ChannelBinding}) }
func (s *smtpConn) Release()   {} // closed does

func (s *smtpConn) Greet() {
	if s.receive(s.welcome) {
		s.m.Greet(&s.shard.smtp)
	}
}

func (s *smtpConn) ShutDown() {
	if s.abandonLogin() {
		s.Waits = conn.Nothing
		s.m.Answer(smtpd.Answer{Verdict: smtpd.Shutdown}, &s.shard.smtp)
	}
	s.m.Shutdown(&s.shard.smtp)
}

// Feed gives the machine what it takes of in and does what it says, until it
// wants more input, the session has to wait, or it ends.
func (s *smtpConn) Feed(in []byte) int {
	e, total := &s.shard.smtp, 0
	for s.Waits == conn.Nothing && !s.Closing {
		if s.m.InData() && !s.room() {
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

// CarryOut does what the machine asked for, and answers what can be answered at
// once; otherwise the session waits for the answer.
func (s *smtpConn) CarryOut() {
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
func (s *smtpConn) Say() {
	e := &s.shard.smtp
	for _, r := range e.Refused {
		s.srv.stats.refused.Add(1)
		reject(s.srv.log, &s.Session, r.Verb.String(), e.Reply[r.From:r.To], s.m.Helo(), s.m.Extended())
	}
	if len(e.Reply) > 0 {
		s.Write(e.Reply)
		e.Reply = e.Reply[:0]
	}
	e.Refused = e.Refused[:0]
}

// Expect sets the read limit and the time that the peer has.
func (s *smtpConn) Expect() {
	if s.m.InData() {
		if !s.room() {
			return
		}
		s.Conn.SetReadLimit(s.readLimit())
		if !s.rate.IsOn() {
			s.rate.Begin(s.srv.cfg.SMTP.DataTimeout)
			s.Timed = false
		}
		if !s.Timed {
			s.Allow(conn.LookEvery(s.srv.cfg.SMTP.DataTimeout))
		}
		return
	}
	if s.rate.Stop() {
		s.Timed = false
	}
	s.settleWindow()
	s.ExpectCommand(s.Port.Timeout)
}

// resume answers the question that the session waits for, and goes on.
func (s *smtpConn) resume(a smtpd.Answer) {
	s.Waits = conn.Nothing
	s.Begin()
	s.m.Answer(a, &s.shard.smtp)
	s.CarryOut()
	s.Resumed()
}

// drained: the waits of dialogue.drained are those of POP3.
func (s *smtpConn) Taken(conn.Wait) {}

// Expired says whether the peer has more time: it has while its message comes fast enough.
func (s *smtpConn) Expired(w conn.Wait) (again bool) {
	switch {
	case w == conn.ForTurn:
		s.waited()
	case w == conn.ForPenalty:
		s.resume(smtpd.Answer{Verdict: s.login.held})
	case w == conn.ForGreeting:
		s.stranger.delayOver()
	case w == conn.Nothing && s.rate.IsOn() && s.rate.Look(s.srv.cfg.SMTP.MinDataRate, s.srv.cfg.SMTP.DataTimeout):
		s.Conn.SetDeadline(conn.LookEvery(s.srv.cfg.SMTP.DataTimeout))
		return true
	}
	return false
}

// Ended ends what is left. A message under way is void; one that the store already has
// is delivered all the same.
func (s *smtpConn) Ended(err error) {
	s.abandonLogin()
	if s.tx == nil || !s.tx.committing {
		s.dropDraft()
		s.unbook()
		s.releaseWindow()
		s.forgetRecipients()
	}
	s.srv.stats.smtpSessions.Add(-1)
	disconnectSMTP(s.srv.log, s, err)
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
		return srv.directoryAnswer(q, s.Trusted, s.m.Argument()), true
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
	if srv.budget.Tight() || s.maxChecksReached() {
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
	if !s.Conn.Alive() {
		s.releaseWindow()
		s.forgetRecipients()
		return // durable, but the peer never hears of it: it will send it again
	}
	s.resume(a)
}
