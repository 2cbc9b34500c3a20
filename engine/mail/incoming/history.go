package incoming

import (
	"bytes"
	"strings"
	"time"

	"postrider/engine/host/history"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// source is where a message came from that no client has brought.
type source struct {
	door, origin, account string
	about                 storage.MessageID // the message that it is about, or a copy of; 0: none
}

// keep adds a message that is stored to the history.
func (m *Message) keep(r storage.Receipt, s source) {
	h := m.in.History
	if !h.On() || r.ID() == 0 {
		return
	}
	e := h.Begin(history.Received, r.ID(), time.Now())
	e.Text(history.Door, s.door)
	e.Text(history.Origin, s.origin)
	e.Text(history.Login, s.account)
	if s.about != 0 {
		e.Text(history.Other, s.about.String())
	}
	m.Keep(e)
}

// recipientOctets is more than the facts of a recipient take: two paths.
const recipientOctets = 1300

// Keep adds what is known of a message that is stored to an event: the message itself, each
// maildrop, and each recipient in the queue. Then it adds the event to Entrance.History. It
// is for the time between done and Reset.
func (m *Message) Keep(e *history.Event) {
	h := m.in.History
	e.Octets(history.Sender, m.Reverse)
	e.Number(history.Size, m.Size())
	e.Number(history.Paths, int64(max(m.Paths, 1)))
	if m.head != nil {
		e.Octets(history.MessageID, m.head.MessageID())
	}
	e.Time(history.Began, m.Arrival)
	e.Octets(history.Results, bytes.TrimSpace(m.finding.Results))
	for i := range m.Places.Targets {
		e = h.Room(e, recipientOctets)
		t := &m.Places.Targets[i]
		if a, err := m.in.Router.Holder(t.Account); err == nil {
			e.Text(history.To, router.Mailbox(a.Name, a.Domain))
			e.Text(history.Original, t.Asked)
		}
	}
	for _, q := range m.Places.Relayed {
		for i := range q.Recipients {
			e = h.Room(e, recipientOctets)
			to := &q.Recipients[i]
			e.Text(history.Queued, to.ForwardPath)
			if asked := router.OriginalOf(to.ORcpt); !strings.EqualFold(asked, to.ForwardPath) {
				e.Text(history.Original, asked)
			}
		}
	}
	h.Add(e)
}
