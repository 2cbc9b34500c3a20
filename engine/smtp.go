package engine

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"time"

	"postrider/engine/loop"
	"postrider/engine/smtpd"
	"postrider/storage"
)

// smtpConn is one SMTP connection: the pure machine of smtpd on one side, the
// event loop, the store and the ledger on the other. Everything in it belongs to
// its loop's goroutine, except the transaction while the store has it.
type smtpConn struct {
	session
	port *smtpPort
	m    smtpd.Session
	tx   *transaction // made at the first MAIL, then kept for the next ones

	window window
	unread int // octets that the last Input left
	rate   rateCheck

	mayRelay bool // mail for other domains is taken from its network
	login    *smtpLogin
	stranger *stranger // nil: [policy] does not concern this client

	unsent bool // parked until the peer reads its replies
}

// smtpPort is what the connections of one listener share.
type smtpPort struct {
	srv     *Server
	config  smtpd.Config
	configs [offers]smtpd.Config // what sessions have of it: see offer

	tls      *tls.Config // TLS from the first octet; nil: clear text first
	starttls *tls.Config // of STARTTLS; nil: there is none
}

func (p *smtpPort) open(c *loop.Conn, from netip.AddrPort) loop.Handler {
	s := &smtpConn{port: p}
	if !s.session.open(p.srv, c, from, s) {
		if p.tls == nil {
			c.Write(p.srv.tooMany)
		}
		c.Close()
		return refused{}
	}
	s.mayRelay = p.srv.cfg.MayRelay(s.ip)
	s.m.Init(&p.configs[p.srv.offer()], smtpd.Peer{Addr: s.addr, Name: "unknown", Trusted: s.trusted, Loopback: s.ip.IsLoopback(), Proxy: p.srv.cfg.MayXclient(s.ip)})
	p.srv.stats.smtpSessions.Add(1)
	p.srv.log.connect(smtpDaemon, s.addr)
	if r := s.overRate(); r != nil {
		s.welcome(r)
		return s
	}
	if p.tls != nil {
		return s.handshake(p.tls, true, smtpDaemon, s, s.secured)
	}
	s.greet()
	return s
}

func (s *smtpConn) greet() {
	if !s.receive(s.welcome) {
		return
	}
	e := s.begin()
	s.m.Greet(e)
	s.effects(e)
	s.finish(e)
}

// begin returns the loop's effects, empty.
func (s *smtpConn) begin() *smtpd.Effects {
	e := &s.shard.smtp
	e.Reset()
	return e
}

// Input implements loop.Handler.
func (s *smtpConn) Input(c *loop.Conn, in []byte) int {
	if s.closing {
		return 0
	}
	if s.parked {
		if s.stranger != nil {
			s.stranger.spoke()
		}
		c.Pause() // the answer comes first, and resumes
		return 0
	}
	e := s.begin()
	n := s.feed(in, e)
	s.unread = len(in) - n
	s.finish(e)
	return n
}

// feed gives the machine what it takes of in and does what it says, until it
// wants more input, a question is open, or the session ends.
func (s *smtpConn) feed(in []byte, e *smtpd.Effects) int {
	total := 0
	for !s.parked && !s.closing {
		if s.m.InData() && !s.room() || total < len(in) && s.expired(e) {
			break
		}
		n := s.m.Feed(in[total:], e)
		total += n
		s.rate.octets += int64(n)
		idle := n == 0 && e.Ask == smtpd.AskNothing && len(e.Body) == 0 && !e.Drop && !e.Close
		s.effects(e)
		if len(e.Reply) > maxUnsent {
			s.say(e)
		}
		if idle {
			break
		}
	}
	return total
}

// effects does what the machine asked for, and answers what can be answered at
// once; otherwise the session is parked until its answer comes.
func (s *smtpConn) effects(e *smtpd.Effects) {
	for {
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
		if e.Close {
			s.closing = true
			return
		}
		q := e.Ask
		if q == smtpd.AskNothing {
			return
		}
		e.Ask = smtpd.AskNothing
		a, known := s.answer(q)
		if !known {
			if !s.parked { // for a failed login, with a deadline
				s.park()
			}
			return
		}
		s.m.Answer(a, e)
	}
}

// say sends the replies in one write. A peer that sends commands and does not read
// the replies gets no more of them, or it would have all memory.
func (s *smtpConn) say(e *smtpd.Effects) {
	for _, r := range e.Refused {
		s.srv.stats.refused.Add(1)
		s.srv.log.reject(&s.session, r.Verb.String(), e.Reply[r.From:r.To], s.m.Helo(), s.m.Extended())
	}
	if len(e.Reply) > 0 {
		s.conn.Write(e.Reply)
		e.Reply = e.Reply[:0]
	}
	e.Refused = e.Refused[:0]
	if !s.parked && !s.closing && s.conn.Pending() > maxUnsent {
		s.unsent = true
		s.parkUnsent(s.srv.cfg.SMTP.CommandTimeout)
	}
}

// finish sends the replies and sets what the loop does next.
func (s *smtpConn) finish(e *smtpd.Effects) {
	s.say(e)
	switch {
	case s.closing && s.m.Left() && s.unread == 0:
		s.conn.Part()
		return
	case s.closing, s.eof && !s.parked:
		s.conn.Close()
		return
	}
	if e.StartTLS {
		s.startTLS()
		return
	}
	s.expectMore()
}

