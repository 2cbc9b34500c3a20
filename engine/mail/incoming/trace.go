package incoming

import (
	"strconv"

	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// traces makes the fields in front of the message in each maildrop: Return-Path everywhere,
// Delivered-To where an alias was expanded.
func (m *Message) traces(rs []storage.Recipient, front string) []storage.Recipient {
	b := append(message.AppendReturnPath(m.trace[:0], m.Reverse), m.finding.Results...)
	b = append(b, front...)
	b = m.appendTaken(b)
	plain := len(b)
	m.ends = m.ends[:0]
	for i := range m.Places.Targets {
		if x := m.Places.Targets[i].Expanded; x != "" {
			b = append(b, b[:plain]...)
			b = message.AppendDeliveredTo(b, []byte(x))
		}
		m.ends = append(m.ends, len(b))
	}
	m.trace = b
	from := plain
	for i, end := range m.ends {
		trace := b[:plain:plain]
		if end > from {
			trace = b[from:end:end]
		}
		rs = append(rs, storage.Recipient{Account: m.Places.Targets[i].Account, Trace: trace})
		from = end
	}
	return rs
}

// In capture mode all mail goes to one maildrop, whatever the recipients are. A message
// with many recipients is stored once, with a Delivered-To field for each.

// maxTaken bounds a captured message's Delivered-To fields.
const maxTaken = storage.MaxTrace - 1024

// capture accepts any forward-path.
func (m *Message) capture(account storage.AccountID, to smtp.ForwardPath) {
	if m.Paths == 0 {
		m.forward = to.AppendTo(m.forward[:0])
		m.Places.Targets = append(m.Places.Targets, router.Target{Account: account})
	}
	m.Paths++
	before := len(m.taken)
	m.trace = to.AppendTo(m.trace[:0])
	m.taken = message.AppendDeliveredTo(m.taken, m.trace)
	if len(m.taken) > maxTaken {
		m.taken = m.taken[:before]
		m.notShown++
	}
}

// appendTaken appends the fields that name a captured message's recipients.
func (m *Message) appendTaken(b []byte) []byte {
	b = append(b, m.taken...)
	if m.notShown > 0 {
		b = append(b, "X-Recipients-Not-Shown: "...)
		b = append(strconv.AppendInt(b, int64(m.notShown), 10), "\r\n"...)
	}
	return b
}
