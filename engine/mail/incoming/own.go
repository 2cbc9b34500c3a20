package incoming

import (
	"context"
	"io"
	"log/slog"
	"time"

	"postrider/codec/dot"
	"postrider/storage"
)

// A Message also stores what this host makes itself: notifications, and copies of queued
// messages for maildrops. The calling goroutine may wait.

// New makes a Message of this host, with a reverse-path as text, without brackets. It may
// go to any domain. Call Recipient, and then Write or Copy.
func (in *Entrance) New(reverse string) *Message {
	m := &Message{in: in, mayRelay: true, Reverse: []byte(reverse)}
	m.delivery.Done = m.stored
	return m
}

// Write stores a message that this host has written: text, in plain form, with a complete
// header. f and e need no Head, Account, Size and NoFor. The message gets a Received field
// and is signed by the domain of its From field. Write returns when the message is durable.
// If ctx ends while the text waits for the store's writer, nothing is stored.
func (m *Message) Write(ctx context.Context, f *From, text []byte, e *End) (storage.Receipt, error) {
	var form dot.Normalizer
	wire := form.End(form.Append(nil, text))
	f.Size, f.NoFor, e.Size = int64(len(wire)), true, form.Counts().Size
	m.Open(f)
	m.header.own, m.header.decided = m.in.Capture == 0, true
	if m.header.own {
		m.beginSignature(text)
	}
	for len(wire) > 0 {
		n := min(len(wire), storage.MaxPiece)
		if err := m.put(ctx, wire[:n]); err != nil {
			return storage.Receipt{}, err
		}
		wire = wire[n:]
	}
	r, err := m.wait(func() { m.Finish(e) })
	if err == nil {
		m.logStored(r, slog.Attr{}, "")
		m.keep(r, source{door: "notification", about: f.About})
	}
	return r, err
}

// Copy stores a copy of body, the message of, with new trace fields, and ignores the Entry of body. e.Size
// is body's size.
func (m *Message) Copy(ctx context.Context, body storage.Message, of storage.MessageID, e *End) (storage.Receipt, error) {
	m.draft, m.Arrival = m.in.Inbox.NewDraft(e.Size), time.Now()
	for {
		piece, err := body.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			m.Drop()
			return storage.Receipt{}, err
		}
		if err := m.put(ctx, piece); err != nil {
			return storage.Receipt{}, err
		}
	}
	m.seal(e)
	m.address()
	r, err := storage.Put(ctx, m.in.Inbox, &m.delivery)
	m.tellNear(err)
	if err == nil {
		m.keep(r, source{door: "queue", about: of})
	}
	return r, err
}

// ownBacklog is the memory limit for a message of this host.
const ownBacklog = 1 << 20

// put appends a piece, and waits while the backlog is too large. On an error it drops the
// message.
func (m *Message) put(ctx context.Context, piece []byte) error {
	m.Append(piece)
	err := storage.Await(ctx, m, ownBacklog)
	if err != nil {
		m.Drop()
	}
	return err
}

// wait calls finish and waits for the outcome.
func (m *Message) wait(finish func()) (storage.Receipt, error) {
	done := make(chan outcome, 1)
	m.done = func(r storage.Receipt, err error) { done <- outcome{r, err} }
	finish()
	o := <-done
	return o.r, o.err
}

// outcome has done's arguments.
type outcome struct {
	r   storage.Receipt
	err error
}
