package incoming

import (
	"log/slog"
	"time"

	"postrider/engine/host/maillog"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// AppendLines appends the lines of the log about a message that is stored: what it is, and
// each delivery to a maildrop. They have the form of Postfix's lines. It is for the time
// between done and Reset.
func (m *Message) AppendLines(rs []slog.Record, now time.Time, stored storage.MessageID) []slog.Record {
	id := slog.String("id", stored.String())
	if m.head != nil {
		rs = append(rs, maillog.Record(now, maillog.MessageID, maillog.Cleanup, id, slog.String("message-id", string(m.head.MessageID()))))
	}
	rs = append(rs, maillog.Record(now, maillog.Queued, maillog.Qmgr, id, slog.String("from", string(m.Reverse)),
		slog.Int64("size", m.Size()), slog.Int("nrcpt", max(m.Paths, 1)), slog.String("queue", "active")))
	delay := now.Sub(m.Arrival)
	delays := delaysOf(delay)
	for i := range m.Places.Targets {
		t := &m.Places.Targets[i]
		a, err := m.in.Router.Holder(t.Account)
		if err != nil {
			continue // it was removed in this moment
		}
		r := maillog.Record(now, maillog.Delivery, maillog.Local, id, slog.String("to", router.Mailbox(a.Name, a.Domain)))
		if t.Asked != "" {
			r.AddAttrs(slog.String("orig_to", t.Asked))
		}
		r.AddAttrs(relayLocal, slog.Duration("delay", delay), slog.String("delays", delays), delivered, sent, toMaildrop)
		rs = append(rs, r)
	}
	if len(m.Places.Relayed) == 0 {
		rs = append(rs, maillog.Record(now, maillog.Removed, maillog.Qmgr, id))
	}
	return rs
}

var (
	relayLocal = slog.String("relay", "local")
	delivered  = slog.String("dsn", "2.0.0")
	sent       = slog.String("status", "sent")
	toMaildrop = slog.String("reason", "delivered to maildrop")
)

// fewDelays has the texts for delays below a second, by hundredths: a text for each message
// would be garbage.
var fewDelays = func() (texts [100]string) {
	for i := range texts {
		texts[i] = string(maillog.Delays{Before: time.Duration(i) * 10 * time.Millisecond}.AppendTo(nil))
	}
	return texts
}()

// delaysOf are the four delays of a message that goes straight into a maildrop: all its
// time is that of its transmission and its sync.
func delaysOf(d time.Duration) string {
	if i := (d + 5*time.Millisecond) / (10 * time.Millisecond); i >= 0 && i < 100 {
		return fewDelays[i]
	}
	return string(maillog.Delays{Before: d}.AppendTo(nil))
}

// logStored logs a message that this host has written, or that a program or user of it has
// submitted. line, of daemon, says how it came; empty: there is no such line. An Entrance
// without a Log, that of a command, logs nothing.
func (m *Message) logStored(r storage.Receipt, daemon slog.Attr, line string) {
	log := maillog.Log{Logger: m.in.Log}
	if r.ID() == 0 || m.in.Log == nil || !log.On() {
		return
	}
	now := time.Now()
	var rs []slog.Record
	if line != "" {
		rs = append(rs, maillog.Record(now, line, daemon, slog.String("id", r.ID().String())))
	}
	log.All(m.AppendLines(rs, now, r.ID()))
}
