package engine

import (
	"net/netip"
	"time"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/budget"
	"postrider/engine/router"
	"postrider/engine/smtpd"
	"postrider/storage"
)

// transaction is the engine's half of a mail transaction: the maildrops and the
// destinations that the recipients lead to, and the draft. It is made at a session's first MAIL and
// used again for the next ones. Between deliver and stored it belongs to the
// store; the session waits meanwhile.
type transaction struct {
	conn *smtpConn

	draft    storage.Draft // nil until the first octet
	arrival  time.Time
	received int64 // octets of the Received field that we put in front, less what was taken out
	lead     int   // octets of the Received field

	reverse []byte // reverse-path as text, without brackets
	places  router.Placement
	forward []byte // the first forward-path as text, for Received's "for"
	wide    bool   // forward is beyond ASCII
	paths   int    // forward-paths taken
	taken   []byte // in capture mode: a Delivered-To field for each
	untold  int    // forward-paths that had no room in taken

	held int64 // octets of budget.Held for the recipients

	out    outgoing
	booked booking

	delivery   storage.Delivery
	results    []byte // the Authentication-Results field; empty: none
	trace      []byte // the octets behind delivery.Recipients
	ends       []int  // where in trace each recipient's own fields end
	expected   bool   // see expect
	committing bool
	receipt    storage.Receipt
	err        error
	refusal    *smtp.Reply // what the client is told of err; nil: what err means
}

func newTransaction(s *smtpConn) *transaction {
	t := &transaction{conn: s}
	t.delivery.Done = t.done
	return t
}

