package server

import (
	"net/netip"

	"postrider/codec/message"
	"postrider/engine/edge/budget"
	"postrider/engine/mail/incoming"
	"postrider/engine/mail/router"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// transaction is a session's half of a mail transaction: the Message, and what is booked
// for it. It is made at a session's first MAIL and used again for the next ones. Between
// deliver and stored the Message belongs to its steps; the session waits meanwhile.
type transaction struct {
	incoming.Message
	conn *smtpConn

	held   int64 // octets of budget.Held for the recipients
	booked booking

	expected   bool // see expect
	committing bool
	receipt    storage.Receipt
	err        error
}

func newTransaction(s *smtpConn) *transaction {
	t := &transaction{conn: s}
	t.Init(s.srv.entrance, t.done)
	return t
}

// expect tells the store that a message may come.
func (t *transaction) expect() {
	if !t.expected {
		t.expected = true
		t.conn.srv.store.Expect(1)
	}
}

// unexpect tells the store that the message has come, or won't.
func (t *transaction) unexpect() {
	if t.expected {
		t.expected = false
		t.conn.srv.store.Expect(-1)
	}
}

// relays tells whether the client's mail for other domains is taken.
func (s *smtpConn) relays() bool { return s.mayRelay || s.m.Account() != "" }

// verdictOn is the answer to a recipient that leads there.
func (t *transaction) verdictOn(o router.Outcome) smtpd.Verdict {
	switch o {
	case router.Local:
		if t.conn.srv.capture != 0 {
			return smtpd.Yes
		}
		return smtpd.Here
	case router.Unknown:
		return smtpd.Unknown
	case router.Loop:
		return smtpd.AliasLoop
	case router.Disabled:
		return smtpd.MailboxOff
	case router.Full:
		return t.conn.srv.storedVerdict(storage.ErrOverQuota)
	case router.NotOurs:
		if !t.MayRelay() {
			return smtpd.NotRelayed
		}
		return smtpd.Yes
	}
	return smtpd.Failed
}

// openDraft begins the draft with our Received field.
func (t *transaction) openDraft(s *smtpConn) {
	m := s.m.Transaction()
	f := incoming.From{
		Received: message.Received{Helo: s.m.Helo(), RDNS: s.RDNS(), IP: s.IP, Host: s.config.Hostname, With: s.with(m)},
		Head:     &m.Head, Size: min(m.Mail.Size, budget.SmallWindow), // what SIZE says is not booked yet
		Account: s.account(), User: s.m.Account(),
	}
	if c := s.Certificate(); c != nil {
		f.Received.Client, f.Received.Issuer = c.Subject.CommonName, c.Issuer.CommonName
	}
	if s.m.Account() != "" && s.srv.cfg.Submission.HideClient {
		f.Received.Helo, f.Received.IP, f.Received.Client = nil, netip.Addr{}, ""
	}
	t.Open(&f)
	s.beginCheck()
}

// with is the protocol that a message came by.
func (s *smtpConn) with(m *smtpd.Transaction) string {
	return message.With(s.m.Extended(), m.Mail.SMTPUTF8, s.m.Secure(), s.m.Account() != "")
}

// deliver hands the message to the store. done comes when it is there, or refused.
func (t *transaction) deliver(m *smtpd.Transaction) {
	t.committing = true
	t.unexpect()
	t.conn.srv.commitsOpen.Add(1)
	e := incoming.End{Size: m.Counts().Size}
	e.Envelope.Body = m.Body()
	if t.Relays() {
		s := t.conn
		e.Envelope = storage.Envelope{
			EnvID: string(m.Mail.EnvID), Ret: m.Mail.Ret,
			Body: m.Body(), SMTPUTF8: m.Mail.SMTPUTF8, Stranger: !t.MayRelay(),
			Origin: "client " + s.Client() + ", helo=<" + harmless(s.m.Helo()) + ">, by " +
				s.with(m),
		}
	}
	t.Finish(&e)
}

// done runs on the goroutine of the last step.
func (t *transaction) done(r storage.Receipt, err error) {
	t.receipt, t.err = r, err
	t.conn.shard.loop.Post(t)
}

// Run implements loop.Task: the store has answered.
func (t *transaction) Run() { t.conn.stored() }

// end gives up what the delivery needed.
func (t *transaction) end() {
	t.committing = false
	t.receipt, t.err = storage.Receipt{}, nil
	t.Reset()
}

// drop forgets the draft, if there is one.
func (t *transaction) drop() {
	t.Drop()
	t.unexpect()
}
