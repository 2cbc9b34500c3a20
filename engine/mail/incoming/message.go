package incoming

import (
	"time"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// Message is one message on its way into the store. The zero Message needs Init, and can
// be used again and again.
type Message struct {
	in       *Entrance
	done     func(storage.Receipt, error)
	mayRelay bool

	Reverse []byte           // reverse-path as text, without brackets
	Places  router.Placement // where the recipients lead
	Paths   int              // forward-paths taken
	forward []byte           // the first of them, for Received's "for"
	wide    bool             // forward is beyond ASCII
	taken   []byte           // in capture mode: a Delivered-To field for each
	untold  int              // forward-paths that had no room in taken

	Arrival time.Time
	Results []byte // an Authentication-Results field, in front of the message; empty: none

	host  string        // the name of this host for the client
	draft storage.Draft // nil until Open
	lead  int           // octets of the Received field
	cut   int64         // octets that the client sent and that are not in the draft
	head  *message.Head
	header

	delivery storage.Delivery
	refusal  *smtp.Reply // why the conversion refuses the message
	trace    []byte      // the fields of delivery.Recipients; until then scratch
	ends     []int       // where in trace each recipient's own fields end
}

// From is what is known of where a message comes from.
type From struct {
	// Received is what its field says; Host has to be there, ID, At and For are filled in.
	// The slices are borrowed for the call.
	Received message.Received
	// Head follows the message as it comes: at each Append it has seen all that was
	// appended. It stays as it is until Finish.
	Head *message.Head
	// At is when the message began to arrive; zero: now.
	At time.Time
	// NoFor: the Received field does not name a single recipient.
	NoFor bool
	// Size is about how long the message is; 0: unknown.
	Size int64
	// Account is who has logged in, and User its name; 0: a network that may relay, or an
	// untrusted client.
	Account storage.AccountID
	User    string
}

// End is what is known of a message at its end.
type End struct {
	// Envelope is for the queue entries, if there are any (see Relays), without its
	// ReversePath. Body always counts: BodyBinaryMIME is converted.
	Envelope storage.Envelope
	Size     int64 // octets that the client has sent, without stuffed dots
	// Settle is carried out in the same step: see storage.Delivery.
	Settle []storage.Settlement
}

// Init makes a Message of the zero value, once. done gets what became of each message
// that is finished: see the package comment.
func (m *Message) Init(in *Entrance, done func(storage.Receipt, error)) {
	m.in, m.done = in, done
	m.delivery.Done = m.stored
}

// Begin starts over with a new reverse-path. mayRelay: mail for other domains is taken.
func (m *Message) Begin(p smtp.ReversePath, mayRelay bool) {
	m.Shrink()
	m.mayRelay = mayRelay
	m.Reverse = p.AppendTo(m.Reverse[:0])
	m.Places.Reset()
	m.Places.NoSuccess = !mayRelay
	m.forward, m.Paths = m.forward[:0], 0
	m.taken, m.untold = m.taken[:0], 0
}

// MayRelay tells what Begin was told.
func (m *Message) MayRelay() bool { return m.mayRelay }

// Recipient routes a forward-path and keeps where it leads, each place once. It is taken
// if the outcome is Local, or NotOurs and the client may relay.
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

// IsOpen tells whether the draft has begun.
func (m *Message) IsOpen() bool { return m.draft != nil }

// ID is the id of the draft, which is open.
func (m *Message) ID() storage.MessageID { return m.draft.ID() }

// Open begins the draft with our Received field, whose id is the draft's.
func (m *Message) Open(f *From) {
	m.draft = m.in.Inbox.NewDraft(f.Size)
	m.Arrival, m.Results, m.host, m.head = f.At, m.Results[:0], f.Received.Host, f.Head
	if f.At.IsZero() {
		m.Arrival = time.Now()
	}
	m.header.begin(m, f)
	r := f.Received
	var id [16]byte
	r.ID, r.At = m.draft.ID().AppendTo(id[:0]), m.Arrival
	if m.Paths == 1 && !f.NoFor && !(m.wide && len(m.Places.Relayed) > 0) {
		r.For = m.forward // beyond ASCII it would keep the message from hosts without SMTPUTF8
	}
	m.trace = message.AppendReceived(m.trace[:0], r)
	m.lead, m.cut = len(m.trace), 0
	m.draft.Append(m.trace)
}

// Append takes the next octets of the message, in wire form. run is borrowed.
func (m *Message) Append(run []byte) {
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

// Removed tells that the client sent n octets that were not appended.
func (m *Message) Removed(n int64) { m.cut += n }

// Backlog is how many octets are in memory.
func (m *Message) Backlog() int64 {
	if m.draft == nil {
		return 0
	}
	return m.draft.Backlog() + m.header.backlog()
}

// Notify calls f once, on another goroutine or at once, when the store's writer and the
// signature have at most mark octets to take. f must not block. Drop voids it.
func (m *Message) Notify(mark int64, f func()) {
	stream := m.header.stream
	if stream == nil {
		m.draft.Notify(mark, f)
		return
	}
	m.draft.Notify(mark/2, func() { stream.Notify(mark/2, f) })
}

// Relays tells whether the message goes to other hosts, by the queue.
func (m *Message) Relays() bool { return len(m.Places.Relayed) > 0 }

// Size is how long the message is that was stored, without stuffed dots.
func (m *Message) Size() int64 { return m.delivery.Size }

// Refusal is the reply to a message that is not stored because it is at fault; nil: what
// the error of done says.
func (m *Message) Refusal() *smtp.Reply { return m.refusal }

// Finish has the message stored. See the package comment.
func (m *Message) Finish(e *End) {
	m.EndHeader()
	m.seal(e)
	if e.Envelope.Body == smtp.BodyBinaryMIME {
		m.convert()
		return
	}
	m.sign()
}

// seal makes the delivery of the draft, apart from the fields in front.
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

// deliver hands the message to the store, with front before it.
func (m *Message) deliver(front string) {
	m.address(front)
	m.in.Inbox.Deliver(&m.delivery)
}

// address gives the delivery its recipients, with front before the message.
func (m *Message) address(front string) {
	d := &m.delivery
	d.Recipients = m.traces(d.Recipients[:0], front)
	for _, e := range d.Relayed {
		e.Envelope.Front += front
	}
}

// stored runs on a goroutine of the store.
func (m *Message) stored(_ *storage.Delivery, r storage.Receipt, err error) {
	m.tellNear(err)
	m.done(r, err)
}

// tellNear passes on what the store found of quotas.
func (m *Message) tellNear(err error) {
	if near := m.delivery.Near; err == nil && len(near) > 0 && m.in.NearQuota != nil {
		m.in.NearQuota(near)
	}
}

// fail ends a message that is finished and that the store does not have.
func (m *Message) fail(err error) {
	m.delivery.Draft.Discard()
	m.done(storage.Receipt{}, err)
}

// Reset gives up what the delivery needed, after done.
func (m *Message) Reset() {
	m.delivery.Draft, m.delivery.Relayed, m.delivery.Settle, m.Places.Relayed = nil, nil, nil, nil
	m.refusal = nil
	m.Shrink()
}

// Drop forgets the draft of a message that is not finished, if there is one.
func (m *Message) Drop() {
	if m.draft != nil {
		m.draft.Discard()
		m.draft = nil
	}
	m.header.drop()
}

// keptRecipients is how many recipients a Message keeps the memory for until the next
// one, keptTrace how many octets for their fields.
const (
	keptRecipients = 128
	keptTrace      = 16 << 10
)

// Shrink gives back the memory of an unusual number of recipients.
func (m *Message) Shrink() {
	if cap(m.Places.Targets) > keptRecipients || cap(m.trace) > keptTrace {
		m.Places.Targets, m.ends, m.trace, m.delivery.Recipients = nil, nil, nil, nil
	}
}
