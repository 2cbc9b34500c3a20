package incoming

import (
	"fmt"
	"sync/atomic"
	"time"

	"postrider/codec/smtp"
	"postrider/engine/host/otlp"
	"postrider/storage"
)

// steps are the state of a message from Finish to done. It belongs to the step that is
// carried out, except dropped.
type steps struct {
	finishing bool // from Finish to Reset; belongs to the caller
	end       End
	next      int         // the step after the one that is carried out
	dropped   atomic.Bool // Drop was called after Finish
	committed bool        // the message is not dropped any more
	whole     time.Time   // when Finish was called
	handed    time.Time   // to the store
	front     string      // the signature, in front of the message
	refused   *smtp.Reply // see Refusal
}

// ErrDropped is the error for a message that was dropped after Finish.
var ErrDropped = fmt.Errorf("%w: the message was dropped", storage.ErrTemporary)

// errRefused is the error for a message that has a Refusal.
var errRefused = fmt.Errorf("%w: the message is refused", storage.ErrInvalid)

// Finish starts the last steps, which store the message: see the package comment.
func (m *Message) Finish(e *End) {
	m.finishing, m.end, m.whole = true, *e, time.Now()
	m.goOn()
}

// IsFinishing reports whether Finish was called, and Reset was not called yet.
func (m *Message) IsFinishing() bool { return m.finishing }

// goOn carries out the steps that are left, up to one that waits. A step that waits calls
// goOn on its own goroutine when it is done.
func (m *Message) goOn() {
	if m.carryOut() {
		m.handed = time.Now()
		m.in.Inbox.Deliver(&m.delivery)
	}
}

// carryOut is goOn without the last step. It reports whether the message is ready for the
// store. A step returns false when it waits or has ended the message: then the Message may
// belong to another goroutine already.
func (m *Message) carryOut() (ready bool) {
	defer func() {
		if p := recover(); p != nil {
			ready = m.fail(m.in.panicked("a step of a message", p))
		}
	}()
	list := [...]func(*Message) bool{
		(*Message).finishHeader,
		(*Message).routeForwarded,
		(*Message).finishCheck,
		(*Message).judge,
		(*Message).routeNotified,
		(*Message).commit,
		(*Message).convert,
		(*Message).sign,
		(*Message).address,
	}
	for m.next < len(list) {
		if !m.committed && m.dropped.Load() {
			return m.fail(ErrDropped)
		}
		step := list[m.next]
		m.next++
		if !step(m) {
			return false
		}
	}
	return true
}

// commit prepares the delivery. From here on the message is not dropped any more.
func (m *Message) commit() bool {
	m.committed = true
	m.unexpect()
	if n := m.end.Committing; n != nil {
		n.Add(1)
	}
	m.seal(&m.end)
	return true
}

// Committed reports whether a message that is done came as far as commit, whatever happened
// after it. A message that did not was refused or dropped before, and the store knows
// nothing of it.
func (m *Message) Committed() bool { return m.committed }

// refuse ends the message with a reply for its client. It returns false, as a step does.
func (m *Message) refuse(r *smtp.Reply) bool {
	m.refused = r
	return m.fail(errRefused)
}

// fail ends a message that the store has not got. It returns false, as a step does.
func (m *Message) fail(err error) bool {
	if m.delivery.Draft != nil {
		m.delivery.Draft.Discard()
	}
	m.discard()
	m.over(storage.Receipt{}, err)
	return false
}

// stored runs on a store goroutine.
func (m *Message) stored(_ *storage.Delivery, r storage.Receipt, err error) {
	if err == nil {
		m.took(r.ID(), time.Now())
	}
	m.tellNear(err)
	m.over(r, err)
}

// took counts the time of a message that is stored.
func (m *Message) took(id storage.MessageID, now time.Time) {
	m.in.Took.Observe(now.Sub(m.handed))
	if n := len(m.delivery.Recipients); n > 0 {
		m.in.Delay.ObserveAll(now.Sub(m.Arrival), n)
	}
	if m.in.Spans.Samples(uint64(id)) {
		m.spans(id, now)
	}
}

// spans sends the way of a message that is stored.
func (m *Message) spans(id storage.MessageID, now time.Time) {
	part := func(name string, start, end time.Time) {
		m.in.Spans.Add(otlp.Span{Message: uint64(id), Name: name, Kind: otlp.Internal, Start: start, End: end})
	}
	m.in.Spans.Add(otlp.Span{
		Message: uint64(id), First: true, Name: "accept", Kind: otlp.Server, Start: m.Arrival, End: now,
		Attributes: otlp.Facts(
			otlp.Attribute{Key: "postrider.message.id", Text: id.String()}, otlp.Attribute{Key: "postrider.message.octets", Number: m.Size()},
			otlp.Attribute{Key: "postrider.recipients", Number: int64(m.Paths)}, otlp.Attribute{Key: "postrider.maildrops", Number: int64(len(m.delivery.Recipients))},
			otlp.Attribute{Key: "postrider.destinations", Number: int64(len(m.delivery.Relayed))},
		),
	})
	part("receive", m.Arrival, m.whole)
	part("check", m.whole, m.handed)
	part("store", m.handed, now)
}

// over calls done. After it the Message is the caller's.
func (m *Message) over(r storage.Receipt, err error) {
	if n := m.end.Committing; n != nil && m.committed {
		n.Add(-1)
	}
	m.done(r, err)
}

// Drop gives the message up. Before Finish its draft and its check end now. After Finish the
// steps end at the next one, with ErrDropped, unless they have come as far as commit: then
// the message is stored all the same. done is called in each case.
func (m *Message) Drop() {
	if !m.finishing {
		m.discard()
		m.check = nil
		return
	}
	m.dropped.Store(true)
	if m.check != nil {
		m.check.Abort()
	}
}

// discard ends the draft, the signature and the check of a message that is not stored.
func (m *Message) discard() {
	if m.draft != nil {
		m.draft.Discard()
		m.draft = nil
	}
	if m.check != nil {
		m.check.Abort()
	}
	m.header.drop()
	m.unexpect()
}

// Expect tells the store that the message may come soon, until the store gets it or it is
// dropped.
func (m *Message) Expect() {
	if !m.expected && m.in.Expect != nil {
		m.expected = true
		m.in.Expect(1)
	}
}

// unexpect tells the store that the message has come, or won't.
func (m *Message) unexpect() {
	if m.expected {
		m.expected = false
		m.in.Expect(-1)
	}
}

// Reset makes the Message ready for the next one, after done.
func (m *Message) Reset() {
	m.delivery.Draft, m.delivery.Relayed, m.delivery.Settle, m.Places.Relayed = nil, nil, nil, nil
	m.check = nil
	m.finding.reset()
	m.finishing, m.end, m.next, m.committed, m.front, m.refused = false, End{}, 0, false, "", nil
	m.dropped.Store(false)
	m.Shrink()
}