// begin starts over with a new reverse-path.
func (t *transaction) begin(p smtp.ReversePath) {
	t.shrink()
	t.reverse = p.AppendTo(t.reverse[:0])
	t.places.Reset()
	t.places.NoSuccess = !t.mayRelay()
	t.forward, t.paths = t.forward[:0], 0
	t.taken, t.untold = t.taken[:0], 0
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

// addRecipient routes a forward-path and keeps where it leads, each place once.
func (t *transaction) addRecipient(r *router.Router, rcpt *smtp.RcptArgs) smtpd.Verdict {
	taken := smtpd.Here
	switch t.places.Add(r, rcpt, t.mayRelay()) {
	case router.Local:
	case router.Unknown:
		return smtpd.Unknown
	case router.Loop:
		return smtpd.AliasLoop
	case router.NotOurs:
		if !t.mayRelay() {
			return smtpd.NotRelayed
		}
		taken = smtpd.Yes
	default:
		return smtpd.Failed
	}
	if t.paths == 0 {
		t.forward, t.wide = rcpt.To.AppendTo(t.forward[:0]), rcpt.To.NeedsUTF8()
	}
	t.paths++
	return taken
}

// mayRelay says whether the client's mail for other domains is taken.
func (t *transaction) mayRelay() bool { return t.conn.mayRelay || t.conn.m.Account() != "" }

// seal tells the queue entries what they have in common.
func (t *transaction) seal(m *smtpd.Transaction) {
	if len(t.places.Relayed) == 0 {
		return
	}
	s := t.conn
	t.places.Seal(storage.Envelope{
		ReversePath: string(t.reverse), EnvID: string(m.Mail.EnvID), Ret: m.Mail.Ret,
		Body: m.Body(), SMTPUTF8: m.Mail.SMTPUTF8, Stranger: !t.mayRelay(),
		Origin: "client " + s.Client() + ", helo=<" + harmless(s.m.Helo()) + ">, by " +
			s.with(m),
	})
}

// openDraft begins the draft with our Received field, whose id is the draft's.
func (t *transaction) openDraft(s *smtpConn) {
	srv := s.srv
	m := s.m.Transaction()
	t.draft = srv.store.NewDraft(min(m.Mail.Size, budget.SmallWindow)) // what SIZE says is not booked yet
	t.arrival = time.Now()
	var id [16]byte
	f := message.Received{
		Helo: s.m.Helo(), RDNS: s.RDNS(), IP: s.IP, Host: s.config.Hostname,
		With: s.with(m),
		ID:   t.draft.ID().AppendTo(id[:0]), At: t.arrival,
	}
	if t.paths == 1 && !(t.wide && len(t.places.Relayed) > 0) {
		f.For = t.forward // beyond ASCII it would keep the message from hosts without SMTPUTF8
	}
	if c := s.Certificate(); c != nil {
		f.Client, f.Issuer = c.Subject.CommonName, c.Issuer.CommonName
	}
	if s.m.Account() != "" && srv.cfg.Submission.HideClient {
		f.Helo, f.IP, f.Client = nil, netip.Addr{}, ""
	}
	t.out.begin(s)
	s.shard.scratch = message.AppendReceived(s.shard.scratch[:0], f)
	t.lead = len(s.shard.scratch)
	t.received = int64(t.lead)
	t.draft.Append(s.shard.scratch)
	t.results = t.results[:0]
	s.beginCheck()
}

// with is the protocol that a message came by.
func (s *smtpConn) with(m *smtpd.Transaction) string {
	return message.With(s.m.Extended(), m.Mail.SMTPUTF8, s.m.Secure(), s.m.Account() != "")
}

// deliver hands the draft and its recipients to the store.
func (t *transaction) deliver(m *smtpd.Transaction) {
	t.committing = true
	t.unexpect()
	t.conn.srv.commitsOpen.Add(1)
	d := &t.delivery
	t.out.finish(t.conn)
	d.Draft, d.Arrival, d.Size = t.draft, t.arrival, t.received+t.out.grown+m.Counts().Size
	t.seal(m)
	d.Relayed = t.places.Relayed
	t.draft = nil
	if m.Body() == smtp.BodyBinaryMIME {
		t.convert()
		return
	}
	t.out.end(t.conn, t.deliverBehind)
}

// deliverBehind hands the message to the store with front before it. It runs on the
// loop, or on the goroutine that has signed or converted.
func (t *transaction) deliverBehind(front string) {
	d := &t.delivery
	d.Recipients = t.traces(d.Recipients[:0], front)
	for _, e := range d.Relayed {
		e.Envelope.Front += front
	}
	t.conn.srv.store.Deliver(d)
}

// traces makes the fields that stand before the body in each maildrop: the
// Return-Path everywhere, Delivered-To where an alias was expanded.
func (t *transaction) traces(rs []storage.Recipient, front string) []storage.Recipient {
	b := append(message.AppendReturnPath(t.trace[:0], t.reverse), t.results...)
	b = append(b, front...)
	b = t.appendTaken(b)
	plain := len(b)
	t.ends = t.ends[:0]
	for i := range t.places.Targets {
		if x := t.places.Targets[i].Expanded; x != "" {
			b = append(b, b[:plain]...)
			b = message.AppendDeliveredTo(b, []byte(x))
		}
		t.ends = append(t.ends, len(b))
	}
	t.trace = b
	from := plain
	for i, end := range t.ends {
		trace := b[:plain:plain]
		if end > from {
			trace = b[from:end:end]
		}
		rs = append(rs, storage.Recipient{Account: t.places.Targets[i].Account, Trace: trace})
		from = end
	}
	return rs
}

// done runs on a goroutine of the store.
func (t *transaction) done(_ *storage.Delivery, r storage.Receipt, err error) {
	t.receipt, t.err = r, err
	t.conn.shard.loop.Post(t)
}

// Run implements loop.Task: the store has answered.
func (t *transaction) Run() { t.conn.stored() }

// end gives up what the delivery needed.
func (t *transaction) end() {
	t.committing = false
	t.delivery.Draft, t.delivery.Relayed, t.places.Relayed = nil, nil, nil
	t.receipt, t.err, t.refusal = storage.Receipt{}, nil, nil
	t.shrink()
}

// keptRecipients is how many recipients a session keeps the memory for between
// its transactions, keptTrace how many octets for their fields.
const (
	keptRecipients = 128
	keptTrace      = 16 << 10
)

// shrink gives back the memory of an unusual number of recipients.
func (t *transaction) shrink() {
	if cap(t.places.Targets) > keptRecipients || cap(t.trace) > keptTrace {
		t.places.Targets, t.ends, t.trace, t.delivery.Recipients = nil, nil, nil, nil
	}
}

// drop forgets the draft, if there is one.
func (t *transaction) drop() {
	if t.draft != nil {
		t.draft.Discard()
		t.draft = nil
	}
	t.out.drop()
	t.unexpect()
}
