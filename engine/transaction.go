package engine

import (
	"time"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/router"
	"postrider/engine/smtpd"
	"postrider/storage"
)

// transaction is the engine's half of a mail transaction: the maildrops and the
// destinations that the recipients lead to, and the draft. It is made at a session's first MAIL and
// used again for the next ones. Between deliver and stored it belongs to the
// store; the session is parked meanwhile.
type transaction struct {
	conn *smtpConn

	draft    storage.Draft // nil until the first octet
	arrival  time.Time
	received int64 // octets of the Received field that we put in front

	reverse []byte // reverse-path as text, without brackets
	targets []router.Target
	relayed []*storage.QueueEntry
	places  map[string]*storage.QueueEntry // of relayed, by mailbox and by @destination; nil: none
	forward []byte                         // the first forward-path as text, for Received's "for"
	paths   int                            // forward-paths taken

	delivery   storage.Delivery
	trace      []byte // the octets behind delivery.Recipients
	ends       []int  // where in trace each recipient's own fields end
	committing bool
	receipt    storage.Receipt
	err        error
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
	t.targets, t.relayed, t.places = t.targets[:0], nil, nil
	t.forward, t.paths = t.forward[:0], 0
}

// addRecipient routes a forward-path and keeps where it leads, each place once.
// mayRelay: the client's mail for other domains is taken.
func (t *transaction) addRecipient(r *router.Router, rcpt *smtp.RcptArgs, mayRelay bool) smtpd.Verdict {
	p := rcpt.To
	before := len(t.targets)
	var outcome router.Outcome
	t.targets, outcome = r.Route(p.Local(), p.Domain(), t.targets)
	switch outcome {
	case router.Local:
		if rcpt.Notify&smtp.NotifySuccess != 0 {
			// Whoever wants to hear of success gets it by way of the queue: there the
			// notification is as durable as the message.
			t.targets = t.targets[:before]
			t.relay(r.Domain(p.Domain()), storage.QueuedRecipient{ForwardPath: p.String(), ORcpt: string(rcpt.ORcpt), Notify: rcpt.Notify})
			break
		}
		t.splitRemote(before, rcpt)
	case router.Unknown:
		return smtpd.Unknown
	case router.NotOurs:
		if !mayRelay {
			return smtpd.NotRelayed
		}
		domain := router.Fold(string(p.Domain()))
		t.relay(domain, storage.QueuedRecipient{ForwardPath: p.String(), ORcpt: string(rcpt.ORcpt), Notify: rcpt.Notify})
	default:
		return smtpd.Failed
	}
	if t.paths == 0 {
		t.forward = p.AppendTo(t.forward[:0])
	}
	t.paths++
	return smtpd.Yes
}

// splitRemote takes the mailboxes elsewhere, to which an alias led, out of the
// maildrops that were added.
func (t *transaction) splitRemote(from int, rcpt *smtp.RcptArgs) {
	kept := t.targets[:from]
	for _, target := range t.targets[from:] {
		if target.Remote == "" {
			kept = append(kept, target)
			continue
		}
		t.relay(target.Domain, storage.QueuedRecipient{ForwardPath: target.Remote, ORcpt: originalOf(rcpt), Notify: rcpt.Notify})
	}
	t.targets = kept
}

// originalOf is the ORCPT of a recipient that is sent on under another name (RFC
// 3461 section 5.2.7.1 (c)).
func originalOf(rcpt *smtp.RcptArgs) string {
	if len(rcpt.ORcpt) > 0 || rcpt.To.NeedsUTF8() {
		return string(rcpt.ORcpt)
	}
	return string(smtp.AppendXtext([]byte("rfc822;"), rcpt.To.AppendTo(nil)))
}

