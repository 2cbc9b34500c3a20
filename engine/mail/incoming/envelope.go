package incoming

import (
	"fmt"
	"time"

	"postrider/codec/address"
	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/mail/router"
	"postrider/storage"
)

// envelope is the sender of a message, and its recipients: routed, refused or unreadable.
type envelope struct {
	reverse  string
	msg      *Message // has the recipients
	envelope storage.Envelope
	refused  []Refusal
	bad      []string // entries of lists that can't be read as addresses
}

// isNowhere reports whether no recipient gets the message.
func (e *envelope) isNowhere() bool { return len(e.msg.Places.Targets)+len(e.msg.Places.Relayed) == 0 }

// envelope reads m's addresses and routes them, for msg.
func (in *Entrance) envelope(m *Mail, header []byte, msg *Message) (*envelope, error) {
	if m.At.IsZero() {
		m.At = time.Now()
	}
	reverse, err := reversePath(m.Sender, in.DefaultDomain)
	if err != nil {
		return nil, err
	}
	e := &envelope{reverse: reverse.String(), msg: msg}
	msg.Begin(reverse, true)
	var head message.Head
	head.Feed(header)
	msg.Places.Been = head.DeliveredTo
	addresses := e.addresses(m, header)
	if n := len(addresses) + len(e.bad); n == 0 {
		return nil, ErrNoRecipients
	} else if in.MaxRecipients > 0 && n > in.MaxRecipients {
		return nil, fmt.Errorf("%w: %d recipients; the limit is %d (smtp.max_recipients)", storage.ErrInvalid, n, in.MaxRecipients)
	}
	utf8 := reverse.NeedsUTF8()
	seen := make(map[string]bool)
	for _, a := range addresses {
		path, err := ParseRecipient(a, in.DefaultDomain)
		if err != nil {
			e.bad = append(e.bad, a)
			continue
		}
		key := address.Key(path.String())
		if seen[key] {
			continue
		}
		seen[key] = true
		utf8 = utf8 || path.NeedsUTF8()
		e.place(path, m.Notify)
	}
	if err := e.settle(in, m); err != nil {
		return nil, err
	}
	// A header beyond ASCII alone does not set SMTPUTF8: most hosts accept such mail, and
	// a bounce would help no user.
	e.envelope = storage.Envelope{EnvID: m.EnvID, Ret: m.Ret, SMTPUTF8: utf8, Origin: m.Origin}
	return e, nil
}

// addresses returns m's recipients, and puts entries that can't be read into e.bad.
func (e *envelope) addresses(m *Mail, header []byte) (found []string) {
	for _, text := range m.Recipients {
		ok, bad := readList(text)
		found, e.bad = append(found, ok...), append(e.bad, bad...)
	}
	if m.FromHeader {
		ok, bad := addressed(header)
		found, e.bad = append(found, ok...), append(e.bad, bad...)
	}
	return found
}

// settle decides about the recipients that can't get the message. With m.Return the sender
// gets a notification about them, if there is another recipient. Without it, an entry that
// can't be read fails the message.
func (e *envelope) settle(in *Entrance, m *Mail) error {
	none := e.isNowhere()
	if len(e.bad) > 0 && (none || !m.Return) {
		_, err := ParseList(e.bad[0])
		if err == nil {
			_, err = ParseRecipient(e.bad[0], in.DefaultDomain)
		}
		if err == nil {
			err = fmt.Errorf("%w: %q is not a recipient address", storage.ErrInvalid, shorten(e.bad[0]))
		}
		return err
	}
	if none || !m.Return {
		return nil
	}
	for _, r := range e.refused {
		e.msg.Places.Return(in.DefaultDomain, r.Address, m.Notify)
	}
	for _, entry := range e.bad {
		e.msg.Places.Return(in.DefaultDomain, unreadable(entry), m.Notify)
	}
	e.refused = nil
	return nil
}

// place routes a recipient, or adds it to the refused ones.
func (e *envelope) place(path smtp.ForwardPath, notify smtp.Notify) {
	o := e.msg.Recipient(&smtp.RcptArgs{To: path, Notify: notify})
	if o != router.Local && o != router.NotOurs {
		e.refused = append(e.refused, Refusal{path.String(), o})
	}
}
