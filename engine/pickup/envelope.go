package pickup

import (
	"fmt"
	"time"

	"postrider/codec/address"
	"postrider/codec/message"
	"postrider/codec/smtp"
	"postrider/engine/router"
	"postrider/storage"
)

// envelope is where a message comes from and where its recipients are.
type envelope struct {
	reverse string
	paths   []string // the forward-paths, each once
	utf8    bool     // one of paths is beyond ASCII
	places  router.Placement
	refused []Refusal
	bad     []string // entries of lists that can't be read as addresses
	taken   []byte   // in capture mode: a Delivered-To field for each path
}

// envelope reads the addresses of m and finds out where they lead.
func (p *Pickup) envelope(m *Mail, header []byte) (*envelope, error) {
	if m.At.IsZero() {
		m.At = time.Now()
	}
	reverse, err := reversePath(m.Sender, p.DefaultDomain)
	if err != nil {
		return nil, err
	}
	e := &envelope{reverse: reverse.String()}
	var head message.Head
	head.Feed(header)
	e.places.Been = head.DeliveredTo
	addresses := e.addresses(m, header)
	if n := len(addresses) + len(e.bad); n == 0 {
		return nil, ErrNoRecipients
	} else if p.MaxRecipients > 0 && n > p.MaxRecipients {
		return nil, fmt.Errorf("%w: %d recipients are more than %d (smtp.max_recipients)", storage.ErrInvalid, n, p.MaxRecipients)
	}
	utf8 := reverse.NeedsUTF8()
	met := make(map[string]bool)
	for _, a := range addresses {
		path, err := ParseRecipient(a, p.DefaultDomain)
		if err != nil {
			e.bad = append(e.bad, a)
			continue
		}
		key := address.Key(path.String())
		if met[key] {
			continue
		}
		met[key] = true
		e.paths = append(e.paths, path.String())
		utf8 = utf8 || path.NeedsUTF8()
		e.utf8 = e.utf8 || path.NeedsUTF8()
		if p.Capture != 0 {
			e.capture(p.Capture, path)
			continue
		}
		e.place(p.Router, path, m.Notify)
	}
	if err := e.settle(p, m); err != nil {
		return nil, err
	}
	// A header beyond ASCII alone does not ask for SMTPUTF8: most hosts take such
	// mail, and to return it would help nobody.
	e.places.Seal(storage.Envelope{ReversePath: e.reverse, EnvID: m.EnvID, Ret: m.Ret, SMTPUTF8: utf8, Origin: m.Origin})
	return e, nil
}

// addresses are those that m names. Entries that can't be read are in e.bad then.
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

// settle decides about the recipients who can't get the message. With m.Return the sender
// is told of them by mail, if there is another recipient; without it, an entry that can't
// be read stops the message.
func (e *envelope) settle(p *Pickup, m *Mail) error {
	none := len(e.places.Targets)+len(e.places.Relayed) == 0
	if len(e.bad) > 0 && (none || !m.Return) {
		_, err := ParseList(e.bad[0])
		if err == nil {
			_, err = ParseRecipient(e.bad[0], p.DefaultDomain)
		}
		if err == nil {
			err = fmt.Errorf("%w: %q is not the address of a recipient", storage.ErrInvalid, shorten(e.bad[0]))
		}
		return err
	}
	if none || !m.Return {
		return nil
	}
	for _, r := range e.refused {
		e.places.Return(p.DefaultDomain, r.Address, m.Notify)
	}
	for _, entry := range e.bad {
		e.places.Return(p.DefaultDomain, unreadable(entry), m.Notify)
	}
	e.refused = nil
	return nil
}

// capture takes a recipient in capture mode: all mail is for one account.
func (e *envelope) capture(account storage.AccountID, path smtp.ForwardPath) {
	if len(e.places.Targets) == 0 {
		e.places.Targets = append(e.places.Targets, router.Target{Account: account})
	}
	field := message.AppendDeliveredTo(nil, path.AppendTo(nil))
	if len(e.taken)+len(field) <= maxTaken {
		e.taken = append(e.taken, field...)
	}
}

// maxTaken bounds the fields that tell the recipients of a captured message.
const maxTaken = storage.MaxTrace - storage.MaxFront - 1024

// place puts a recipient where it belongs, or among those refused.
func (e *envelope) place(r *router.Router, path smtp.ForwardPath, notify smtp.Notify) {
	o := e.places.Add(r, &smtp.RcptArgs{To: path, Notify: notify}, true)
	if o != router.Local && o != router.NotOurs {
		e.refused = append(e.refused, Refusal{path.String(), o})
	}
}