// expectMore sets the read limit and the time that the peer has.
func (s *smtpConn) expectMore() {
	if s.parked {
		return
	}
	cfg := s.srv.cfg
	if s.m.InData() {
		if !s.room() {
			return
		}
		s.conn.SetReadLimit(s.readLimit())
		if !s.rate.on {
			s.rate = rateCheck{on: true}
			s.conn.SetDeadline(ratePeriod)
		}
		return
	}
	s.rate = rateCheck{}
	s.settleWindow()
	s.conn.SetReadLimit(commandRead)
	s.conn.SetDeadline(cfg.SMTP.CommandTimeout)
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
	s.tx.begin(s.m.Transaction().Mail.From)
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
	if s.srv.capture != 0 {
		return s.tx.capture(s.srv.capture, rs[len(rs)-1].To)
	}
	return s.tx.addRecipient(s.srv.router, &rs[len(rs)-1])
}

// body appends a run of the message to the draft, which begins with our
// Received field.
func (s *smtpConn) body(run []byte) {
	if s.tx.draft == nil {
		s.tx.openDraft(s)
	}
	if run = s.checked(run); len(run) > 0 {
		s.tx.out.append(run, s)
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
	if s.tx.draft == nil {
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
	if tx.refusal != nil {
		a = refusal(tx.refusal)
	}
	tx.end()
	if !s.conn.Alive() {
		s.releaseWindow()
		s.forgetRecipients()
		return // durable, but the peer never hears of it: it will send it again
	}
	e := s.begin()
	s.parked = false
	s.m.Answer(a, e)
	s.effects(e)
	s.resumed(e)
}

// resumed goes on after a parked session got what it waited for. What it had
// unread is presented again by the loop; a peer that has said goodbye with a FIN
// still gets the answers to it.
func (s *smtpConn) resumed(e *smtpd.Effects) {
	eof := s.eof
	s.eof = eof && s.conn.Kept() == 0
	s.finish(e)
	s.eof = eof
	if !s.closing && !s.parked {
		s.conn.Resume()
	}
}

// shutdown ends the session at the next point where nothing is lost by it: now,
// or when the machine has come to the end of the transaction, whatever that is.
func (s *smtpConn) shutdown() {
	if s.closing {
		return
	}
	if s.abandonLogin() {
		s.judged(smtpd.Answer{Verdict: smtpd.Shutdown})
		return
	}
	e := s.begin()
	s.m.Shutdown(e)
	s.effects(e)
	s.finish(e)
}

// Drained implements loop.Handler: the peer has read its replies.
func (s *smtpConn) Drained(*loop.Conn) {
	if !s.unsent {
		return
	}
	s.unsent, s.parked = false, false
	s.rate = rateCheck{}
	s.resumed(s.begin())
}

// EOF implements loop.Handler: a half-closed peer still gets its replies.
func (s *smtpConn) EOF(c *loop.Conn) {
	s.eof = true
	if !s.parked {
		c.Close()
	}
}

// Timeout implements loop.Handler.
func (s *smtpConn) Timeout(c *loop.Conn) {
	if s.unsent {
		s.srv.stats.timeouts.Add(1)
		s.reason = "stalled"
		c.Abort()
		return
	}
	if s.login.holds() {
		s.release()
		return
	}
	if s.parked {
		if s.stranger != nil && s.stranger.delayed {
			s.stranger.delayOver()
		}
		return
	}
	if s.rate.on && s.rate.pass(s.srv.cfg.SMTP.MinDataRate, s.srv.cfg.SMTP.DataTimeout) {
		s.conn.SetDeadline(ratePeriod)
		return
	}
	s.srv.stats.timeouts.Add(1)
	s.reason = "timeout"
	e := s.begin()
	s.m.TimeOut(e)
	s.effects(e)
	s.closing = true
	s.finish(e)
}

// Closed implements loop.Handler. A message under way is void; one that the
// store already has is delivered all the same.
func (s *smtpConn) Closed(_ *loop.Conn, err error) {
	s.abandonLogin()
	if s.tx == nil || !s.tx.committing {
		s.dropDraft()
		s.unbook()
		s.releaseWindow()
		s.forgetRecipients()
	}
	s.srv.stats.smtpSessions.Add(-1)
	s.srv.log.disconnectSMTP(s, err)
	s.session.close()
}

// ratePeriod is how often the data rate of a message under way is looked at.
const ratePeriod = 60 * time.Second

// rateCheck finds peers that drip-feed a message (smtp.min_data_rate).
type rateCheck struct {
	on     bool
	octets int64 // since the last look
	silent time.Duration
}

// pass says whether the peer was fast enough since the last look, of one
// ratePeriod ago, and was not silent for limit.
func (r *rateCheck) pass(minRate int64, limit time.Duration) bool {
	got := r.octets
	r.octets = 0
	if got > 0 {
		r.silent = 0
		return got >= minRate*int64(ratePeriod/time.Second)
	}
	r.silent += ratePeriod
	return r.silent < limit
}
