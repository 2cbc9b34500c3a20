package smtpsrv

import (
	"errors"
	"net/netip"
	"time"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/edge/budget"
	"postrider/engine/mail/allowance"
	"postrider/engine/mail/incoming"
	"postrider/engine/protocol/smtpd"
	"postrider/storage"
)

// transaction is a session's half of a mail transaction: the Message, and what is booked
// for it. It is made at a session's first MAIL and used again for the next ones. Between
// store and Run the Message belongs to its steps, and the session waits.
type transaction struct {
	incoming.Message
	session *session

	held    int64 // octets of Memory.Held for the recipients
	booking allowance.Booking

	taken   int64     // messages of the session that got their 250
	mailed  time.Time // when MAIL came
	ended   time.Time // when the message had come whole
	receipt storage.Receipt
	err     error
}

func newTransaction(s *session) *transaction {
	t := &transaction{session: s}
	t.Init(s.rules.Entrance, t.done)
	return t
}

// body appends a run of the message to the draft, which begins with our Received field.
func (s *session) body(run []byte) {
	s.openDraft()
	s.tx.Append(run)
}

// openDraft begins the draft with our Received field, unless it is open.
func (s *session) openDraft() {
	if s.tx.IsOpen() {
		return
	}
	m, set := s.m.Transaction(), s.rules
	f := incoming.From{
		Received: message.Received{Helo: s.m.Helo(), RDNS: s.RDNS(), IP: s.IP, Host: set.Machine.Hostname, With: s.with(m)},
		Head:     &m.Head, Size: min(m.Mail.Size, budget.SmallWindow), // what SIZE says is not booked yet
		Account: s.account(), User: s.m.Account(), Untrusted: s.isUntrusted(), Check: s.check(),
	}
	if c := s.Certificate(); c != nil {
		f.Received.Client, f.Received.Issuer = c.Subject.CommonName, c.Issuer.CommonName
	}
	if s.m.Account() != "" && set.HideClient {
		f.Received.Helo, f.Received.IP, f.Received.Client = nil, netip.Addr{}, ""
	}
	s.tx.Open(&f)
}

// with is the protocol that a message came by.
func (s *session) with(m *smtpd.Transaction) string {
	return message.With(s.m.Extended(), m.Mail.SMTPUTF8, s.m.Secure(), s.m.Account() != "")
}

// dropDraft drops the message: RSET, a refused message, a lost connection.
func (s *session) dropDraft() {
	if s.tx != nil {
		s.tx.Drop()
	}
}

// refusesMessage is the reply to the end of a message that is refused for its session; nil:
// it is not.
func (s *session) refusesMessage() *smtp.Reply {
	if r := s.refusesExpired(); r != nil {
		return r
	}
	return s.refusesPipelining()
}

// store answers AskStored, later: the Message goes through its steps (see package incoming),
// and done is called when it is stored, refused, or was dropped. A message without an octet
// has no draft before.
func (s *session) store() {
	s.openDraft()
	t, m := s.tx, s.m.Transaction()
	e := incoming.End{Size: m.Counts().Size, Recipients: m.Recipients, Committing: &s.service.Stats.CommitsOpen}
	e.Envelope.Body = m.Body()
	if t.Relays() || t.Places.WantsSuccess() { // there may be queue entries
		e.Envelope = storage.Envelope{
			EnvID: string(m.Mail.EnvID), Ret: m.Mail.Ret,
			Body: m.Body(), SMTPUTF8: m.Mail.SMTPUTF8, Stranger: !t.MayRelay(),
			Origin: "client " + s.Client() + ", helo=<" + harmless(s.m.Helo()) + ">, by " + s.with(m),
		}
	}
	s.service.finishing.Add(1)
	t.ended = time.Now()
	t.Finish(&e)
}

// done runs on the goroutine of the last step.
func (t *transaction) done(r storage.Receipt, err error) {
	t.receipt, t.err = r, err
	if !t.session.state.Post(t) { // the loop has ended, and nothing else uses the session
		t.end()
		t.session.service.finishing.Done()
	}
}

// Run implements loop.Task: the steps are over, and so is the wait of the session.
func (t *transaction) Run() {
	s := t.session
	defer s.service.finishing.Done()
	if t.Committed() { // before that, the reply is all that is to be said
		t.count()
		t.log()
		t.keep()
	}
	if t.err == nil {
		t.booking = allowance.Booking{} // it was sent
	}
	if !s.Conn.Alive() {
		t.end() // if the message is durable, the peer does not hear of it and will send it again
		return
	}
	a := t.answer()
	t.reset()
	s.resume(a)
}

// end gives back what a session has that ended while its message was in the steps.
func (t *transaction) end() {
	t.reset()
	t.session.releaseWindow()
	t.session.forget()
}

// reset makes the transaction ready for the next message.
func (t *transaction) reset() {
	t.receipt, t.err = storage.Receipt{}, nil
	t.Reset()
}

// answer is the answer to AskStored.
func (t *transaction) answer() smtpd.Answer {
	if r := t.Refusal(); r != nil {
		return refusal(r)
	}
	if errors.Is(t.err, incoming.ErrNoRoom) {
		return smtpd.Answer{Verdict: t.session.busy()}
	}
	return smtpd.Answer{Verdict: t.session.storedVerdict(t.err), Receipt: t.receipt}
}

// count counts a message at its end.
func (t *transaction) count() {
	if t.Refusal() != nil || t.err != nil {
		return // its reply is counted
	}
	stats := &t.session.service.Stats
	t.taken++
	stats.Messages.Add(1)
	t.session.service.took.Observe(time.Since(t.ended))
	stats.Deliveries.Add(int64(len(t.Places.Targets)))
	stats.OctetsIn.Add(t.Size())
}