// relay adds a recipient to the entry of its destination, once.
func (t *transaction) relay(domain string, r storage.QueuedRecipient) {
	if t.places == nil {
		t.places = make(map[string]*storage.QueueEntry)
	}
	if t.places[r.ForwardPath] != nil {
		return
	}
	e := t.places["@"+domain] // no mailbox begins with it
	if e == nil {
		e = &storage.QueueEntry{Domain: domain}
		t.relayed = append(t.relayed, e)
		t.places["@"+domain] = e
	}
	t.places[r.ForwardPath] = e
	e.Recipients = append(e.Recipients, r)
}

// envelope fills in what the entries have in common.
func (t *transaction) envelope(m *smtpd.Transaction) {
	if len(t.relayed) == 0 {
		return
	}
	s := t.conn
	env := storage.Envelope{
		ReversePath: string(t.reverse), EnvID: string(m.Mail.EnvID), Ret: m.Mail.Ret,
		Body: m.Mail.Body, SMTPUTF8: m.Mail.SMTPUTF8,
		Origin: "client unknown[" + s.addr + "], helo=<" + string(s.m.Helo()) + ">, by " +
			s.with(m),
	}
	for _, e := range t.relayed {
		e.Envelope = env
	}
}

// openDraft begins the draft with our Received field, whose id is the draft's.
func (t *transaction) openDraft(s *smtpConn) {
	srv := s.srv
	m := s.m.Transaction()
	t.draft = srv.store.NewDraft(min(m.Mail.Size, smallWindow)) // what SIZE says is not booked yet
	t.arrival = time.Now()
	var id [16]byte
	f := message.Received{
		Helo: s.m.Helo(), IP: s.ip, Host: s.port.config.Hostname,
		With: s.with(m),
		ID:   t.draft.ID().AppendTo(id[:0]), At: t.arrival,
	}
	if t.paths == 1 {
		f.For = t.forward
	}
	s.shard.scratch = message.AppendReceived(s.shard.scratch[:0], f)
	t.received = int64(len(s.shard.scratch))
	t.draft.Append(s.shard.scratch)
}

// with is the protocol that a message came by.
func (s *smtpConn) with(m *smtpd.Transaction) string {
	return message.With(s.m.Extended(), m.Mail.SMTPUTF8, s.m.Secure(), s.m.Account() != "")
}

// deliver hands the draft and its recipients to the store.
func (t *transaction) deliver(m *smtpd.Transaction) {
	t.committing = true
	t.conn.srv.commitsOpen.Add(1)
	d := &t.delivery
	d.Draft, d.Arrival, d.Size = t.draft, t.arrival, t.received+m.Counts().Size
	d.Recipients = t.traces(d.Recipients[:0])
	t.envelope(m)
	d.Relayed = t.relayed
	t.draft = nil
	t.conn.srv.store.Deliver(d)
}

// traces makes the fields that stand before the body in each maildrop: the
// Return-Path everywhere, Delivered-To where an alias was expanded.
func (t *transaction) traces(rs []storage.Recipient) []storage.Recipient {
	b := message.AppendReturnPath(t.trace[:0], t.reverse)
	plain := len(b)
	t.ends = t.ends[:0]
	for i := range t.targets {
		if x := t.targets[i].Expanded; x != "" {
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
		rs = append(rs, storage.Recipient{Account: t.targets[i].Account, Trace: trace})
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
	t.delivery.Draft, t.delivery.Relayed, t.relayed, t.places = nil, nil, nil, nil
	t.receipt, t.err = storage.Receipt{}, nil
	t.shrink()
}

// keptRecipients is how many recipients a session keeps the memory for between
// its transactions.
const keptRecipients = 128

// shrink gives back the memory of an unusual number of recipients.
func (t *transaction) shrink() {
	if cap(t.targets) > keptRecipients || cap(t.trace) > keptRecipients*storage.MaxTrace/8 {
		t.targets, t.ends, t.trace, t.delivery.Recipients = nil, nil, nil, nil
	}
}

// drop forgets the draft, if there is one.
func (t *transaction) drop() {
	if t.draft != nil {
		t.draft.Discard()
		t.draft = nil
	}
}
