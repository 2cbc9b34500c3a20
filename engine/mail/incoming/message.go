package incoming

import (
	"sync/atomic"
	"time"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// Message is one message on its way into the store. The zero Message needs Init. Then it
// can be used for one message after the other.
type Message struct {
	in       *Entrance
	done     func(storage.Receipt, error)
	mayRelay bool

	Reverse  []byte           // reverse-path as text, without brackets
	Places   router.Placement // where the recipients are routed
	Paths    int              // accepted forward-paths
	forward  []byte           // the first forward-path, for Received's "for"
	wide     bool             // forward is beyond ASCII
	taken    []byte           // in capture mode: a Delivered-To field for each forward-path
	notShown int              // forward-paths without room in taken

	Arrival time.Time

	host  string        // this host's name in Received
	draft storage.Draft // nil until Open
	lead  int           // octets in the Received field
	cut   int64         // octets that the client sent and that are not in the draft
	head  *message.Head
	header

	untrusted bool
	expected  bool    // see Expect
	check     Check   // nil: none
	finding   Finding // what the check has found
	resume    func()  // goOn, once there was a check

	delivery storage.Delivery
	steps
	trace []byte // the fields of delivery.Recipients; before that scratch
	ends  []int  // where in trace each recipient's own fields end
}

// From has the facts about the origin of a message.
type From struct {
	// Received is the Received field. Host has to be set; ID, At and For are filled in. The
	// slices are borrowed for the call.
	Received message.Received
	// Head reads the header while the message comes: before each Append it has seen all
	// octets. From Finish on it must not change until done.
	Head *message.Head
	// About is the message that a notification is about, for the history; 0: none.
	About storage.MessageID
	// At is when the message began to arrive; zero: now.
	At time.Time
	// NoFor keeps the recipient out of the Received field.
	NoFor bool
	// Size is about how many octets the message has; 0: unknown.
	Size int64
	// Account is the account that has logged in, and User its name; 0: a network that may
	// relay, or an untrusted client.
	Account storage.AccountID
	User    string
	// Untrusted: the client is on none of the operator's networks. The work for its message
	// gives way to other work.
	Untrusted bool
	// Check looks at the message while it comes; nil: none. A client that may not relay has
	// one, which decides also whether it gets notifications of success.
	Check Check
}

// End has the facts about a message that are known at its end.
type End struct {
	// Envelope is for the queue entries, if there are any (see Relays), without its
	// ReversePath. Body is also for maildrops: BodyBinaryMIME is converted.
	Envelope storage.Envelope
	Size     int64 // octets that the client has sent, without stuffed dots
	// Settle is carried out in the same step: see storage.Delivery.
	Settle []storage.Settlement
	// Recipients are the arguments of Message.Recipient again, for a message that may be
	// routed again at its end; nil: it is not. They must not change before done.
	Recipients []smtp.RcptArgs
	// Committing counts the message from commit until done; nil: it is not counted.
	Committing *atomic.Int64
}

// Init prepares a zero Message, once. done gets each finished message's outcome: see
// the package comment.
func (m *Message) Init(in *Entrance, done func(storage.Receipt, error)) {
	m.in, m.done = in, done
	m.delivery.Done = m.stored
}

// Begin starts over with a new reverse-path. mayRelay accepts mail for other domains.
func (m *Message) Begin(p smtp.ReversePath, mayRelay bool) {
	m.Shrink()
	m.mayRelay = mayRelay
	m.Reverse = p.AppendTo(m.Reverse[:0])
	m.Places.Reset()
	m.Places.NoSuccess = !mayRelay
	m.forward, m.Paths = m.forward[:0], 0
	m.taken, m.notShown = m.taken[:0], 0
}

// MayRelay returns the mayRelay that Begin got.
func (m *Message) MayRelay() bool { return m.mayRelay }

// Recipient routes a forward-path and keeps the result, each maildrop and destination once.
// The recipient is accepted if the outcome is Local, or NotOurs and the client may relay.
func (m *Message) Recipient(rcpt *smtp.RcptArgs) router.Outcome {
	if m.in.Capture != 0 {
		m.capture(m.in.Capture, rcpt.To)
		return router.Local
	}
	o := m.Places.Add(m.in.Router, rcpt, m.mayRelay)
	if o == router.Local || o == router.NotOurs && m.mayRelay {
		if m.Paths == 0 {
			m.forward, m.wide = rcpt.To.AppendTo(m.forward[:0]), rcpt.To.NeedsUTF8()
		}
		m.Paths++
	}
	return o
}

// IsOpen reports whether the draft has begun.
func (m *Message) IsOpen() bool { return m.draft != nil }

// ID is the open draft's id.
func (m *Message) ID() storage.MessageID { return m.draft.ID() }

// Open begins the draft with our Received field, which has the draft's id.
func (m *Message) Open(f *From) {
	m.draft = m.in.Inbox.NewDraft(f.Size)
	m.Arrival, m.host, m.head = f.At, f.Received.Host, f.Head
	m.untrusted, m.check = f.Untrusted, f.Check
	if f.At.IsZero() {
		m.Arrival = time.Now()
	}
	m.header.begin(m, f)
	r := f.Received
	var id [16]byte
	r.ID, r.At = m.draft.ID().AppendTo(id[:0]), m.Arrival
	if m.Paths == 1 && !f.NoFor && !(m.wide && len(m.Places.Relayed) > 0) {
		r.For = m.forward // not beyond ASCII, or hosts without SMTPUTF8 could not get the message
	}
	m.trace = message.AppendReceived(m.trace[:0], r)
	m.lead, m.cut = len(m.trace), 0
	m.draft.Append(m.trace)
}

// Append adds the next octets of the message, in wire form. run is borrowed.
func (m *Message) Append(run []byte) {
	if m.check == nil {
		m.append(run)
		return
	}
	scratch := scratches.Get().(*[]byte)
	if run = m.check.Pass(run, scratch); len(run) > 0 {
		m.append(run)
	}
	scratches.Put(scratch)
}

// append adds octets that are to be stored.
func (m *Message) append(run []byte) {
	switch h := &m.header; {
	case h.refusal != nil:
	case !h.own:
		m.draft.Append(run)
	case h.decided:
		m.pass(run)
	default:
		h.held = append(h.held, run...)
		if m.head.Done() || int64(len(h.held)) > m.in.MaxHeld {
			m.decide()
		}
	}
}

// Backlog is how many octets of the message are in memory, apart from what its check has.
func (m *Message) Backlog() int64 {
	if m.draft == nil {
		return 0
	}
	return m.draft.Backlog() + m.header.backlog()
}

// Notify calls f once, on another goroutine or at once, when the backlog in the store's
// writer and the signature is at most mark octets, and the check is not full. f must not
// block. Drop may cancel the call.
func (m *Message) Notify(mark int64, f func()) {
	if check := m.check; check != nil {
		then := f
		f = func() { check.WhenRoom(then) }
	}
	if stream := m.header.stream; stream != nil {
		mark /= 2
		then := f
		f = func() { stream.Notify(mark, then) }
	}
	m.draft.Notify(mark, f)
}

// Relays reports whether the message goes to other hosts, by the queue.
func (m *Message) Relays() bool { return len(m.Places.Relayed) > 0 }

// Size is the stored message's size, without stuffed dots.
func (m *Message) Size() int64 { return m.delivery.Size }

// Refusal is the reply to a message that was not stored because it is at fault; nil: the
// reply follows from the error of done.
func (m *Message) Refusal() *smtp.Reply { return m.refused }

// seal fills in the delivery, apart from the fields in front.
func (m *Message) seal(e *End) {
	d := &m.delivery
	d.Draft, d.Arrival, d.Settle = m.draft, m.Arrival, e.Settle
	d.Size = int64(m.lead) - m.cut + m.header.grown + e.Size
	m.draft = nil
	if m.Relays() {
		e.Envelope.ReversePath = string(m.Reverse)
		m.Places.Seal(e.Envelope)
	}
	d.Relayed = m.Places.Relayed
}

// address adds the recipients to the delivery, with the signature in front of the message.
func (m *Message) address() bool {
	d := &m.delivery
	d.Recipients = m.traces(d.Recipients[:0], m.front)
	for _, e := range d.Relayed {
		e.Envelope.Front += m.front
	}
	return true
}

// tellNear passes on what the store found of quotas.
func (m *Message) tellNear(err error) {
	if near := m.delivery.Near; err == nil && len(near) > 0 && m.in.NearQuota != nil {
		m.in.NearQuota(near)
	}
}

// keptRecipients is for how many recipients Shrink keeps the memory, keptTrace how many
// octets it keeps for their fields.
const (
	keptRecipients = 128
	keptTrace      = 16 << 10
)

// Shrink releases the memory after an unusual number of recipients.
func (m *Message) Shrink() {
	if cap(m.Places.Targets) > keptRecipients || cap(m.trace) > keptTrace {
		m.Places.Targets, m.ends, m.trace, m.delivery.Recipients = nil, nil, nil, nil
	}
}
