package pickup

import (
	"fmt"
	"time"

	"postrider/codec/address"
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
	addresses := m.Recipients
	if m.FromHeader {
		found, err := addressed(header)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses[:len(addresses):len(addresses)], found...)
	}
	if len(addresses) == 0 {
		return nil, ErrNoRecipients
	}
	if p.MaxRecipients > 0 && len(addresses) > p.MaxRecipients {
		return nil, fmt.Errorf("%w: %d recipients are more than %d (smtp.max_recipients)", storage.ErrInvalid, len(addresses), p.MaxRecipients)
	}
	e := &envelope{reverse: reverse.String()}
	utf8 := reverse.NeedsUTF8()
	met := make(map[string]bool)
	for _, a := range addresses {
		path, err := ParseRecipient(a, p.DefaultDomain)
		if err != nil {
			return nil, err
		}
		key := address.Key(path.String())
		if met[key] {
			continue
		}
		met[key] = true
		e.paths = append(e.paths, path.String())
		utf8 = utf8 || path.NeedsUTF8()
		e.utf8 = e.utf8 || path.NeedsUTF8()
		e.place(p.Router, path, m.Notify)
	}
	// A header beyond ASCII alone does not ask for SMTPUTF8: most hosts take such
	// mail, and to return it would help nobody.
	e.places.Seal(storage.Envelope{ReversePath: e.reverse, EnvID: m.EnvID, Ret: m.Ret, SMTPUTF8: utf8, Origin: m.Origin})
	return e, nil
}

// place puts a recipient where it belongs, or among those refused.
func (e *envelope) place(r *router.Router, path smtp.ForwardPath, notify smtp.Notify) {
	o := e.places.Add(r, &smtp.RcptArgs{To: path, Notify: notify}, true)
	if o != router.Local && o != router.NotOurs {
		e.refused = append(e.refused, Refusal{path.String(), o})
	}
}
