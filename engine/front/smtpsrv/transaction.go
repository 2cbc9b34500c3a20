package smtpsrv

import (
	"net/netip"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/admit/screen"
	"postrider/engine/edge/budget"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// transaction is a session's half of a mail transaction: the Message, and what is booked
// for it. It is made at a session's first MAIL and used again for the next ones. Between
// deliver and Run the Message belongs to its steps, and the session waits.
type transaction struct {
	incoming.Message
	session *session

	held     int64 // octets of Memory.Held for the recipients
	booking  allowance.Booking
	checking checking

	taken      int64 // messages of the session that got their 250
	expected   bool  // see expect
	committing bool
	receipt    storage.Receipt
	err        error
}

func newTransaction(s *session) *transaction {
	t := &transaction{session: s}
	t.Init(s.service.entrance, t.done)
	return t
}

// expect tells the store that a message may come.
func (t *transaction) expect() {
	if !t.expected {
		t.expected = true
		t.session.service.store.Expect(1)
	}
}

// unexpect tells the store that the message has come, or won't.
func (t *transaction) unexpect() {
	if t.expected {
		t.expected = false
		t.session.service.store.Expect(-1)
	}
}

// drop forgets the draft, if there is one, and its check.
func (t *transaction) drop() {
	t.Drop()
	t.unexpect()
	t.checking.drop()
}

// body appends a run of the message to the draft, which begins with our Received field.
func (s *session) body(run []byte) {
	s.openDraft()
	if run = s.tx.checking.pass(run, &s.state.scratch); len(run) > 0 {
		s.tx.Append(run)
	}
}

// openDraft begins the draft with our Received field, unless it is open.
func (s *session) openDraft() {
	if s.tx.IsOpen() {
		return
	}
	m, set := s.m.Transaction(), &s.service.set
	f := incoming.From{
		Received: message.Received{Helo: s.m.Helo(), RDNS: s.RDNS(), IP: s.IP, Host: set.Machine.Hostname, With: s.with(m)},
		Head:     &m.Head, Size: min(m.Mail.Size, budget.SmallWindow), // what SIZE says is not booked yet
		Account: s.account(), User: s.m.Account(),
	}
	if c := s.Certificate(); c != nil {
		f.Received.Client, f.Received.Issuer = c.Subject.CommonName, c.Issuer.CommonName
	}
	if s.m.Account() != "" && set.HideClient {
		f.Received.Helo, f.Received.IP, f.Received.Client = nil, netip.Addr{}, ""
	}
	s.tx.Open(&f)
	s.beginCheck()
}

// with is the protocol that a message came by.
func (s *session) with(m *smtpd.Transaction) string {
	return message.With(s.m.Extended(), m.Mail.SMTPUTF8, s.m.Secure(), s.m.Account() != "")
}

// dropDraft forgets the message: RSET, a refused message, a lost connection.
func (s *session) dropDraft() {
	if s.tx != nil {
		s.tx.drop()
	}
}

// refusesMessage is the reply to the end of a message that is refused; nil: it is not. A
// message without an octet has a draft after it.
func (s *session) refusesMessage() *smtp.Reply {
	if r := s.refusesExpired(); r != nil {
		return r
	}
	if r := s.refusesPipelining(); r != nil {
		return r
	}
	s.openDraft()
	return s.tx.EndHeader()
}

// The end of a message goes through these steps, each of which may be left out:
//
//	store           places the recipients again if the message was at an alias before
//	finish          waits for the verdict of the check
//	decideSuccess   places the recipients again if the sender is told of success
//	deliver         Message.Finish: package incoming goes on from there
//	Run             the answer
//
// They run on the loop. A step that has to wait is continued by a task.

// store answers AskStored, later.
func (s *session) store() {
	head := &s.m.Transaction().Head
	if !s.tx.Places.Forwards() || head.Deliveries() == 0 {
		s.finish()
		return
	}
	s.placeAgain(func(p *router.Placement) { p.Been = head.DeliveredTo }, s.unlessLooped)
}

// finish goes on when the check has its verdict, if there is one.
func (s *session) finish() {
	if c := &s.tx.checking; c.isOn() {
		c.guard.Finish(c.check, func() { s.state.Post((*checkDone)(s)) })
		return
	}
	s.decideSuccess(nil)
}

// decideSuccess goes on when all is known of a message. v is the verdict of its check; nil:
// it was not checked. NOTIFY=SUCCESS counts for logins and relay.networks, and for an
// untrusted client where the Guard lets it. Nothing of an untrusted client's message is
// returned with the notification.
func (s *session) decideSuccess(v *screen.Verdict) {
	t, g := s.tx, s.service.guard
	if !t.Places.WantsSuccess() || !g.MayNotify(s.IP, v) {
		t.deliver(s.m.Transaction())
		return
	}
	s.placeAgain(func(p *router.Placement) { p.NoSuccess = false }, func(int) {
		g.Notified(s.IP, t.Places.Successes())
		t.deliver(s.m.Transaction())
	})
}

// deliver hands the message to the store. done is called when it is there, or refused.
func (t *transaction) deliver(m *smtpd.Transaction) {
	s := t.session
	t.committing = true
	t.unexpect()
	s.service.Stats.CommitsOpen.Add(1)
	e := incoming.End{Size: m.Counts().Size}
	e.Envelope.Body = m.Body()
	if t.Relays() {
		e.Envelope = storage.Envelope{
			EnvID: string(m.Mail.EnvID), Ret: m.Mail.Ret,
			Body: m.Body(), SMTPUTF8: m.Mail.SMTPUTF8, Stranger: !t.MayRelay(),
			Origin: "client " + s.Client() + ", helo=<" + harmless(s.m.Helo()) + ">, by " + s.with(m),
		}
	}
	t.Finish(&e)
}

// done runs on the goroutine of the last step.
func (t *transaction) done(r storage.Receipt, err error) {
	t.receipt, t.err = r, err
	t.session.state.Post(t)
}

// Run implements loop.Task: the store has answered, and so does the session.
func (t *transaction) Run() {
	s := t.session
	s.service.Stats.CommitsOpen.Add(-1)
	t.count()
	t.log()
	if t.err == nil {
		t.booking = allowance.Booking{} // it was sent
	}
	a := smtpd.Answer{Verdict: s.storedVerdict(t.err), Receipt: t.receipt}
	if r := t.Refusal(); r != nil {
		a = refusal(r)
	}
	t.committing = false
	t.receipt, t.err = storage.Receipt{}, nil
	t.Reset()
	if !s.Conn.Alive() {
		s.releaseWindow()
		s.forget()
		return // durable, but the peer does not hear of it: it will send the message again
	}
	s.resume(a)
}

// count counts a message at its end.
func (t *transaction) count() {
	stats := &t.session.service.Stats
	switch {
	case t.Refusal() != nil: // its reply is counted
	case t.err != nil:
		stats.Refused.Add(1)
	default:
		t.taken++
		stats.Messages.Add(1)
		stats.Deliveries.Add(int64(len(t.Places.Targets)))
		stats.OctetsIn.Add(t.Size())
	}
}
