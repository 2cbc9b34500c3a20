package incoming

import (
	"fmt"
	"sync"

	"postrider/codec/smtp"
	"postrider/storage"
)

// Check looks at a message while it comes in, and decides about it at its end. It is made
// for one message. Pass, IsFull and WhenRoom are called by the goroutine of the message's
// client. Finish, MayNotify and Notified are called by the steps, on any goroutine, one
// after the other. Abort may be called at any time.
type Check interface {
	// Pass shows a run of the message to the check. It returns what is to be stored of the
	// run: all of it, or what Pass has put into scratch. It never blocks.
	Pass(run []byte, scratch *[]byte) []byte
	// IsFull reports whether so much waits to be looked at that no more should come now.
	IsFull() bool
	// WhenRoom calls f once, on another goroutine or at once, when the check is not full, or
	// was aborted. f must not block.
	WhenRoom(f func())

	// Finish reports that the message is whole. The check fills in f, and calls done once, on
	// a goroutine of its own or at once. f belongs to the check until then.
	Finish(id storage.MessageID, f *Finding, done func())
	// MayNotify reports whether the sender may be notified of success. It is called after
	// done if the sender has asked for that and had to be refused at first.
	MayNotify() bool
	// Notified is called with the number of notifications that MayNotify leads to.
	Notified(n int)

	// Abort ends a check whose message is not stored, before or after Finish. It never waits.
	// After the end of the check it does nothing.
	Abort()
}

// Finding is what a Check has found.
type Finding struct {
	Err     error       // there is no result; ErrNoRoom, or another error that is temporary
	Refusal *smtp.Reply // refuses the message; nil: it is not refused
	Tail    []byte      // octets of the message that Pass has held back and that are stored
	Removed int64       // octets of the message that are not stored
	Results []byte      // a field in front of the message; empty: none
}

// reset empties f and keeps the memory of the field.
func (f *Finding) reset() { *f = Finding{Results: f.Results[:0]} }

// ErrNoRoom is the error for a message for whose check there is no memory now.
var ErrNoRoom = fmt.Errorf("%w: no memory for the check of a message now", storage.ErrTemporary)

// scratches have the memory for Check.Pass. A message needs it during Append only, so
// sessions that wait keep none.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// IsFull reports whether the check of the message has so much to look at that the client has
// to wait (see Notify), whatever the Backlog is: a check has memory of its own.
func (m *Message) IsFull() bool { return m.check != nil && m.check.IsFull() }

// finishCheck waits until the check has decided.
func (m *Message) finishCheck() bool {
	if m.check == nil {
		return true
	}
	if m.resume == nil {
		m.resume = m.goOn // once for all messages
	}
	m.check.Finish(m.draft.ID(), &m.finding, m.resume)
	return false
}

// judge carries out what the check has decided.
func (m *Message) judge() bool {
	f := &m.finding
	switch {
	case f.Err != nil:
		return m.fail(f.Err)
	case f.Refusal != nil:
		return m.refuse(f.Refusal)
	}
	if len(f.Tail) > 0 {
		m.append(f.Tail)
	}
	m.cut += f.Removed
	return true
}
